"""Structure maps of a data set, to look at before a training (Allender et al., Fig. 3)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rbc_lightning.core.progress import tell
from rbc_lightning.data.conversions import to_rgb
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.sample import Sample
from rbc_lightning.report.figures.style_sheets import StructureRow, save_structure_preview
from rbc_lightning.translators.pix2pix.structures.maps import METHODS, structure_map, structure_threshold, thresholds

_N_PREVIEWED = 4


def save_preview(manifest: Manifest, method: str | float, path: Path) -> Path:
    """Find every image's structure threshold by the method in use, and draw some maps beside those of other methods.

    Held-out images are looked at too, since a translator is measured with their structure maps; an `InputError` names an image
    that has no threshold.
    """
    levels = thresholds(manifest.samples, method)
    values = list(levels.values())
    side = "dark is at or below" if manifest.spec.objects == "dark" else "bright is above"
    tell(
        f"Structure maps by {method}: {side} grey level {np.mean(values):.0f} on average, {min(values):.0f} to "
        f"{max(values):.0f}"
    )
    shown = manifest.split("train")[:_N_PREVIEWED]
    save_structure_preview(path, [_structure_row(sample, method, levels[sample.sample_id]) for sample in shown])
    return path


def _structure_row(sample: Sample, method: str | float, threshold: float) -> StructureRow:
    image, spec = sample.load_image(), sample.spec
    maps = {f"{method}: {threshold:.0f} (in use)": structure_map(image, threshold, spec)}
    for other in METHODS:
        if other == method:
            continue
        try:
            level = structure_threshold(image, other, spec)
        except ValueError:
            # Of the others, one that fails is named in its caption.
            maps[f"{other}: none"] = np.zeros(image.shape[:2], dtype=np.bool_)
        else:
            maps[f"{other}: {level:.0f}"] = structure_map(image, level, spec)
    return StructureRow(sample.sample_id, to_rgb(image, spec), maps)
