"""Collect the scores of finished runs by image, so that they can be compared again without training.

python experiments/table2_bbbc041seg/scores.py RUNS_DIR
"""

import argparse
from pathlib import Path

from rbc_lightning.core.files import write_csv
from rbc_lightning.study.collect import collect_runs

METRICS = ("dice", "ap50", "aji", "count_error")


def main() -> None:
    """Write `per_image.csv` beside this file: one line for each run and test image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs_dir", type=Path)
    runs = sorted(collect_runs(parser.parse_args().runs_dir).runs, key=lambda run: (run.model, run.column, run.seed))
    rows = [
        (run.model, run.column, run.seed, name, *(round(row[metric], 6) if metric in row else "" for metric in METRICS))
        for run in runs
        for name, row in sorted(run.per_image.items())
    ]
    write_csv(Path(__file__).with_name("per_image.csv"), ("model", "column", "seed", "sample_id", *METRICS), rows)


if __name__ == "__main__":
    main()
