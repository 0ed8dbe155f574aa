"""Finished runs, made up, on disk and in memory: what a report reads, without a training."""

import csv
import json
import os
from dataclasses import replace
from functools import partial
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


def write_run(
    root,
    name,
    column,
    seed=0,
    *,
    settings=None,
    recipe=RECIPE,
    images=IMAGES,
    ratio=None,
    by_image=None,
    agreement=None,
    external=None,
    **metrics,
):
    """Write a run directory.

    `images` has the headline scores by test image, `by_image` those of other metrics, `agreement` headline scores of a second
    annotation, `external` those of images of another source; `metrics` replaces entries of the record.
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
    for file, beside in (("agreement.csv", agreement), ("per_image_external.csv", external)):
        if beside:
            table = "".join(f"{image},,{value}\n" for image, value in beside.items())
            (directory / file).write_text(f"sample_id,group,{score}\n{table}")
    whole = {**(settings or SETTINGS), "mix": {"real": "all", "ratio": ratio, "total": 8}}
    (directory / "config.yaml").write_text(yaml.safe_dump(whole))
    (directory / "metrics.json").write_text(json.dumps(record))
    stamp = next(clock)
    os.utime(directory / "metrics.json", (stamp, stamp))


def write_fold(root, column, seed, fold, images, folds=5, **changes):
    """Write the directory of a run that was tested on one of several folds, on the test images of `images`."""
    settings = changed(data__folds=folds, data__fold=fold, data__fold_seed=0)
    known = {"settings": settings, "images": images, "data_hash": f"fold {fold}, cut {seed}"}
    known["identity"] = {part: f"{part} {seed} {fold}" for part in ("base", "augmented", "synthetic")}
    write = write_floor if column == "without_training" else partial(write_run, column=column)
    write(root, f"{column}_seed{seed}_fold{fold}", seed=seed, **known | changes)


def write_floor(root, name, seed=0, **changes):
    """Write the directory of a run without training."""
    nothing = dict.fromkeys(("real", "synthetic", "augmented", "total"), 0)
    recipe = changed(RECIPE, base={"model": {"task": {"min_area": None}}})
    write_run(root, name, "without_training", seed, **{"model": "threshold", "mix": nothing, "recipe": recipe} | changes)


# --- in memory, for Table 2

N_IMAGES = 12
GAINS = {"rd": 0.0, "sd": -0.1, "rd_aug": 0.02, "rd_sd": 0.05, "rd_sd_aug": 0.021}


def scores_of(column, seed, spread=0.002):
    """Images differ much, columns by their gains, seeds and single scores by little."""
    rng = np.random.default_rng([seed, *column.encode()])
    luck = spread * rng.standard_normal()
    return 0.8 + 0.01 * np.arange(N_IMAGES) + GAINS.get(column, 0.0) + luck + 0.002 * rng.standard_normal(N_IMAGES)


def make_run(
    model,
    column,
    seed,
    score="dice",
    optimistic=False,
    values=None,
    headline=None,
    translator="pix2pixhd",
    by_image=None,
    left_out=None,
    agreement=None,
):
    """A run with the scores `values` of its headline, and of other metrics those of `by_image`.

    `left_out` has scores over all images but those of a unit, by metric and unit; `agreement` those of a second annotation.
    """
    values = scores_of(column, seed) if values is None else values
    metrics = {"model": model, "column": column, "seed": seed, "headline": f"test/{score}", "optimistic": optimistic}
    metrics |= {"metrics": METRICS, "mix": {"real": 8, "synthetic": 4 if "sd" in column else 0}}
    metrics[f"test/{score}"] = float(np.mean(values)) if headline is None else headline
    metrics |= {"left_out": left_out} if left_out else {}
    columns = {score: values, **(by_image or {})}
    # Rows come in another order in every run.
    order = np.random.default_rng(seed).permutation(len(values))
    per_image = {f"i{k:02d}": {name: float(found[k]) for name, found in columns.items()} for k in order}
    return Run(Path(f"{column}{seed}"), metrics, per_image, {"translator.name": translator}, 0.0, agreement=agreement or {})


def make_floor(values=None, seeds=(0, 1, 2), **settings):
    """Runs without training by seed; a seed changes next to nothing."""
    values = 0.8 + 0.01 * np.arange(N_IMAGES) if values is None else values
    return {seed: make_run("threshold", "without_training", seed, values=values + 1e-4 * seed, **settings) for seed in seeds}


def make_pooled(model, column, seed, score="ap50", by_image=True, units=None):
    """A run whose score over all images together is the mean of their squares, which its pseudo-values then are."""
    values = scores_of(column, seed)
    units = [f"image i{k:02d}" for k in range(N_IMAGES)] if units is None else units
    left = {unit: float(np.mean(values[[name != unit for name in units]] ** 2)) for unit in sorted({*units})}
    whole = float(np.mean(values**2))
    run = make_run(model, column, seed, score=score, values=values, headline=whole, left_out={score: left})
    rows = {name: row if by_image else {} for name, row in run.per_image.items()}
    groups = {f"i{k:02d}": unit for k, unit in enumerate(units) if not unit.startswith("image ")}
    return replace(run, per_image=rows, groups=groups)


def make_pooled_columns(columns=("rd", "rd_aug"), seeds=(0, 1, 2), **settings):
    """Runs of `make_pooled` by column and seed."""
    return {column: {seed: make_pooled("dcan", column, seed, **settings) for seed in seeds} for column in columns}


def squares_of(column, seeds=(0, 1, 2)):
    """The pseudo-values of `make_pooled`, (n_seeds, n_images)."""
    return np.stack([scores_of(column, seed) ** 2 for seed in seeds])


def make_groups(models=("fcn8s",), columns=COLUMNS, seeds=(0, 1, 2), left_out=(), floor=None, **settings):
    runs = {
        model: {column: {seed: make_run(model, column, seed, **settings) for seed in seeds} for column in columns}
        for model in models
    }
    return RunGroups("smears", runs, tuple(left_out), floor or {})
