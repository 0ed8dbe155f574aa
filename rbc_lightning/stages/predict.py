"""`stage=predict`: find the cells in a folder of images with a trained run."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from rich.progress import track

from rbc_lightning.data.coco import write_coco_found
from rbc_lightning.data.formats import IMAGE_SUFFIXES, read_image, write_image, write_label_map
from rbc_lightning.errors import InputError
from rbc_lightning.ops.cell_table import COLUMNS, cell_table, keep_scores
from rbc_lightning.ops.instances import Instances
from rbc_lightning.report.figures import draw_cells
from rbc_lightning.stages.inputs import console
from rbc_lightning.stages.run_directory import METRICS, write_csv
from rbc_lightning.stages.segmenter import load_best, load_checkpoint
from rbc_lightning.tasks.base import BaseTask


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
    default = directory / "predictions" / Path(cfg.predict.images).resolve().name
    output = Path(cfg.predict.output) if cfg.predict.output is not None else default
    task = _load(cfg, directory)
    names = _output_names(paths)
    rows: list[tuple[object, ...]] = []
    described: list[tuple[str, tuple[int, int], Instances]] = []
    skipped: list[str] = []
    for path in track(paths, description="Finding cells", console=console):
        try:
            image = read_image(path)
        except InputError as error:
            console.print(f"skipped: {error}")
            skipped.append(path.name)
            continue
        found = _find(task, image, cfg.predict.score)
        if found.label_map is not None:
            write_label_map(output / "labels" / f"{names[path]}.png", found.label_map)
        write_image(output / "overlays" / f"{names[path]}.png", draw_cells(image, found))
        rows += [(path.name, number, *cell) for number, cell in enumerate(cell_table(found), start=1)]
        described.append((path.name, image.shape[:2], found))
    write_csv(output / "cells.csv", ("image", "cell", *COLUMNS), rows)
    write_coco_found(output / "boxes.json", described)
    maps = any(found.label_map is not None for _, _, found in described)
    return PredictResult(output.resolve(), len(described), len(rows), tuple(skipped), maps)


def _load(cfg: DictConfig, directory: Path) -> BaseTask:
    trained = OmegaConf.load(directory / "config.yaml")
    assert isinstance(trained, DictConfig)
    if cfg.predict.checkpoint is None:
        task = load_best(directory, trained)
    else:
        task = load_checkpoint(Path(cfg.predict.checkpoint), trained)
    if cfg.trainer.accelerator == "gpu":
        task = task.to("cuda")
    task.tile = cfg.predict.tile
    return task.eval()


def _find(task: BaseTask, image: np.ndarray, score: float) -> Instances:
    tensor = torch.from_numpy(image.transpose(2, 0, 1).copy()).float().div_(255).to(task.device)
    with torch.inference_mode():
        return keep_scores(task.predict_instances(tensor), score)


def _output_names(paths: list[Path]) -> dict[Path, str]:
    """Names of results without suffix; two images that differ in the suffix alone keep it."""
    stems = Counter(path.stem for path in paths)
    return {path: path.stem if stems[path.stem] == 1 else path.name.replace(".", "_") for path in paths}


def _settings(cfg: DictConfig) -> tuple[Path, list[Path]]:
    for name in ("run", "images"):
        if cfg.predict[name] is None:
            raise InputError(f"predict.{name} has no value; expected a directory: set predict.{name}=...")
    if cfg.predict.tile is not None and cfg.predict.tile < 256:
        raise InputError(f"predict.tile={cfg.predict.tile}; expected at least 256 pixels, or null for whole images")
    directory, images = Path(cfg.predict.run), Path(cfg.predict.images)
    if not (directory / METRICS).is_file():
        raise InputError(f"{directory}: no finished run (no {METRICS}); expected a run directory that stage=train printed")
    if cfg.trainer.accelerator == "gpu" and not torch.cuda.is_available():
        raise InputError("trainer.accelerator=gpu, yet no CUDA device is at hand; take trainer=cpu")
    paths = sorted(p for p in images.glob("*") if p.suffix.lower() in IMAGE_SUFFIXES) if images.is_dir() else []
    if not paths:
        raise InputError(
            f"{images}: not a directory with images; expected files ending in {', '.join(IMAGE_SUFFIXES)} directly in it (of a "
            "data set folder, its images/)"
        )
    return directory, paths
