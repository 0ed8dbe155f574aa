"""Finished runs, made up, on disk and in memory: what a report reads, without a training."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import yaml

from rbc_lightning.study.choose import RunGroups
from rbc_lightning.study.run_record import Run
from rbc_lightning.study.tables import COLUMNS

METRICS = {
    "dice": {"title": "Dice", "higher_is_better": True},
    "ap50": {"title": "AP50", "higher_is_better": True},
    "aji": {"title": "AJI", "higher_is_better": True},
    "count_error": {"title": "Counting error", "higher_is_better": False},
}
SETTINGS = {
    "data": {"name": "smears", "root": "/here", "validation_fraction": 0.2},
    "model": {"name": "fcn8s", "net": {"width": 0.25}, "task": {"learning_rate": 0.002, "cell_size": 44.6}},
    "translator": {"name": "pix2pixhd", "path": None, "quality": {"images": 12}},
    "synthetic": {"mode": "offline", "count": 9, "path": None},
}
# What decides a run, without seed and measured facts, as recipes say it.
RECIPE = {
    "base": {
        "model": {"net": {"width": 0.25}, "task": {"learning_rate": 0.002}},
        "training": {"steps": 600, "crop": 256},
        "protocol": "held_out",
        "trainer": {"accelerator": "cpu", "precision": "32-true"},
    },
    "augmented": {"augment": {"transforms": {"flip": {"p": 0.5}}}},
    "synthetic": {
        "translator": {"batch_size": 4, "crop": 256, "phases": 2},
        "sampler": {"placement": "adhesion"},
        "synthetic": {"style": "per_image", "given": False},
    },
}
IMAGES = {"x": 0.9, "y": 0.8}
clock = iter(range(1_000_000, 2_000_000))


def changed(_base=SETTINGS, **dotted):
    """A copy of nested settings with some values changed: `changed(RECIPE, base__training__steps=300)`."""
    settings = json.loads(json.dumps(_base))
    for name, value in dotted.items():
        *path, last = name.split("__")
        node = settings
        for key in path:
            node = node[key]
        node[last] = value
    return settings


def write_run(root, name, column, seed=0, *, settings=None, recipe=RECIPE, images=IMAGES, ratio=None, by_image=None, **metrics):
    """Write a run directory.

    `images` has the headline scores by test image, `by_image` those of other metrics; `metrics` replaces entries of the record.
    """
    directory = root / name
    directory.mkdir(parents=True)
    augmented, synthetic = "aug" in column, "sd" in column
    mix = {"real": 4, "synthetic": 2 * synthetic, "augmented": 2 * augmented}
    used = {"base": True, "augmented": augmented, "synthetic": synthetic}
    headline = metrics.get("headline", "test/dice")
    score = headline.removeprefix("test/")
    record = {
        "layout": 2,
        "version": "1.0",
        "formats": {"synthetic": 1} if synthetic else {},
        "column": column,
        "model": "fcn8s",
        "seed": seed,
        "data": "smears",
        # Validation is cut from train by seed, so that both hashes change with it.
        "data_hash": f"d{seed}",
        "recipe": {part: recipe[part] if used[part] else None for part in used},
        "identity": {part: f"{part} {seed}" if used[part] else None for part in used},
        "metrics": METRICS,
        "headline": headline,
        headline: float(np.mean(list(images.values()))),
        "mix": mix,
        **metrics,
    }
    columns = {score: images, **(by_image or {})}
    rows = [(image, *(values[image] for values in columns.values()), 7.0) for image in images]
    with (directory / "per_image.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([("sample_id", *columns, "n_true"), *rows])
    whole = {**(settings or SETTINGS), "mix": {"real": "all", "ratio": ratio, "total": 8}}
    (directory / "config.yaml").write_text(yaml.safe_dump(whole))
    (directory / "metrics.json").write_text(json.dumps(record))
    stamp = next(clock)
    os.utime(directory / "metrics.json", (stamp, stamp))


# --- in memory, for Table 2

N_IMAGES = 12
GAINS = {"rd": 0.0, "sd": -0.1, "rd_aug": 0.02, "rd_sd": 0.05, "rd_sd_aug": 0.021}


def scores_of(column, seed, spread=0.002):
    """Images differ much, columns by their gains, seeds and single scores by little."""
    rng = np.random.default_rng([seed, *column.encode()])
    luck = spread * rng.standard_normal()
    return 0.8 + 0.01 * np.arange(N_IMAGES) + GAINS.get(column, 0.0) + luck + 0.002 * rng.standard_normal(N_IMAGES)


def make_run(
    model, column, seed, score="dice", optimistic=False, values=None, headline=None, translator="pix2pixhd", by_image=None
):
    """A run with the scores `values` of its headline, and of other metrics those of `by_image`."""
    values = scores_of(column, seed) if values is None else values
    metrics = {"model": model, "column": column, "seed": seed, "headline": f"test/{score}", "optimistic": optimistic}
    metrics |= {"metrics": METRICS, "mix": {"real": 8, "synthetic": 4 if "sd" in column else 0}}
    metrics[f"test/{score}"] = float(np.mean(values)) if headline is None else headline
    columns = {score: values, **(by_image or {})}
    # Rows come in another order in every run.
    order = np.random.default_rng(seed).permutation(len(values))
    per_image = {f"i{k:02d}": {name: float(found[k]) for name, found in columns.items()} for k in order}
    return Run(Path(f"{column}{seed}"), metrics, per_image, {"translator.name": translator}, 0.0)


def make_groups(models=("fcn8s",), columns=COLUMNS, seeds=(0, 1, 2), left_out=(), **settings):
    runs = {
        model: {column: {seed: make_run(model, column, seed, **settings) for seed in seeds} for column in columns}
        for model in models
    }
    return RunGroups("smears", runs, tuple(left_out))
