"""The table of experiments/style: test Dice of every run, and how far colours spread between the images it was trained on.

usage: python experiments/style/table.py RUNS ARTIFACTS
Writes dice_by_seed.csv beside this script and prints the table as Markdown.
"""

import csv
import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import yaml

from rbc_lightning.app import compose
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.sample import Sample
from rbc_lightning.evaluation.realism import BACKGROUND, CELLS, region_colors, spread


def spreads(samples: tuple[Sample, ...]) -> tuple[float, float]:
    """Standard deviation between images of the mean colour of background and cells, in grey levels."""
    colors = np.stack([region_colors(s.load_image(), s.load_label_map(), s.spec) for s in samples])
    return spread(colors[:, BACKGROUND]), spread(colors[:, CELLS])


def training_samples(directory: Path, metrics: dict, artifacts: Path) -> tuple[Sample, ...]:
    """What a run was trained on: its synthetic pairs, or the real train split."""
    if metrics["column"] == "sd":
        pairs = artifacts / "synthetic" / metrics["artifacts"]["synthetic"] / "manifest.csv"
        return Manifest.load(pairs).samples[: metrics["mix"]["synthetic"]]
    config = yaml.safe_load((directory / "config.yaml").read_text())
    overrides = [f"data={config['data']['name']}", f"data.root={config['data']['root']}", f"seed={config['seed']}"]
    return Experiment(compose([*overrides, f"artifacts_dir={artifacts}"])).manifest.split("train")


def main(runs: Path, artifacts: Path) -> None:
    """Collect, write, print."""
    rows = []
    for path in sorted(runs.glob("*/metrics.json")):
        metrics, directory = json.loads(path.read_text()), path.parent
        if metrics["column"] not in ("rd", "sd"):
            continue
        translator = yaml.safe_load((directory / "config.yaml").read_text())["translator"]
        style = translator["task"]["style"] if metrics["column"] == "sd" else "real"
        with (directory / "per_image.csv").open() as file:
            worst = min(float(row["dice"]) for row in csv.DictReader(file))
        background, cells = spreads(training_samples(directory, metrics, artifacts))
        scores = (metrics["test/dice"], worst, metrics["val/dice"], background, cells)
        rows.append((style, metrics["seed"], *(round(score, 4) for score in scores)))
    rows.sort(key=lambda row: ("real", "modulated", "concat").index(row[0]))
    header = ("trained_on", "seed", "test_dice", "worst_image", "val_dice", "spread_background", "spread_cells")
    with (Path(__file__).parent / "dice_by_seed.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    grouped = defaultdict(list)
    for row in rows:
        grouped[row[0]].append(row[2:])
    print("| trained on | seeds | test Dice | worst image | spread of background | of cells |\n|---|---|---|---|---|---|")
    for style, scores in grouped.items():
        dice, worst, _, background, cells = np.array(scores).T
        each = ", ".join(f"{value:.3f}" for value in dice)
        cells_of_row = (style, len(dice), f"{dice.mean():.3f} ({each})", f"{worst.min():.3f}", f"{background.mean():.1f}")
        print(f"| {' | '.join(map(str, cells_of_row))} | {cells.mean():.1f} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
