"""Test images for the report: truth, and what one run of each model predicts, computed by the caller and cached here."""

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import file_digest
from math import isfinite, nan
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from rbc_lightning import __version__
from rbc_lightning.core.files import content_hash, write_arrays
from rbc_lightning.errors import InputError
from rbc_lightning.metrics.instances import Instances
from rbc_lightning.metrics.registry import REGISTRY, match_pixels
from rbc_lightning.report.page.content import GalleryImage, Layer, Page
from rbc_lightning.report.page.overlays import agreement_overlay, cells_overlay, class_overlay, mask_overlay, truth_overlay
from rbc_lightning.report.page.pictures import encode_jpeg, shrink
from rbc_lightning.study.comparable import settings_of
from rbc_lightning.study.rows import ModelRow
from rbc_lightning.study.run_record import Run
from rbc_lightning.study.tables import TITLES

# Beside the full mix; of columns with as many seeds, the first.
_PREFERRED = ("rd_sd_aug", "rd_aug", "rd_sd", "rd", "sd", "rd_large", "sd_large")
_CHECKPOINT = Path("checkpoints", "best.ckpt")
_SLICES = 3  # of each scan
_LARGEST = 1600  # pixels of the longer side of an image on the page
# Raised when predictions of the same weights change.
_FORMAT = 1

# The row of a model, the run that stands for it, and the cells that it finds by sample.
_Shown = tuple[ModelRow, Run, Mapping[str, Instances]]


class ShownSample(Protocol):
    """What the page needs of a sample, real or synthetic."""

    @property
    def sample_id(self) -> str:
        """Its name."""

    @property
    def unit(self) -> str:
        """What its score is of: the scan that it is a slice of, or itself."""

    @property
    def image_sha256(self) -> str:
        """Hash of the image."""

    def rgb(self) -> NDArray[np.uint8]:
        """The image as a picture, uint8 (H, W, 3), whatever its channels and values."""

    def load_label_map(self) -> NDArray[np.int32]:
        """The label map, int32 (H, W), 0 = background."""


@dataclass(frozen=True)
class RunAccess:
    """What the report asks of whoever can read data sets and weights.

    Attributes:
        tested: the test samples of a run in the order of their split; raises InputError where they are gone or have changed.
        predict: the cells that a run's best weights find, by sample_id; raises InputError where that cannot be done.
        numerics: what decides a prediction beside weights and model, as plain values: precision and device.
        pairs: the samples of a directory of synthetic pairs.
    """

    tested: Callable[[Run], Sequence[ShownSample]]
    predict: Callable[[Run, Sequence[Any]], Mapping[str, Instances]]
    numerics: Callable[[Run], Any]
    pairs: Callable[[Path], Sequence[ShownSample]]


def add_gallery(
    page: Page, access: RunAccess, runs: Mapping[str, Mapping[str, Mapping[int, Run]]], cache: Path, most: int | None = None
) -> tuple[ShownSample, ...]:
    """Add test images with the predictions of one run of each model; over folds of one for each, on its own test images.

    Args:
        page: gets images and sources, or what is missing.
        access: reads test samples, and predicts.
        runs: model -> column -> seed -> run; models to be shown, all of them in the table of the page.
        cache: directory that keeps predictions, each under a name made of all that decides it.
        most: test images to show, of data of classes scans; None for all, 0 for no gallery.

    Returns:
        The samples behind the images.
    """
    samples: dict[str, ShownSample] = {}
    shown: list[_Shown] = []
    known: dict[str, tuple[ShownSample, ...]] = {}
    rows = {row.model: row for row in page.table.rows}
    chosen = [(model, run) for model, columns in runs.items() for run in choose_run(columns).as_made]
    for model, run in chosen if most != 0 else ():
        try:
            # Equal hashes are equal samples: the data set is read once.
            data_hash = run.metrics["data_hash"]
            tested = known[data_hash] = known.get(data_hash) or _fullest(access.tested(run), most)
            samples |= {sample.sample_id: sample for sample in tested}
            shown.append((rows[model], run, _predict(access, run, tested, cache)))
        except InputError as error:
            page.missing.append(f"gallery, {model}: no predictions: {error}")
            continue
        fold = "" if run.fold is None else f", fold {run.fold}"
        trained = f"{TITLES[run.column]}, seed {run.seed}{fold}, best weights of {run.directory.name}"
        page.sources.append(f"predictions of {model}: {trained}")
    page.gallery += [_image(sample, shown) for sample in samples.values()]
    return tuple(samples.values())


def _fullest(samples: Sequence[ShownSample], most: int | None) -> tuple[ShownSample, ...]:
    """The first images; of each of the first scans the few slices with most of what is labelled, in their order."""
    by_unit: dict[str, list[ShownSample]] = {}
    for sample in samples:
        by_unit.setdefault(sample.unit, []).append(sample)
    shown: list[ShownSample] = []
    for slices in list(by_unit.values())[:most]:
        sizes = [int((one.load_label_map() > 0).sum()) if len(slices) > _SLICES else 0 for one in slices]
        # Of equal ones the middle of the scan rather than its ends.
        order = sorted(range(len(slices)), key=lambda k: (-sizes[k], abs(2 * k + 1 - len(slices))))
        shown += [slices[k] for k in sorted(order[:_SLICES])]
    return tuple(shown)


def choose_run(columns: Mapping[str, Mapping[int, Run]]) -> Run:
    """The run that stands for a model: RD+SD+aug, else the column with most seeds; the lowest seed that kept its weights."""
    order = sorted(columns, key=lambda name: (name != _PREFERRED[0], -len(columns[name]), _PREFERRED.index(name)))
    every = [columns[name][seed] for name in order for seed in sorted(columns[name])]
    return next((run for run in every if (run.directory / _CHECKPOINT).is_file()), every[0])


def _predict(access: RunAccess, run: Run, samples: Sequence[ShownSample], cache: Path) -> dict[str, Instances]:
    """The cells found in each sample: from the cache, else by the run's best weights."""
    checkpoint = run.directory / _CHECKPOINT
    if not checkpoint.is_file():
        raise InputError(
            f"{run.directory.name} has no {_CHECKPOINT} any more (nor has another run of this model); train it again with "
            "rerun=true, or restore it"
        )
    with checkpoint.open("rb") as handle:
        decisive = {"checkpoint": file_digest(handle, "sha256").hexdigest(), "version": __version__, "format": _FORMAT}
    decisive |= {"model": settings_of("model")(run), "numerics": access.numerics(run)}
    paths = {sample.sample_id: cache / f"{content_hash({**decisive, 'image': sample.image_sha256})}.npz" for sample in samples}
    found = {name: cells for name, path in paths.items() if (cells := _read(path)) is not None}
    absent = [sample for sample in samples if sample.sample_id not in found]
    new = access.predict(run, absent) if absent else {}
    for name, cells in new.items():
        maps = {k: v for k, v in (("label_map", cells.label_map), ("classes", cells.classes)) if v is not None}
        write_arrays(paths[name], {"boxes": cells.boxes, "scores": cells.scores, **maps})
    return {**found, **new}


def _read(path: Path) -> Instances | None:
    """Cells from the cache; None where there are none, or the file is damaged."""
    try:
        with np.load(path) as stored:
            return Instances(stored["boxes"], stored["scores"], stored.get("label_map"), stored.get("classes"))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _image(sample: ShownSample, shown: Sequence[_Shown]) -> GalleryImage:
    image, truth = shrink(sample.rgb(), _LARGEST), sample.load_label_map()
    height, width = image.shape[:2]
    small = _resize(truth, height, width)
    shown = [entry for entry in shown if sample.sample_id in entry[2]]
    has_classes = any(by_sample[sample.sample_id].classes is not None for _, _, by_sample in shown)
    true = class_overlay(small) if has_classes else truth_overlay(small)
    layers = [Layer("truth", true, None, "", None if has_classes else int(truth.max(initial=0)))]
    for row, run, by_sample in shown:
        # Single images have no score of a metric that is pooled alone.
        score, found = run.per_image[sample.unit].get(row.metric, nan), by_sample[sample.sample_id]
        scaled = _resized(found, truth.shape, height, width)
        metric = REGISTRY.get(run.score)
        by_pixel, class_map = metric is not None and metric.per_unit is match_pixels, scaled.class_map
        if class_map is not None:
            # By foreground pixels a model is chosen where there is one class.
            overlay = agreement_overlay(class_map > 0, small > 0) if by_pixel else class_overlay(class_map)
            n_cells = None
        elif scaled.label_map is not None and by_pixel:
            # Such a model does not separate touching cells.
            overlay, n_cells = mask_overlay(scaled.label_map > 0, small), None
        else:
            overlay, n_cells = cells_overlay(scaled, small), len(found)
        name, known = f"{row.model}, {TITLES[run.column]}", score if isfinite(score) else None
        layers.append(Layer(name, overlay, known, row.score, n_cells, row.higher_is_better))
    return GalleryImage(sample.sample_id, width, height, encode_jpeg(image), tuple(layers))


def _resized(found: Instances, shape: tuple[int, ...], height: int, width: int) -> Instances:
    label_map = None if found.label_map is None else _resize(found.label_map, height, width)
    scale = np.array([width / shape[1], height / shape[0]] * 2, dtype=np.float32)
    return Instances(found.boxes * scale, found.scores, label_map, found.classes)


def _resize(label_map: NDArray[np.int32], height: int, width: int) -> NDArray[np.int32]:
    if label_map.shape == (height, width):
        return label_map
    # In floating point, which holds every id below 2**24: OpenCV does not resize 32-bit integers.
    resized = cv2.resize(label_map.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized).astype(np.int32)
