"""Print the figures of all finished runs as a Markdown table and write them as results.csv beside this file.

usage: experiments/downstream_bbbc041seg/table.py RUNS_DIR
"""

import csv
import json
import sys
from pathlib import Path

FIGURES = ("dice", "dice_pooled", "ap50", "ap50_11_point", "ap", "count_error", "aji", "pq")


def main(runs_dir: Path) -> None:
    """Read every metrics.json below `runs_dir`."""
    runs = [json.loads(path.read_text()) for path in sorted(runs_dir.glob("*/metrics.json"))]
    header = ("model", "column", "protocol", "seed", "steps", *FIGURES, "seconds")
    rows = [
        [run["model"], run["column"], run["protocol"], run["seed"], run["steps"]]
        + [f"{run[f'test/{name}']:.4f}" if f"test/{name}" in run else "" for name in FIGURES]
        + [run["seconds"]]
        for run in runs
    ]
    with (Path(__file__).parent / "results.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([header, *rows])
    for line in [header, ["---"] * len(header), *rows]:
        print("| " + " | ".join(map(str, line)) + " |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
