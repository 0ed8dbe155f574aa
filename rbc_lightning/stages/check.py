"""`stage=check`: read the data set, check every file, print its statistics, draw a preview."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from omegaconf import DictConfig, OmegaConf
from rich.table import Table

from rbc_lightning.data.dataset import empty_label_maps
from rbc_lightning.data.folder import unlisted_images
from rbc_lightning.data.formats import read_image, read_label_map
from rbc_lightning.data.manifest import SPLITS, Record
from rbc_lightning.ops.structure_maps import METHODS, structure_map, structure_threshold
from rbc_lightning.report.figures import save_pair_sheet
from rbc_lightning.report.structure_sheets import StructureRow, save_structure_preview
from rbc_lightning.stages.inputs import Inputs, console, load_inputs
from rbc_lightning.stages.painting.structures import thresholds

_SHOWN, _SHOWN_STRUCTURES = 6, 4


@dataclass(frozen=True)
class CheckResult:
    """Number of samples that passed, the preview, and that of structure maps where the translator takes any."""

    n_samples: int
    preview: Path
    structures: Path | None = None

    def summary(self) -> str:
        """One line for the end of the run."""
        beside = "" if self.structures is None else f", and at the structure maps in {self.structures}"
        return f"{self.n_samples} samples are in order; look at {self.preview}{beside}"


def run(cfg: DictConfig) -> CheckResult:
    """Check the data set and describe it, split by split."""
    inputs = load_inputs(cfg)
    title = f"{cfg.data.name}: real samples by split (mean +- standard deviation between images)"
    table = Table(title=title, title_justify="left")
    for title in ("split", "images", "groups", "cells", "foreground", "cell RGB", "background RGB"):
        table.add_column(title, justify="left" if title == "split" else "right")
    for split in SPLITS:
        records = inputs.manifest.split(split)
        rows = [_describe(read_image(r.image_path), read_label_map(r.label_path)) for r in records]
        values = np.array(rows)
        mean, spread = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        table.add_row(
            split,
            str(len(records)),
            str(len({record.group for record in records})),
            f"{mean[0]:.0f} +- {spread[0]:.0f}",
            f"{mean[1]:.0%} +- {spread[1]:.0%}",
            "/".join(f"{value:.0f}" for value in mean[2:5]) + f" +- {spread[2:5].mean():.0f}",
            "/".join(f"{value:.0f}" for value in mean[5:8]) + f" +- {spread[5:8].mean():.0f}",
        )
    console.print(table)
    if cfg.data.kind == "folder":
        for name in unlisted_images(Path(cfg.data.root), inputs.manifest):
            console.print(f"note: images/{name} is not in splits.csv and takes no part")
    empty = empty_label_maps(inputs.manifest.split("train"))
    if empty:
        console.print(f"note: training label maps without a cell, {len(empty)}: {', '.join(empty)}")
    shown = inputs.manifest.split("train")[:_SHOWN]
    preview = Path(cfg.runs_dir).resolve() / f"check_{cfg.data.name}.png"
    images = [read_image(record.image_path) for record in shown]
    save_pair_sheet(preview, [r.sample_id for r in shown], [read_label_map(r.label_path) for r in shown], images)
    return CheckResult(len(inputs.manifest.records), preview, _preview_structures(cfg, inputs))


def _preview_structures(cfg: DictConfig, inputs: Inputs) -> Path | None:
    """Find every image's structure threshold, and show some maps beside those of other methods."""
    if not OmegaConf.select(cfg, "translator.task.structure", default=False):
        return None
    method = cfg.translator.task.structure_method
    # Held-out images too: a translator is judged with their own structure maps.
    levels = thresholds(inputs.manifest.records, method)
    values = list(levels.values())
    console.print(
        f"Structure maps by {method}: dark is at or below grey level {np.mean(values):.0f} on average, {min(values):.0f} to "
        f"{max(values):.0f}"
    )
    path = Path(cfg.runs_dir).resolve() / f"check_{cfg.data.name}_structures.png"
    shown = inputs.manifest.split("train")[:_SHOWN_STRUCTURES]
    save_structure_preview(path, [_structure_row(record, method, levels[record.sample_id]) for record in shown])
    return path


def _structure_row(record: Record, method: str | float, threshold: float) -> StructureRow:
    image = read_image(record.image_path)
    maps = {f"{method}: {threshold:.0f} (in use)": structure_map(image, threshold)}
    for other in METHODS:
        if other == method:
            continue
        try:
            level = structure_threshold(image, other)
        except ValueError:
            # Of the others, one that fails is told of in its caption.
            maps[f"{other}: none"] = np.zeros(image.shape[:2], dtype=np.bool_)
        else:
            maps[f"{other}: {level:.0f}"] = structure_map(image, level)
    return StructureRow(record.sample_id, image, maps)


def _describe(image: np.ndarray, label_map: np.ndarray) -> list[float]:
    """Cells, foreground share, mean RGB of cells and of background; NaN where there is none."""
    inside = label_map > 0
    colors = [image[mask].mean(axis=0) if mask.any() else np.full(3, np.nan) for mask in (inside, ~inside)]
    return [float(label_map.max()), float(inside.mean()), *colors[0], *colors[1]]
