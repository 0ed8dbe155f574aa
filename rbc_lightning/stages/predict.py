"""`stage=predict`: segment a folder of images with a trained run."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from rich.progress import track
from scipy.ndimage import label as connected_components

from rbc_lightning.data.formats import IMAGE_SUFFIXES, read_image, write_image, write_label_map
from rbc_lightning.errors import InputError
from rbc_lightning.report.figures import outline
from rbc_lightning.stages.inputs import console
from rbc_lightning.stages.run_directory import METRICS, write_csv
from rbc_lightning.stages.segmenter import load_best

_ORANGE = (213, 94, 0)


@dataclass(frozen=True)
class PredictResult:
    """Where the results are, how many images were segmented, and which files could not be read."""

    output: Path
    count: int
    skipped: tuple[str, ...]

    def summary(self) -> str:
        """One line for the end of the run."""
        skipped = f"; skipped {', '.join(self.skipped)}" if self.skipped else ""
        return f"{self.count} images segmented into {self.output} (labels/, overlays/, cells.csv){skipped}"


def run(cfg: DictConfig) -> PredictResult:
    """Write a label map and an overlay for each image, and a table of cells; an unreadable file is named and skipped."""
    directory, paths = _settings(cfg)
    default = directory / "predictions" / Path(cfg.predict.images).resolve().name
    output = Path(cfg.predict.output) if cfg.predict.output is not None else default
    trained = OmegaConf.load(directory / "config.yaml")
    assert isinstance(trained, DictConfig)
    task = load_best(directory, trained).eval()
    rows: list[tuple[object, ...]] = []
    skipped: list[str] = []
    for path in track(paths, description="Segmenting", console=console):
        try:
            image = read_image(path)
        except InputError as error:
            console.print(f"skipped: {error}")
            skipped.append(path.name)
            continue
        tensor = torch.from_numpy(image.transpose(2, 0, 1).copy()).float().div_(255)[None]
        with torch.inference_mode():
            mask = task.predict_step({"image": tensor})[0].float().numpy() > 0.5
        label_map = np.asarray(connected_components(mask)[0], dtype=np.int32)
        write_label_map(output / "labels" / f"{path.stem}.png", label_map)
        write_image(output / "overlays" / f"{path.stem}.png", outline(image, mask, _ORANGE))
        rows += [(path.name, *cell) for cell in _cells(label_map)]
    write_csv(output / "cells.csv", ("image", "cell", "center_row", "center_column", "area"), rows)
    return PredictResult(output.resolve(), len(paths) - len(skipped), tuple(skipped))


def _settings(cfg: DictConfig) -> tuple[Path, list[Path]]:
    for name in ("run", "images"):
        if cfg.predict[name] is None:
            raise InputError(f"predict.{name} has no value; expected a directory: set predict.{name}=...")
    directory, images = Path(cfg.predict.run), Path(cfg.predict.images)
    if not (directory / METRICS).is_file():
        raise InputError(f"{directory}: no finished run (no {METRICS}); expected a run directory that stage=train printed")
    paths = sorted(p for p in images.glob("*") if p.suffix.lower() in IMAGE_SUFFIXES) if images.is_dir() else []
    if not paths:
        raise InputError(
            f"{images}: not a directory with images; expected files ending in {', '.join(IMAGE_SUFFIXES)} directly in it (of a "
            "data set folder, its images/)"
        )
    return directory, paths


def _cells(label_map: np.ndarray) -> list[tuple[int, float, float, int]]:
    """Id, centre (row, column) in pixels and area in pixels of every cell."""
    count = int(label_map.max())
    rows, columns = np.nonzero(label_map)
    ids = label_map[rows, columns]
    areas = np.bincount(ids, minlength=count + 1)[1:]
    centers = [np.bincount(ids, weights=axis, minlength=count + 1)[1:] / areas for axis in (rows, columns)]
    return [(i + 1, round(centers[0][i], 2), round(centers[1][i], 2), int(areas[i])) for i in range(count)]
