"""The record of a finished run: what its directory holds, read back and checked."""

import csv
import json
import math
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from rbc_lightning import __version__
from rbc_lightning.core.recipe import LAYOUT
from rbc_lightning.core.seeds import SEED_KEYS
from rbc_lightning.errors import InputError

METRICS, PER_IMAGE, CONFIG = "metrics.json", "per_image.csv", "config.yaml"
PER_IMAGE_EXTERNAL, AGREEMENT, LESIONS = "per_image_external.csv", "agreement.csv", "lesions.csv"
MEMBERS = "members"
"""Of an ensemble's directory: curves of its members, each below its number."""
PARTS = ("base", "augmented", "synthetic")
"""Parts of a run's recipe: the training itself; augmented and synthetic samples, None for a mix without them."""

_NEEDED = ("column", "model", "seed", "data", "data_hash", "headline", "recipe", "identity", "mix")
_NESTED = {"mix": ("real", "synthetic", "augmented"), "identity": PARTS, "recipe": PARTS}
# libyaml's loader is several times as fast, where PyYAML was built with it.
_TRANSLATED = "rbc_lightning.pairs.translated.TranslatedPairs"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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
        groups: patient or slide of each test image and of those of another source, where that is known.
        agreement: of test images with two annotations, scores of the second against the first by sample_id, from agreement.csv.
        external: scores of images of another source, tested apart, by sample_id, from per_image_external.csv.
        parts: the runs of single folds that `study.folds` joined in it, by fold ascending; none of a run as it was made.
    """

    directory: Path
    metrics: Mapping[str, Any]
    per_image: Mapping[str, Mapping[str, float]]
    settings: Mapping[str, Any]
    written: float
    groups: Mapping[str, str] = field(default_factory=dict)
    agreement: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    external: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    parts: tuple["Run", ...] = ()

    @property
    def model(self) -> str:
        """Name of the model."""
        return str(self.metrics["model"])

    @property
    def data(self) -> str:
        """Name of the data set."""
        return str(self.metrics["data"])

    @property
    def floor_name(self) -> str:
        """Name of the model, of one without training with the one of several classes that it finds."""
        finds = self.metrics.get("finds")
        return f"{self.model}, finds {finds} alone" if finds else self.model

    @property
    def generator(self) -> str | None:
        """Name of what made its synthetic samples: the source of pairs or, where it translates masks, the translator.

        None without synthetic samples.
        """
        if not self.metrics["mix"]["synthetic"]:
            return None
        # The group `pairs` of a run is that of its class; a source of several kinds has a name.
        module = str(self.settings.get("pairs._target_", _TRANSLATED)).rpartition(".")[0].rpartition(".")[2]
        translated = module == _TRANSLATED.rpartition(".")[0].rpartition(".")[2]
        named = "translator.name" if translated else "pairs.name"
        return str(self.settings.get(named) or module)

    @property
    def column(self) -> str:
        """Column of Table 2 of Bailo et al. 2019, or a size control, or "other"."""
        return str(self.metrics["column"])

    @property
    def seed(self) -> int:
        """Base seed."""
        return int(self.metrics["seed"])

    @property
    def fold(self) -> int | None:
        """The fold that was tested; None for the splits of the data set."""
        fold = self.settings.get("data.fold")
        return None if fold is None else int(fold)

    @property
    def as_made(self) -> tuple["Run", ...]:
        """The runs that have a directory: itself, or its parts."""
        return self.parts or (self,)

    @property
    def fold_of(self) -> dict[str, int]:
        """Fold of each test image by sample_id, where several folds were joined."""
        return {name: part.fold for part in self.parts for name in part.per_image if part.fold is not None}

    @property
    def seeds(self) -> dict[str, int]:
        """Seed of each purpose that has an effect on a run of this mix; the base seed where none is recorded."""
        mix, recorded = self.metrics["mix"], self.metrics.get("seeds", {})
        without = [] if mix["synthetic"] else ["masks", "translator", "synthetic"]
        if not any(mix.values()):
            without.append("training")
        return {purpose: int(recorded.get(purpose, self.seed)) for purpose in SEED_KEYS if purpose not in without}

    @property
    def score(self) -> str:
        """Name of the headline metric, such as "dice"."""
        return str(self.metrics["headline"]).rsplit("/", maxsplit=1)[-1]

    @property
    def optimistic(self) -> bool:
        """Whether its weights were chosen on the test split."""
        return bool(self.metrics.get("optimistic"))

    def has(self, metric: str) -> bool:
        """Whether every test image has a score of this name, be it NaN."""
        return all(metric in row for row in self.per_image.values())

    def whole(self, metric: str) -> float:
        """A score over all test images together; NaN where it is not recorded."""
        return _number(self.metrics.get(f"test/{metric}"))

    def undefined(self, metric: str) -> int:
        """Of how many test images or scans a score is not defined."""
        return sum(math.isnan(row.get(metric, 0.0)) for row in self.per_image.values())

    def left_out(self, metric: str) -> dict[str, float]:
        """A score over all test images but those of a unit, by unit: a group, or `image <sample_id>` without one.

        Empty where it is not recorded, as for a score that is the mean over images; NaN where it is undefined.
        """
        recorded = self.metrics.get("left_out", {}).get(metric, {})
        return {str(unit): _number(value) for unit, value in recorded.items()}

    def title(self, metric: str) -> str:
        """What people call a metric, as it was registered when the run was made."""
        return str(self.metrics.get("metrics", {}).get(metric, {}).get("title", metric))

    def higher_is_better(self, metric: str) -> bool:
        """Direction of a metric, as it was registered when the run was made."""
        return bool(self.metrics.get("metrics", {}).get(metric, {}).get("higher_is_better", True))


def read_metrics(directory: Path) -> dict[str, Any]:
    """The content of a run's metrics.json.

    Raises:
        InputError: it is damaged.
    """
    try:
        metrics: dict[str, Any] = json.loads((directory / METRICS).read_text())
    except ValueError as error:
        raise InputError(
            f"{directory / METRICS}: damaged ({error}); expected the record of a finished run: delete that file, and the same "
            "command writes it again, or take rerun=true"
        ) from error
    return metrics


def is_older(metrics: Mapping[str, Any]) -> bool:
    """Whether a run was made by an older layout of this package: its keys are no keys of today."""
    return metrics.get("layout") != LAYOUT


def read_run(directory: Path, metrics: Mapping[str, Any]) -> Run:
    """A run of today's layout, from its directory and the content of its metrics.json.

    Raises:
        OSError: a file is missing.
        ValueError: the record lacks what a table needs.
    """
    missing = [key for key in _NEEDED if key not in metrics]
    if not missing:
        nested = [f"{name}.{part}" for name, parts in _NESTED.items() for part in parts if part not in metrics[name]]
        missing = nested + [metrics["headline"]] * (metrics["headline"] not in metrics)
        missing += ["a seed"] * (type(metrics["seed"]) is not int)
    if missing:
        raise ValueError(f"{METRICS} lacks {', '.join(missing)}")
    float(metrics[metrics["headline"]])
    rows, per_image = _scores(directory / PER_IMAGE)
    (_, agreement), (others, external) = (
        _scores(directory / name) if (directory / name).is_file() else ([], {}) for name in (AGREEMENT, PER_IMAGE_EXTERNAL)
    )
    groups = {row["sample_id"]: row["group"] for row in (*others, *rows) if row.get("group")}
    settings = dict(flat(yaml.load((directory / CONFIG).read_text(), _LOADER)))
    run = Run(directory, metrics, per_image, settings, (directory / METRICS).stat().st_mtime, groups, agreement, external)
    if not per_image or len(per_image) < len(rows) or not run.has(run.score):
        raise ValueError(f"{PER_IMAGE} has no {run.score} for each test image, or an image twice")
    return run


def _scores(path: Path) -> tuple[list[dict[str, str]], dict[str, dict[str, float]]]:
    """Rows of a table of scores by image, and the scores by sample_id."""
    with path.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    about = ("sample_id", "group")
    return rows, {row["sample_id"]: {name: float(value) for name, value in row.items() if name not in about} for row in rows}


def _number(value: object) -> float:
    # Without NaN in JSON an undefined score is null.
    return float(value) if isinstance(value, int | float) else math.nan


def flat(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Entries of nested mappings under dotted names."""
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def check_tested(run: Run, where: str, sample_ids: Iterable[str], data_hash: str) -> None:
    """Refuse data, which lie at `where`, that are not those that a run was tested on.

    Raises:
        InputError: names of the test split, or the hash of all samples and splits, differ.
    """
    tested, there = set(run.per_image), set(sample_ids)
    if tested != there:
        raise InputError(
            f"{where} has other test images than {run.directory.name} was tested on ({len(tested & there)} of {len(tested)} "
            "are there); set data.root to the data set of the runs"
        )
    if data_hash != run.metrics["data_hash"]:
        raise InputError(
            f"{where} has changed since {run.directory.name} was tested on it (other bytes, samples or splits); restore it, "
            "set data.root to the data set of the runs, or train again on this one"
        )


def machine() -> dict[str, str | int]:
    """Hardware and versions, for the record beside the scores."""
    # Imported here: whoever only reads records does without PyTorch.
    import torch

    return {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else _processor(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "pytorch_lightning": version("pytorch-lightning"),
        "numpy": version("numpy"),
        "rbc_lightning": __version__,
    }


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
