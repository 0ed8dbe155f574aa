"""The panel of S3 Fig. 4: masks in the making, the probability map, uniform against adhesive placement, real layouts."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from rbc_lightning.report.figures import color_labels, save_figure

Layout = tuple[str, NDArray[np.integer], NDArray[np.uint8] | None]

_PANEL = 3.0  # inches


def save_placement_panel(
    path: Path, steps: Sequence[tuple[str, NDArray[np.integer], NDArray[np.float64]]], finished: Sequence[Layout]
) -> None:
    """Save the panel as PNG.

    Args:
        path: file to write.
        steps: title, label map (H, W) and probability map P(i) (H, W) after some number of cells; two rows at the top.
        finished: title, label map and palette indices (or None) of finished and real layouts; the bottom row.
    """
    height, width = steps[0][1].shape
    n_columns = max(len(steps), len(finished))
    size = (n_columns * _PANEL, 3 * (_PANEL * height / width + 0.25))
    figure, axes = plt.subplots(3, n_columns, figsize=size, squeeze=False, layout="compressed")
    for axis in axes.flat:
        axis.axis("off")
    for column, (title, label_map, probability) in enumerate(steps):
        _show(axes[0, column], title, color_labels(label_map))
        axes[1, column].imshow(probability, cmap="magma", interpolation="nearest")
        axes[1, column].set_title("P(i) of the next centre", fontsize=8)
    for column, (title, label_map, colors) in enumerate(finished):
        _show(axes[2, column], title, color_labels(label_map, colors))
    save_figure(figure, path)


def _show(axis: Axes, title: str, picture: NDArray[np.uint8]) -> None:
    axis.imshow(picture, interpolation="nearest")
    axis.set_title(title, fontsize=8)
