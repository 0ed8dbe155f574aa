"""`stage=predict`: find the cells in a folder of images with a trained run."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from rich.progress import track

from rbc_lightning.data.coco import write_coco_found
from rbc_lightning.data.formats import IMAGE_SUFFIXES, read_image, write_image, write_label_map
from rbc_lightning.errors import InputError
from rbc_lightning.ops.cell_table import COLUMNS, cell_table
from rbc_lightning.ops.instances import Instances
from rbc_lightning.report.figures import draw_cells
from rbc_lightning.stages.inputs import console
from rbc_lightning.stages.run_directory import METRICS, write_csv
from rbc_lightning.stages.segmenter import find_cells, load_best, load_checkpoint
from rbc_lightning.stages.settings import check_settings
from rbc_lightning.tasks.base import BaseTask
from rbc_lightning.tasks.detection import DetectionTask
from rbc_lightning.tasks.segmentation import TILE_OVERLAP, SegmentationTask


@dataclass(frozen=True)
class PredictResult:
    """Where the results are, how many images and cells they tell of, and which files could not be read."""

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


def run(cfg: DictConfig) -> PredictResult:
    """Write label maps, boxes as COCO JSON, overlays and a table of cells; an unreadable file is named and skipped."""
    directory, paths = _settings(cfg)
    images = Path(cfg.predict.images).resolve()
    # With the folder's name alone, all data sets' images/ would share one place.
    default = directory / "predictions" / f"{images.parent.name}_{images.name}"
    output = Path(cfg.predict.output) if cfg.predict.output is not None else default
    task, trained = _load(cfg, directory)
    rows: list[tuple[object, ...]] = []
    skipped: list[str] = []

    def find_all() -> Iterator[tuple[str, tuple[int, int], Instances]]:
        names = _output_names(paths)
        for path in track(paths, description="Finding cells", console=console):
            try:
                image = read_image(path)
            except InputError as error:
                console.print(f"skipped: {error}", markup=False, soft_wrap=True)
                skipped.append(path.name)
                continue
            found = find_cells(trained, task, image, cfg.predict.score)
            if found.label_map is not None:
                write_label_map(output / "labels" / f"{names[path]}.png", found.label_map)
            write_image(output / "overlays" / f"{names[path]}.png", draw_cells(image, found))
            rows.extend((path.name, number, *cell) for number, cell in enumerate(cell_table(found), start=1))
            yield path.name, image.shape[:2], found

    # Image by image: the label maps of a thousand large fields would take gigabytes.
    write_coco_found(output / "boxes.json", find_all())
    write_csv(output / "cells.csv", ("image", "cell", *COLUMNS), rows)
    count = len(paths) - len(skipped)
    return PredictResult(output.resolve(), count, len(rows), tuple(skipped), count > 0 and isinstance(task, SegmentationTask))


def _load(cfg: DictConfig, directory: Path) -> tuple[BaseTask, DictConfig]:
    """The trained task in evaluation mode, and the configuration it was trained with."""
    trained = OmegaConf.load(directory / "config.yaml")
    assert isinstance(trained, DictConfig)
    if cfg.predict.checkpoint is None:
        task = load_best(directory, trained)
    else:
        task = load_checkpoint(Path(cfg.predict.checkpoint), trained)
    tile = cfg.predict.tile
    if tile is not None and isinstance(task, DetectionTask) and tile <= task.overlap:
        raise InputError(
            f"predict.tile={tile}; expected more than the {task.overlap} pixels (two cells) that neighbouring tiles share, or "
            "null for whole images"
        )
    if cfg.trainer.accelerator == "gpu":
        task = task.to("cuda")
    task.tile = tile
    return task.eval(), trained


def _output_names(paths: list[Path]) -> dict[Path, str]:
    """Names of results without suffix; where two images differ in the suffix alone, all keep theirs."""
    unique = len({path.stem for path in paths}) == len(paths)
    return {path: path.stem if unique else path.name for path in paths}


def _settings(cfg: DictConfig) -> tuple[Path, list[Path]]:
    check_settings(cfg)
    for name in ("run", "images"):
        if cfg.predict[name] is None:
            raise InputError(f"predict.{name} has no value; expected a directory: set predict.{name}=...")
    tile, score, least = cfg.predict.tile, cfg.predict.score, 2 * TILE_OVERLAP
    if tile is not None and (isinstance(tile, bool) or not isinstance(tile, int) or tile < least):
        raise InputError(f"predict.tile={tile}; expected at least {least} pixels, or null for whole images")
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise InputError(f"predict.score={score}; expected a number from 0 (every cell) to 1, such as 0.5")
    directory, images = Path(cfg.predict.run), Path(cfg.predict.images)
    for name in (METRICS, "config.yaml"):
        if not (directory / name).is_file():
            raise InputError(f"{directory}: no finished run (no {name}); expected a run directory that stage=train printed")
    found = images.glob("*") if images.is_dir() else []
    # Beside each image, some systems keep a hidden file of its name that is none.
    paths = sorted(p for p in found if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))
    if not paths:
        raise InputError(
            f"{images}: not a directory with images; expected files ending in {', '.join(IMAGE_SUFFIXES)} directly in it (of a "
            "data set folder, its images/)"
        )
    return directory, paths
