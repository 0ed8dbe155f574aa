"""Test images for the report: truth, and what one run of each model predicts, read from its best weights and cached."""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import file_digest
from math import isfinite
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

from rbc_lightning import __version__
from rbc_lightning.artifacts import content_hash
from rbc_lightning.data.formats import read_image, read_label_map, write_atomically
from rbc_lightning.data.manifest import Record
from rbc_lightning.errors import InputError
from rbc_lightning.ops.instances import Instances
from rbc_lightning.report.collect import Run
from rbc_lightning.report.content import GalleryImage, Layer
from rbc_lightning.report.overlays import cells_overlay, mask_overlay, truth_overlay
from rbc_lightning.report.pictures import encode_jpeg, shrink
from rbc_lightning.report.table2 import TITLES, Table2
from rbc_lightning.stages.progress import count_progress
from rbc_lightning.stages.reporting.tested_data import tested_records
from rbc_lightning.stages.segmenter import find_cells, load_best
from rbc_lightning.stages.training import precision

# Beside the full mix; of columns with as many seeds, the first.
_PREFERRED = ("rd_sd_aug", "rd_aug", "rd_sd", "rd", "sd", "rd_large", "sd_large")
_CHECKPOINT = Path("checkpoints", "best.ckpt")
_LARGEST = 1600  # pixels of the longer side of an image on the page
# Counts up when predictions of the same weights change.
_FORMAT = 1

Runs = Mapping[str, Mapping[str, Mapping[int, Run]]]


@dataclass(frozen=True)
class Gallery:
    """Images with their layers, the samples behind them, what they were made from, and what is missing, line by line."""

    images: tuple[GalleryImage, ...]
    records: tuple[Record, ...]
    sources: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class _Shown:
    """The run that speaks for a model: its name on the page, and the cells it finds by sample."""

    name: str
    score_name: str
    run: Run
    found: Mapping[str, Instances]


def gather_gallery(cfg: DictConfig, runs: Runs, table: Table2, cache: Path) -> Gallery:
    """Show `report.gallery` test images with the predictions of `report.models`.

    Args:
        cfg: the whole configuration.
        runs: model -> column -> seed -> run, those of the table.
        table: Table 2 of these runs, which names the scores.
        cache: directory that keeps predictions, each under a name made of all that decides it.
    """
    if cfg.report.gallery == 0:
        return Gallery((), (), (), ())
    records: tuple[Record, ...] = ()
    shown: list[_Shown] = []
    sources: list[str] = []
    missing: list[str] = []
    scores = {row.model: row.score for row in table.rows}
    known: dict[str, tuple[Record, ...]] = {}
    for model in runs if cfg.report.models is None else cfg.report.models:
        run = choose_run(runs[model])
        try:
            # Equal hashes are equal samples: the data set is read once.
            data_hash = run.metrics["data_hash"]
            tested = known[data_hash] = known.get(data_hash) or tested_records(cfg, run)[: cfg.report.gallery]
            records = records or tested
            found = _predict(cfg, run, tested, cache)
        except InputError as error:
            missing.append(f"gallery, {model}: no predictions: {error}")
            continue
        shown.append(_Shown(f"{model}, {TITLES[run.column]}", scores[model], run, found))
        sources.append(f"predictions of {model}: {TITLES[run.column]}, seed {run.seed}, best weights of {run.directory.name}")
    images = tuple(_image(record, shown) for record in records)
    return Gallery(images, records, tuple(sources), tuple(missing))


def choose_run(columns: Mapping[str, Mapping[int, Run]]) -> Run:
    """The run that speaks for a model: RD+SD+aug, else the column with most seeds; the lowest seed that kept its weights."""
    order = sorted(columns, key=lambda name: (name != _PREFERRED[0], -len(columns[name]), _PREFERRED.index(name)))
    every = [columns[name][seed] for name in order for seed in sorted(columns[name])]
    return next((run for run in every if (run.directory / _CHECKPOINT).is_file()), every[0])


def _predict(cfg: DictConfig, run: Run, records: Sequence[Record], cache: Path) -> dict[str, Instances]:
    """The cells found in each sample: from the cache, else by the run's best weights."""
    checkpoint = run.directory / _CHECKPOINT
    if not checkpoint.is_file():
        raise InputError(
            f"{run.directory.name} has no {_CHECKPOINT} any more (nor has another run of this model); train it again with "
            "rerun=true, or restore it"
        )
    trained = cast(DictConfig, OmegaConf.load(run.directory / "config.yaml"))
    with checkpoint.open("rb") as handle:
        decisive = {"checkpoint": file_digest(handle, "sha256").hexdigest(), "version": __version__, "format": _FORMAT}
    decisive |= {"model": trained.model, "numerics": [precision(trained.trainer.precision), cfg.trainer.accelerator]}
    paths = {record.sample_id: cache / f"{content_hash({**decisive, 'image': record.image_sha256})}.npz" for record in records}
    found = {name: cells for name, path in paths.items() if (cells := _read(path)) is not None}
    absent = [record for record in records if record.sample_id not in found]
    if absent:
        task = load_best(run.directory, trained).to("cuda" if cfg.trainer.accelerator == "gpu" else "cpu")
        with count_progress(f"Finding cells with {run.model}", len(absent)) as advance:
            for number, record in enumerate(absent, start=1):
                found[record.sample_id] = find_cells(trained, task, read_image(record.image_path))
                _write(paths[record.sample_id], found[record.sample_id])
                advance(number, len(absent))
    return found


def _read(path: Path) -> Instances | None:
    """Cells as `_write` left them; None where there are none, or the file is damaged."""
    try:
        with np.load(path) as stored:
            return Instances(stored["boxes"], stored["scores"], stored.get("label_map"))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _write(path: Path, found: Instances) -> None:
    arrays: dict[str, NDArray[Any]] = {"boxes": found.boxes, "scores": found.scores}
    if found.label_map is not None:
        arrays["label_map"] = found.label_map

    def write(part: Path) -> None:
        # By handle: NumPy would add a suffix to the name.
        with part.open("wb") as handle:
            np.savez_compressed(handle, **arrays)  # type: ignore[arg-type]  # its stub takes the names for its own options

    write_atomically(path, write)


def _image(record: Record, shown: Sequence[_Shown]) -> GalleryImage:
    image, truth = shrink(read_image(record.image_path), _LARGEST), read_label_map(record.label_path)
    height, width = image.shape[:2]
    small = _resize(truth, height, width)
    layers = [Layer("truth", truth_overlay(small), None, "", int(truth.max(initial=0)))]
    for one in shown:
        score = one.run.per_image[record.sample_id][one.run.score]
        found = one.found[record.sample_id]
        scaled = _resized(found, truth.shape, height, width)
        # A model whose headline is Dice tells cells from background, not from each other.
        if one.run.score == "dice" and scaled.label_map is not None:
            overlay, n_cells = mask_overlay(scaled.label_map > 0, small), None
        else:
            overlay, n_cells = cells_overlay(scaled, small), len(found)
        layers.append(Layer(one.name, overlay, score if isfinite(score) else None, one.score_name, n_cells))
    return GalleryImage(record.sample_id, width, height, encode_jpeg(image), tuple(layers))


def _resized(found: Instances, shape: tuple[int, ...], height: int, width: int) -> Instances:
    label_map = None if found.label_map is None else _resize(found.label_map, height, width)
    scale = np.array([width / shape[1], height / shape[0]] * 2, dtype=np.float32)
    return Instances(found.boxes * scale, found.scores, label_map)


def _resize(label_map: NDArray[np.int32], height: int, width: int) -> NDArray[np.int32]:
    if label_map.shape == (height, width):
        return label_map
    # In floating point, which holds every id below 2**24: OpenCV does not resize 32-bit integers.
    resized = cv2.resize(label_map.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized).astype(np.int32)
