"""Records of finished runs on disk, made up: what a report reads, without a training."""

import csv
import json
import os

import numpy as np
import yaml

SETTINGS = {
    "data": {"kind": "folder", "name": "smears", "root": "/here", "validation_fraction": 0.2},
    "model": {"name": "fcn8s", "net": {"width": 0.25}, "task": {"learning_rate": 0.002, "cell_size": 44.6}},
    "training": {"steps": 600, "crop": 256},
    "protocol": "held_out",
    "augment": {"transforms": {"flip": {"p": 0.5}}},
    "translator": {"name": "pix2pixhd", "path": None, "choose": "last", "quality": {"images": 12}},
    "sampler": {"placement": "adhesion"},
    "fit": False,
    "synthetic": {"mode": "offline", "style": "per_image", "count": 9, "path": None},
    "trainer": {"accelerator": "cpu", "devices": 1},
}
IMAGES = {"x": 0.9, "y": 0.8}
clock = iter(range(1_000_000, 2_000_000))


def changed(**dotted):
    settings = json.loads(json.dumps(SETTINGS))
    for name, value in dotted.items():
        *path, last = name.split("__")
        node = settings
        for key in path:
            node = node[key]
        node[last] = value
    return settings


def write_run(root, name, column, seed=0, *, settings=None, images=IMAGES, ratio=None, **metrics):
    directory = root / name
    directory.mkdir()
    augmented, synthetic = "aug" in column, "sd" in column
    mix = {"real": 4, "synthetic": 2 * synthetic, "augmented": 2 * augmented}
    record = {
        "column": column,
        "model": "fcn8s",
        "seed": seed,
        "data": "smears",
        # Validation is cut from train by seed, so that both hashes change with it.
        "data_hash": f"d{seed}",
        "identity": {"base": f"b{seed}", "augment": "a" if augmented else None, "synthetic": "s" if synthetic else None},
        "headline": "test/dice",
        "test/dice": float(np.mean(list(images.values()))),
        "mix": mix,
        **metrics,
    }
    with (directory / "per_image.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([("sample_id", "dice", "n_true"), *((key, value, 7.0) for key, value in images.items())])
    whole = {**(settings or SETTINGS), "mix": {"real": "all", "ratio": ratio, "total": 8}}
    (directory / "config.yaml").write_text(yaml.safe_dump(whole))
    (directory / "metrics.json").write_text(json.dumps(record))
    stamp = next(clock)
    os.utime(directory / "metrics.json", (stamp, stamp))
