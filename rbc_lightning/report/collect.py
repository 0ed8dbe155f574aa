"""Finished runs read from disk, and their scores paired by test image."""

import csv
import json
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml  # type: ignore[import-untyped]  # OmegaConf's own reader; it ships no type information
from numpy.typing import NDArray

_NEEDED = ("column", "model", "seed", "data", "data_hash", "headline", "identity", "mix")
_PARTS = {"mix": ("real", "synthetic", "augmented"), "identity": ("base", "augment", "synthetic")}
_Key = TypeVar("_Key", bound=Hashable)


# Compared by identity: two runs are the same if they are one object.
@dataclass(frozen=True, eq=False)
class Run:
    """A finished run.

    Attributes:
        directory: its run directory.
        metrics: the content of metrics.json.
        per_image: scores of each test image by sample_id, from per_image.csv.
        settings: the resolved configuration of config.yaml, flat: "training.steps" -> 600.
        written: when it finished, seconds since the epoch.
    """

    directory: Path
    metrics: Mapping[str, Any]
    per_image: Mapping[str, Mapping[str, float]]
    settings: Mapping[str, Any]
    written: float

    @property
    def model(self) -> str:
        """Name of the model."""
        return str(self.metrics["model"])

    @property
    def column(self) -> str:
        """Column of S3 Table 2, or a size control, or "other"."""
        return str(self.metrics["column"])

    @property
    def seed(self) -> int:
        """Base seed."""
        return int(self.metrics["seed"])

    @property
    def score(self) -> str:
        """Column of per_image.csv behind the headline metric: "dice" behind "test/dice"."""
        return str(self.metrics["headline"]).rsplit("/", maxsplit=1)[-1]


@dataclass(frozen=True)
class Collection:
    """The finished runs of a directory, oldest first, and one line for each that could not be read."""

    runs: tuple[Run, ...]
    unreadable: tuple[str, ...]


@dataclass(frozen=True)
class RunGroups:
    """Runs on one data set that may stand in one table.

    Attributes:
        data: name of the data set.
        runs: model -> column -> seed -> run, columns in the order of the table.
        left_out: one line for each kind of run that was left out, with the reason.
    """

    data: str
    runs: Mapping[str, Mapping[str, Mapping[int, Run]]]
    left_out: tuple[str, ...]


def collect_runs(runs_dir: Path) -> Collection:
    """Read every finished run below a directory: one whose metrics.json is there.

    Raises:
        ValueError: no such directory.
    """
    if not runs_dir.is_dir():
        raise ValueError(f"{runs_dir}: no such directory; expected the one that runs were written to: set runs_dir")
    runs, unreadable = [], []
    for path in sorted(runs_dir.glob("*/metrics.json")):
        try:
            runs.append(_read(path.parent))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
            unreadable.append(f"{path.parent.name}: left out, cannot be read ({reason}); rerun=true makes it again")
    return Collection(tuple(sorted(runs, key=lambda run: (run.written, run.directory.name))), tuple(unreadable))


def paired_scores(runs: Mapping[_Key, Mapping[int, Run]], score: str) -> tuple[dict[_Key, NDArray[np.float64]], int]:
    """Scores (n_seeds, n_images) by column (or whatever else the runs of several seeds are filed under), paired by image.

    Returns:
        The scores, and how many images are left out because some run has no finite score of them.

    Raises:
        ValueError: no image has one in every run.
    """
    tables = [run.per_image for by_seed in runs.values() for run in by_seed.values()]
    known = set.union(*(set(table) for table in tables))
    images = sorted(name for name in known if all(np.isfinite(table.get(name, {}).get(score, np.nan)) for table in tables))
    if not images:
        raise ValueError(f"no test image with a finite {score} in all of {len(tables)} runs; expected the same test split")
    scores = {
        column: np.array([[run.per_image[name][score] for name in images] for run in by_seed.values()])
        for column, by_seed in runs.items()
    }
    return scores, len(known) - len(images)


def _read(directory: Path) -> Run:
    path = directory / "metrics.json"
    metrics = json.loads(path.read_text())
    missing = [key for key in _NEEDED if key not in metrics]
    if missing or metrics["headline"] not in metrics:
        raise ValueError(f"metrics.json lacks {', '.join(missing) or metrics['headline']}")
    absent = [f"{name}.{part}" for name, parts in _PARTS.items() for part in parts if part not in metrics[name]]
    if absent or isinstance(metrics["seed"], bool) or not isinstance(metrics["seed"], int):
        raise ValueError(f"metrics.json lacks {', '.join(absent) or 'a seed'}")
    float(metrics[metrics["headline"]])
    with (directory / "per_image.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    per_image = {row.pop("sample_id"): {name: float(value) for name, value in row.items()} for row in rows}
    settings = dict(_flat(yaml.safe_load((directory / "config.yaml").read_text())))
    run = Run(directory, metrics, per_image, settings, path.stat().st_mtime)
    if not per_image or len(per_image) < len(rows) or any(run.score not in row for row in per_image.values()):
        raise ValueError(f"per_image.csv has no {run.score} for each test image, or an image twice")
    return run


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
