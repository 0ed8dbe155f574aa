"""Finished runs read from disk, and from them the runs that one table may put side by side."""

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml  # type: ignore[import-untyped]  # OmegaConf's own reader; it ships no type information
from numpy.typing import NDArray

from rbc_lightning.report.tables import COLUMNS, CONTROLS

_NEEDED = ("column", "model", "seed", "data", "data_hash", "headline", "identity", "mix")
# Measured on the train split where not set; the split, and with it these, changes with the seed.
_MEASURED = ("cell_size", "max_cells")
_N_NAMED = 3  # settings and directories that a message names

Settings = dict[str, Any]


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


def group_runs(runs: Sequence[Run], data: str | None = None) -> RunGroups:
    """Choose from finished runs those of one data set that differ in model, column and seed alone.

    Of several data sets behind one name, or several settings of a model, the one with most cells of the table is taken, the
    newest among equals; of two runs of one cell the newest. Mixes given as a ratio belong to another sweep and come last.
    The test split is fixed, validation is cut from train by seed: data are told apart by the test images and by the
    settings of `data`, and, within a seed, by the hash of all samples and splits.

    Args:
        runs: finished runs.
        data: name of the data set; may be None where the runs have only one.

    Raises:
        ValueError: no runs of this data set, or several data sets and no name.
    """
    names = sorted({str(run.metrics["data"]) for run in runs})
    if not names or (data is not None and data not in names):
        wanted = "runs" if data is None else f"runs on {data}"
        raise ValueError(f"no finished {wanted}; found data sets: {', '.join(names) or 'none'}; train some, or set runs_dir")
    if data is None and len(names) > 1:
        raise ValueError(f"runs on several data sets ({', '.join(names)}); expected one table for each: name the data set")
    name = data or names[0]
    choice = _Choice()
    kept = choice.listed([run for run in runs if run.metrics["data"] == name])
    kept = choice.fullest(kept, _data_settings, "on other data", name)
    kept = choice.by_seed(kept, lambda run: {"data_hash": run.metrics["data_hash"]}, "on other samples or splits", name)
    models = {
        model: choice.of_model([run for run in kept if run.model == model], model)
        for model in sorted({run.model for run in kept})
    }
    return RunGroups(name, models, tuple(choice.left_out))


def paired_scores(runs: Mapping[str, Mapping[int, Run]], score: str) -> tuple[dict[str, NDArray[np.float64]], int]:
    """Scores (n_seeds, n_images) by column, paired by image, and how many images lack a finite score in some run.

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


class _Choice:
    """A chain of filters that remember what they left out."""

    def __init__(self) -> None:
        self.left_out: list[str] = []

    def of_model(self, runs: list[Run], model: str) -> dict[str, dict[int, Run]]:
        """Column -> seed -> run of one model."""
        runs = self.fullest(runs, _base_settings, "with other settings", model)
        # What the settings do not show: values measured on the train split, the content of pairs given by path.
        runs = self.by_seed(runs, _identity_of("base"), "with another identity.base", model)
        for part, key, settings in (
            ("augmented", "augment", _all_of("augment.")),
            ("synthetic", "synthetic", _synthetic_settings),
        ):
            # Runs without such samples agree with every setting of them.
            users = [run for run in runs if run.metrics["mix"][part]]
            kept = self.fullest(users, settings, f"with other {part} samples", model)
            kept = self.by_seed(kept, _identity_of(key), f"with another identity.{key}", model)
            runs = [run for run in runs if run in kept or run not in users]
        return {
            column: self._newest(self.fullest(of_column, _all_of("mix."), "with another mix", f"{model}, {title}"), model)
            for column, title in {**COLUMNS, **CONTROLS}.items()
            if (of_column := [run for run in runs if run.column == column])
        }

    def listed(self, runs: list[Run]) -> list[Run]:
        """Those of the five columns and the size controls."""
        kept = [run for run in runs if run.column in COLUMNS or run.column in CONTROLS]
        others = [run for run in runs if run not in kept]
        self._tell("all models", others, "with a mix that is none of the columns")
        return kept

    def fullest(self, runs: list[Run], settings: Callable[[Run], Settings], kind: str, where: str) -> list[Run]:
        """The runs that agree in these settings, where they fill most cells."""
        variants: dict[str, list[Run]] = {}
        for run in runs:
            variants.setdefault(json.dumps(settings(run), sort_keys=True, default=str), []).append(run)
        if len(variants) < 2:
            return runs
        first, *others = sorted(variants.values(), key=_rank, reverse=True)
        for other in others:
            self._tell(where, other, f"{kind} ({_difference(settings(other[0]), settings(first[0]))})")
        return first

    def by_seed(self, runs: list[Run], settings: Callable[[Run], Settings], kind: str, where: str) -> list[Run]:
        """`fullest` among the runs of each seed."""
        kept: list[Run] = []
        for seed in sorted({run.seed for run in runs}):
            kept += self.fullest([run for run in runs if run.seed == seed], settings, kind, f"{where}, seed {seed}")
        return kept

    def _newest(self, runs: list[Run], model: str) -> dict[int, Run]:
        found: dict[int, Run] = {}
        for run in sorted(runs, key=lambda run: (run.seed, run.written, run.directory.name)):
            if run.seed in found:
                self._tell(model, [found[run.seed]], f"older than {run.directory.name}")
            found[run.seed] = run
        return found

    def _tell(self, where: str, runs: list[Run], why: str) -> None:
        if runs:
            names = ", ".join(run.directory.name for run in runs[:_N_NAMED]) + (", ..." if len(runs) > _N_NAMED else "")
            self.left_out.append(f"{where}: left out {len(runs)} run{'s' if len(runs) > 1 else ''} {why}: {names}")


def _rank(runs: list[Run]) -> tuple[int, int, float, str]:
    plain = [run for run in runs if run.settings.get("mix.ratio") is None]
    cells, plain_cells = (len({(run.model, run.column, run.seed) for run in some}) for some in (runs, plain))
    return plain_cells, cells, max(run.written for run in runs), max(run.directory.name for run in runs)


def _read(directory: Path) -> Run:
    path = directory / "metrics.json"
    metrics = json.loads(path.read_text())
    missing = [key for key in _NEEDED if key not in metrics]
    if missing or metrics["headline"] not in metrics:
        raise ValueError(f"metrics.json lacks {', '.join(missing) or metrics['headline']}")
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


def _section(run: Run, *prefixes: str, without: tuple[str, ...] = ()) -> Settings:
    chosen = {name: value for name, value in run.settings.items() if name.startswith(prefixes)}
    return {name: value for name, value in chosen.items() if not name.startswith(without)}


def _data_settings(run: Run) -> Settings:
    # The same data may lie elsewhere; what is tested on does not change with the place.
    images = {name: row.get("n_true") for name, row in sorted(run.per_image.items())}
    return {**_section(run, "data.", without=("data.root",)), "test images": images}


def _base_settings(run: Run) -> Settings:
    used = _section(run, "model.", "training.", "protocol", "trainer.accelerator", "trainer.devices")
    used = {name: value for name, value in used.items() if name.rsplit(".", maxsplit=1)[-1] not in _MEASURED}
    return {**used, "headline": run.metrics["headline"], "precision": run.metrics.get("precision")}


def _synthetic_settings(run: Run) -> Settings:
    # How quality is looked at decides nothing, unless a checkpoint is chosen by it.
    looks = () if run.settings.get("translator.choose") == "quality" else ("translator.quality.",)
    used = _section(
        run, "translator.", "sampler.", "fit", "synthetic.mode", "synthetic.style", without=("translator.path", *looks)
    )
    given = {name: run.settings.get(name) is not None for name in ("translator.path", "synthetic.path")}
    return {**used, **given}


def _all_of(prefix: str) -> Callable[[Run], Settings]:
    return lambda run: _section(run, prefix)


def _identity_of(part: str) -> Callable[[Run], Settings]:
    return lambda run: {f"identity.{part}": run.metrics["identity"][part]}


def _difference(other: Settings, kept: Settings) -> str:
    """What tells two settings apart, in words."""
    names = [name for name in sorted({*other, *kept}) if other.get(name) != kept.get(name)]
    told = [f"{name} {_brief(other.get(name))} instead of {_brief(kept.get(name))}" for name in names[:_N_NAMED]]
    return "; ".join(told) + (f"; {len(names) - _N_NAMED} more" if len(names) > _N_NAMED else "")


def _brief(value: object) -> str:
    if isinstance(value, dict):
        return f"({len(value)} values)"
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
