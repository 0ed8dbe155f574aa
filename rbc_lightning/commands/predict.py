"""`stage=predict`: find the cells in a folder of images, or the lesions in scans, with a trained run."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.progress import track

from rbc_lightning.commands.plain import plain, read_config, settings
from rbc_lightning.commands.predict_scans import ScansFound, find_in_scans
from rbc_lightning.commands.predict_splits import reader_of, splits_of
from rbc_lightning.core.build import build
from rbc_lightning.core.files import write_csv
from rbc_lightning.core.label_files import write_label_map
from rbc_lightning.core.progress import console, tell
from rbc_lightning.core.trainer import TrainerSettings
from rbc_lightning.data.conversions import to_rgb
from rbc_lightning.data.formats import IMAGE_SUFFIXES, read_image, write_image
from rbc_lightning.data.spec import RGB, ImageSpec
from rbc_lightning.data.volumes.layouts import CHALLENGE
from rbc_lightning.data.volumes.nifti import stem
from rbc_lightning.data.volumes.unlabelled import find_unlabelled
from rbc_lightning.data.writers.coco import write_coco_found
from rbc_lightning.errors import InputError
from rbc_lightning.metrics.instances import COLUMNS, Instances, cell_table
from rbc_lightning.report.figures.runs import draw_cells
from rbc_lightning.segmenters.base import BaseTask
from rbc_lightning.segmenters.model import Model
from rbc_lightning.segmenters.training import find_objects, load_best, load_checkpoint
from rbc_lightning.study.run_record import CONFIG, METRICS, is_older, read_metrics


@dataclass(frozen=True)
class PredictSettings:
    """The part `predict` of the configuration.

    Raises:
        InputError: a value is missing or refused.
    """

    run: str | None
    checkpoint: str | None
    images: str | None
    tile: int | None
    score: float
    output: str | None

    def __post_init__(self) -> None:
        for name in ("run", "images"):
            if getattr(self, name) is None:
                raise InputError(f"predict.{name} has no value; expected a directory: set predict.{name}=...")
        score = self.score
        if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
            raise InputError(f"predict.score={score}; expected a number from 0 (every cell) to 1, such as 0.5")


@dataclass(frozen=True)
class PredictResult:
    """Where the results are, of how many images and cells, and which files could not be read."""

    output: Path
    count: int
    cells: int
    skipped: tuple[str, ...]
    has_label_maps: bool

    def summary(self) -> str:
        """One line for the end of the run."""
        files = f"{'labels/, ' if self.has_label_maps else ''}overlays/, boxes.json, cells.csv"
        skipped = f"; skipped {', '.join(self.skipped)}" if self.skipped else ""
        return f"{self.cells} cells in {self.count} images, in {self.output} ({files}){skipped}"


def run(cfg: DictConfig) -> PredictResult | ScansFound:
    """Find what a run was trained to find: cells in images, or classes in scans where it was trained on slices of such."""
    chosen = settings(plain(cfg.predict), PredictSettings, "predict")
    trainer: TrainerSettings = build(plain(cfg.trainer), "trainer")
    directory = _run_directory(Path(str(chosen.run)))
    trained, images = read_config(directory), Path(str(chosen.images)).resolve()
    output = Path(chosen.output or directory / "predictions" / _place_name(images))
    reader = reader_of(trained["data"])
    if reader is None:
        paths = _images(Path(str(chosen.images)))
        return _find_cells(_load(directory, trained, chosen, trainer), trained, paths, output, chosen.score)
    scans, errors = find_unlabelled(images, reader.preparation.channels)
    task = _load(directory, trained, chosen, trainer)
    splits = splits_of(scans, reader, trained)
    return find_in_scans(task, reader.preparation, scans, errors, splits, output, str(trained["trainer"]["precision"]))


def _place_name(images: Path) -> str:
    """Of a directory or file with the folder that it is in: by its own name alone, all data sets' images/ would share one."""
    folder = images.parent.parent if images.parent.name == CHALLENGE else images.parent
    return f"{folder.name}_{stem(images)}"


def _find_cells(task: BaseTask, trained: dict[str, Any], paths: list[Path], output: Path, score: float) -> PredictResult:
    """Write label maps, boxes as COCO JSON, overlays and a table of cells; an unreadable file is named and skipped."""
    precision = trained["trainer"]["precision"]
    # Images are of the kind that it was trained on.
    spec = ImageSpec(value_range=trained["data"].get("value_range", RGB.value_range))
    rows: list[tuple[object, ...]] = []
    skipped: list[str] = []

    def find_all() -> Iterator[tuple[str, tuple[int, int], Instances]]:
        names = _output_names(paths)
        for path in track(paths, description="Finding cells", console=console):
            try:
                image = read_image(path, spec.dtype)
            except InputError as error:
                tell(f"skipped: {error}")
                skipped.append(path.name)
                continue
            found = find_objects(task, image, spec, precision, score)
            if found.label_map is not None:
                write_label_map(output / "labels" / f"{names[path]}.png", found.label_map)
            write_image(output / "overlays" / f"{names[path]}.png", draw_cells(to_rgb(image, spec), found))
            rows.extend((path.name, number, *cell) for number, cell in enumerate(cell_table(found), start=1))
            yield path.name, image.shape[:2], found

    # Image by image: the label maps of a thousand large fields would take gigabytes.
    write_coco_found(output / "boxes.json", find_all())
    write_csv(output / "cells.csv", ("image", "cell", *COLUMNS), rows)
    if task.monitor == "val/dice" and task.learns and not task.n_classes:
        tell(
            f"note: {trained['model']['name']} tells cells from background, not from each other: touching cells are one row of "
            "cells.csv; to count, train model=dcan, unet_contour or faster_rcnn"
        )
    count = len(paths) - len(skipped)
    return PredictResult(output.resolve(), count, len(rows), tuple(skipped), count > 0 and task.has_label_maps)


def _load(directory: Path, trained: dict[str, Any], chosen: PredictSettings, trainer: TrainerSettings) -> Any:  # noqa: ANN401 (a task)
    """The trained task in evaluation mode, on the device that was asked for."""
    model = settings(trained["model"], Model, "model")
    task = load_best(directory, model) if chosen.checkpoint is None else load_checkpoint(Path(chosen.checkpoint), model)
    task.set_tile(chosen.tile)
    return task.to(trainer.device).eval()


def _run_directory(directory: Path) -> Path:
    for name in (METRICS, CONFIG):
        if not (directory / name).is_file():
            raise InputError(f"{directory}: no finished run (no {name}); expected a run directory that stage=train printed")
    if is_older(read_metrics(directory)):
        raise InputError(
            f"{directory}: made by an older layout of this package, which this one cannot load; predict with the version that "
            "made it, or train again"
        )
    return directory


def _images(images: Path) -> list[Path]:
    found = images.glob("*") if images.is_dir() else []
    # Beside each image, some systems keep a hidden file of its name that is none.
    paths = sorted(p for p in found if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))
    if not paths:
        raise InputError(
            f"{images}: not a directory with images; expected files ending in {', '.join(IMAGE_SUFFIXES)} directly in it (of a "
            "data set folder, its images/)"
        )
    return paths


def _output_names(paths: list[Path]) -> dict[Path, str]:
    """Names of results without suffix; where two images differ in the suffix alone, all keep theirs."""
    unique = len({path.stem for path in paths}) == len(paths)
    return {path: path.stem if unique else path.name for path in paths}
