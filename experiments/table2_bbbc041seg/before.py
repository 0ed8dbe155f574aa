"""Verdicts of the former statistics on the recorded scores: images independent, columns' seeds too, Holm over all comparisons.

git worktree add ../before 61a41fe && PYTHONPATH=../before python experiments/table2_bbbc041seg/before.py
"""

import csv
from itertools import product
from pathlib import Path

import numpy as np

# Of that commit.
from rbc_lightning.study.statistics import holm, paired_bootstrap, permutation_p_value, verdict

REFERENCES, COLUMNS = ("rd_aug", "rd"), ("rd", "sd", "rd_aug", "rd_sd", "rd_sd_aug")
QUESTIONS = (("rd_sd_aug", "rd_aug"), ("rd_sd", "rd"))
SCORES = {"fcn8s": "dice", "dcan": "ap50", "faster_rcnn": "ap50"}


def main() -> None:
    """Print, for each model, the two questions by the former rules."""
    with Path(__file__).with_name("per_image.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    for model, score in SCORES.items():
        found = {}
        for column in COLUMNS:
            mine = [row for row in rows if (row["model"], row["column"]) == (model, column)]
            seeds = sorted({row["seed"] for row in mine})
            if seeds:
                found[column] = np.array([[float(row[score]) for row in mine if row["seed"] == seed] for seed in seeds])
        pairs = list(
            {frozenset(pair): pair for pair in product(found, REFERENCES) if pair[0] != pair[1] and pair[1] in found}.values()
        )
        corrected = dict(
            zip(map(frozenset, pairs), holm([permutation_p_value(found[a], found[b]) for a, b in pairs]), strict=True)
        )
        for one, other in QUESTIONS:
            if one in found and other in found:
                difference, p = paired_bootstrap(found[one], found[other]), corrected[frozenset((one, other))]
                interval = f"{difference.value:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}]"
                print(f"{model} {one} against {other}: {interval}, p = {p:.3f}, {verdict(difference, p)}")


if __name__ == "__main__":
    main()
