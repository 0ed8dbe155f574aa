"""Sheets to look at after a translator's training: S3 Fig. 5 and 6, S4 Fig. 5."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.data.formats import read_image, read_label_map
from rbc_lightning.data.manifest import Record
from rbc_lightning.report.structure_sheets import save_structure_sheet, structure_picture
from rbc_lightning.report.style_sheets import TranslationRow, save_style_sheet, save_translation_sheet
from rbc_lightning.stages.painting.painters import StructurePainter, StylePainter
from rbc_lightning.stages.painting.structures import structure_of
from rbc_lightning.tasks.instance_styles import CELL

_N_STRUCTURES = 6  # structure maps that one mask is painted with

Pixels = NDArray[np.uint8]


def save_sheets(
    painter: StylePainter | StructurePainter, records: Sequence[Record], directory: Path, seed: int
) -> tuple[Path, Path]:
    """Draw two sheets: test masks, truth and what is painted over them; and one mask painted again and again.

    Args:
        painter: the trained translator.
        records: test samples to show.
        directory: gets `translations.png`, and `styles.png` or `structures.png`.
        seed: of styles, structure maps and noise.
    """
    if isinstance(painter, StylePainter):
        return _style_sheets(painter, records, directory, seed)
    return _structure_sheets(painter, records, directory, seed)


def _style_sheets(painter: StylePainter, records: Sequence[Record], directory: Path, seed: int) -> tuple[Path, Path]:
    rows = []
    for index, record in enumerate(records):
        label_map = read_label_map(record.label_path)
        painted = {mode: painter.paint(label_map, seed + index, mode) for mode in ("per_image", "per_cell")}
        rows.append(TranslationRow(record.sample_id, label_map, read_image(record.image_path), painted))
    save_translation_sheet(directory / "translations.png", rows)
    mask = rows[0].label_map
    clusters = range(len(painter.translator.style_bank.clusters_of(CELL)))
    styles = {f"cluster:{k}": painter.paint(mask, seed, f"cluster:{k}") for k in clusters}
    save_style_sheet(directory / "styles.png", mask, styles)
    return directory / "translations.png", directory / "styles.png"


def _structure_sheets(painter: StructurePainter, records: Sequence[Record], directory: Path, seed: int) -> tuple[Path, Path]:
    method = painter.translator.settings.structure_method
    rows = []
    for index, record in enumerate(records):
        image, label_map = read_image(record.image_path), read_label_map(record.label_path)
        painted: dict[str, Pixels] = {}
        if painter.bank is not None:
            structure = structure_of(record, image, method)
            painted["structure of the image"] = structure_picture(structure)
            painted["painted with it"] = painter.translator.paint(label_map, structure, seed + index)
        painted["painted with a new structure" if painted else "painted"] = painter.paint(label_map, seed + index)
        rows.append(TranslationRow(record.sample_id, label_map, image, painted))
    save_translation_sheet(directory / "translations.png", rows)
    mask, seeds = rows[0].label_map, range(seed, seed + _N_STRUCTURES)
    structures = [structure for structure in (painter.draw_structure(mask, s) for s in seeds) if structure is not None]
    save_structure_sheet(directory / "structures.png", [painter.paint(mask, s) for s in seeds], structures)
    return directory / "translations.png", directory / "structures.png"
