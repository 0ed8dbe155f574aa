"""`stage=check`: read the data set, check every file, print its statistics, draw a preview."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig
from rich.table import Table

from rbc_lightning.commands.check_scans import (
    examine_scans,
    has_scans,
    save_scans,
    scan_table,
    tell_empty_slices,
    telling_slices,
)
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.commands.words import counted
from rbc_lightning.core.progress import console, count_progress, tell
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.near_duplicates import MOST_PAIRS, THRESHOLD, NearDuplicate, find_near_duplicates, n_pairs
from rbc_lightning.data.sample import SPLITS, Sample
from rbc_lightning.data.stream import empty_label_maps
from rbc_lightning.metrics.units import unit_names
from rbc_lightning.report.figures.runs import save_pair_sheet
from rbc_lightning.study.statistics import LEAST_UNITS

_SHOWN, _WARNED, _FOLDS = 6, 10, 5


@dataclass(frozen=True)
class CheckResult:
    """Number of samples that passed, previews, the preview of the translator, pairs that look alike, warnings of scans."""

    n_samples: int
    previews: tuple[Path, ...]
    translator_preview: Path | None = None
    near_duplicates: tuple[NearDuplicate, ...] = ()
    warnings: int = 0

    @property
    def preview(self) -> Path:
        """The picture to look at first."""
        return self.previews[0]

    def summary(self) -> str:
        """One line for the end of the run."""
        beside = "" if self.translator_preview is None else f", and at {self.translator_preview}"
        alike = f", but {counted(len(self.near_duplicates), 'pair')} in two splits look alike" if self.near_duplicates else ""
        doubts = f", but {counted(self.warnings, 'warning')} above" if self.warnings else ""
        first, *more = self.previews
        shown = ", ".join([str(first), *(path.name for path in more)])
        return f"{self.n_samples} samples are in order{alike}{doubts}; look at {shown}{beside}"


def run(cfg: DictConfig) -> CheckResult:
    """Check the data set and describe it, split by split."""
    experiment = Experiment(cfg)
    # Before the data set is read, which stops at the first file that is wrong.
    examined = examine_scans(experiment.reader, experiment.store)
    manifest, name = experiment.manifest, experiment.reader.name
    scans = has_scans(manifest)
    console.print(scan_table(name, manifest, examined.scans) if scans else _image_table(name, manifest))
    for note in experiment.reader.notes(manifest):
        tell(note)
    warn_of_few_units(manifest, experiment.reader.folds)
    preview = experiment.runs_dir.resolve() / f"check_{name}.png"
    previews: tuple[Path, ...] = (preview,)
    near: tuple[NearDuplicate, ...] = ()
    if not scans:
        empty = empty_label_maps(manifest.split("train"))
        if empty:
            tell(f"note: training label maps without a cell, {len(empty)}: {', '.join(empty)}")
        near = _near_duplicates(manifest)
        _save_samples(preview, manifest.split("train")[:_SHOWN])
    else:
        tell_empty_slices(manifest)
        if examined.preparation:
            previews = save_scans(preview, manifest, examined.scans, examined.preparation)
        else:
            _save_samples(preview, telling_slices(manifest)[:_SHOWN])
    # Held-out images too: a translator is measured on them.
    beside = experiment.translator().preview(manifest, preview.with_name(f"check_{name}_structures.png"))
    return CheckResult(len(manifest.samples), previews, beside, near, examined.warnings)


def _save_samples(path: Path, samples: Sequence[Sample]) -> None:
    names, label_maps = [sample.sample_id for sample in samples], [sample.load_label_map() for sample in samples]
    save_pair_sheet(path, names, label_maps, [sample.rgb() for sample in samples])


def _image_table(name: str, manifest: Manifest) -> Table:
    """Cells, foreground and levels of images, by split."""
    channels = "/".join(manifest.spec.channels) if manifest.spec.channels != ("red", "green", "blue") else "RGB"
    table = Table(title=f"{name}: real samples by split (mean +- standard deviation between images)", title_justify="left")
    for title in ("split", "images", "groups", "cells", "foreground", f"cell {channels}", f"background {channels}"):
        table.add_column(title, justify="left" if title == "split" else "right")
    # With protocol=paper there is no validation.
    for split in (split for split in SPLITS if any(sample.split == split for sample in manifest.samples)):
        samples = manifest.split(split)
        values = np.array([_describe(sample) for sample in samples])
        mean, spread = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        n_channels = manifest.spec.n_channels
        table.add_row(
            split,
            str(len(samples)),
            str(len({sample.group for sample in samples})),
            f"{mean[0]:.0f} +- {spread[0]:.0f}",
            f"{mean[1]:.0%} +- {spread[1]:.0%}",
            *(_levels(mean[part], spread[part]) for part in (slice(2, 2 + n_channels), slice(2 + n_channels, None))),
        )
    return table


def warn_of_few_units(manifest: Manifest, folds: int | None = None) -> None:
    """Warn where the test split, or that of all folds together, has too few images, or groups of them, for any verdict."""
    every = [sample for sample in manifest.samples if sample.split != "external"]
    tested = manifest.split("test") if folds is None else every
    n_units, n_all = _n_units(tested), _n_units(every)
    if n_units < LEAST_UNITS:
        what = "images" if n_units == len(tested) else "groups of images (patients, slides)"
        what = "patients" if has_scans(manifest) else what
        where = "the test split has" if folds is None else "all folds have"
        # As many folds as patients at most: with fewer of these than a verdict needs, folds are no way out.
        sweep = f"-m data.folds={_FOLDS} data.fold={','.join(map(str, range(_FOLDS)))}"
        enough = folds is None and n_all >= LEAST_UNITS
        remedy = f"move more into it, or test on all {n_all} in turn ({sweep})" if enough else "add some"
        tell(f"warning: {where} {n_units} {what}; a verdict needs at least {LEAST_UNITS}: {remedy}")


def _n_units(samples: Sequence[Sample]) -> int:
    return len(set(unit_names([sample.sample_id for sample in samples], {s.sample_id: s.group for s in samples})))


def _near_duplicates(manifest: Manifest) -> tuple[NearDuplicate, ...]:
    """Warn of samples in two splits that look like one field."""
    samples = manifest.samples
    with count_progress("Comparing the splits", len(samples)) as advance:
        near = find_near_duplicates(samples, progress=advance)
    for pair in near[:_WARNED]:
        names = " and ".join(f"{sample.sample_id!r} ({sample.split})" for sample in (pair.first, pair.second))
        tell(
            f"warning: {names} look like one field, distance {pair.distance:.2f} where different ones have more than "
            f"{THRESHOLD}: look at both, and if they are, drop one from splits.csv or give both one group"
        )
    if len(near) > _WARNED:
        tell(f"warning: {len(near) - _WARNED} more such pairs")
    if n_pairs(samples) > MOST_PAIRS:
        tell(f"note: {n_pairs(samples)} pairs in two splits, more than {MOST_PAIRS}: crops were not looked for among them")
    return tuple(near)


def _levels(mean: NDArray[np.float64], spread: NDArray[np.float64]) -> str:
    return "/".join(f"{value:.0f}" for value in mean) + f" +- {spread.mean():.0f}"


def _describe(sample: Sample) -> list[float]:
    """Cells, foreground share, mean of every channel of cells and of background; NaN where there is none."""
    image, label_map = sample.load_image(), sample.load_label_map()
    inside = label_map > 0
    nothing = np.full(image.shape[2], np.nan)
    colors = [image[mask].mean(axis=0) if mask.any() else nothing for mask in (inside, ~inside)]
    return [float(label_map.max(initial=0)), float(inside.mean()), *colors[0], *colors[1]]
