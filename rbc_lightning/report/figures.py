"""Pictures: colour-coded label maps, sheets of pairs, the figure of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rbc_lightning.ops.instances import Instances

# Figures go to files, never to a window.
mpl.use("Agg")

_DPI = 110
_TILE = 3.2  # inches per panel
# Colours of the cells, told apart on white and black and by most colour-blind readers.
_ORANGE, _SKY, _GREEN, _YELLOW = (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66)
_BLUE, _VERMILION, _PURPLE, _GRAY = (0, 114, 178), (213, 94, 0), (204, 121, 167), (150, 150, 150)
_PALETTE = np.array([_ORANGE, _SKY, _GREEN, _YELLOW, _BLUE, _VERMILION, _PURPLE, _GRAY], dtype=np.uint8)


def color_labels(label_map: NDArray[np.integer], colors: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """Colour a label map (H, W) as uint8 RGB (H, W, 3), background black.

    Args:
        label_map: cell ids, 0 = background.
        colors: palette indices (H, W) from the sampler, 0 = background; without them ids cycle through the palette.
    """
    index = np.asarray(colors if colors is not None else label_map, dtype=np.int64)
    painted = _PALETTE[(index - 1) % len(_PALETTE)]
    painted[index == 0] = 0
    return painted


def outline_cells(image: NDArray[np.uint8], label_map: NDArray[np.integer], color: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Draw the inner boundary of every cell of a label map (H, W) onto a copy of an image (H, W, 3)."""
    padded = np.pad(label_map, 1, mode="edge")
    neighbours = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    border = np.logical_or.reduce([label_map != neighbour for neighbour in neighbours])
    drawn = image.copy()
    drawn[(label_map > 0) & border] = color
    return drawn


def draw_cells(image: NDArray[np.uint8], found: Instances, color: tuple[int, int, int] = _VERMILION) -> NDArray[np.uint8]:
    """Draw cells onto a copy of an image (H, W, 3): their outlines, or their boxes where there is no label map."""
    if found.label_map is not None:
        return outline_cells(image, found.label_map, color)
    drawn = image.copy()
    for left, top, right, bottom in found.boxes.round().astype(int):
        # OpenCV's corners are inclusive, ours exclusive.
        cv2.rectangle(drawn, (int(left), int(top)), (int(right) - 1, int(bottom) - 1), color, 1)
    return drawn


def save_pair_sheet(
    path: Path,
    names: Sequence[str],
    label_maps: Sequence[NDArray[np.integer]],
    *image_rows: Sequence[NDArray[Any]],
) -> None:
    """Save a sheet: label maps in the first row, one row for each sequence of images below."""
    rows = [[color_labels(label_map) for label_map in label_maps], *[list(row) for row in image_rows]]
    save_grid(path, rows, [[str(name)[:24] for name in names]])


def save_mask_sheet(path: Path, sampled: Sequence[Any]) -> None:
    """Save sampled masks (`SampledMask`) in their palette colours, two rows."""
    tiles = [color_labels(mask.label_map, mask.colors) for mask in sampled]
    titles = [f"{int(mask.label_map.max())} cells" for mask in sampled]
    half = (len(tiles) + 1) // 2
    save_grid(path, [tiles[:half], tiles[half:]], [titles[:half], titles[half:]])


def save_run_figure(
    path: Path,
    pairs: Sequence[tuple[str, NDArray[np.uint8], NDArray[np.integer]]],
    test_id: str,
    image: NDArray[np.uint8],
    label_map: NDArray[np.integer],
    found: Instances,
    note: str = "",
) -> None:
    """Save the figure of a run: real pair, synthetic pair, and the prediction over a test image.

    Args:
        path: file to write.
        pairs: kind, image and label map of each training pair shown.
        test_id: name of the test image.
        image: the test image (H, W, 3).
        label_map: its label map (H, W).
        found: cells found in the test image.
        note: a line below the number of cells found, such as a warning.
    """
    line = f"\n{note}" if note else ""
    over = draw_cells(outline_cells(image, label_map, _BLUE), found)
    rows: list[list[NDArray[Any]]] = [[color_labels(labels), picture] for _, picture, labels in pairs]
    titles = [[f"{kind}: label map", f"{kind}: image"] for kind, _, _ in pairs]
    rows.append([image, over])
    titles.append([f"test: {test_id[:18]}", f"{int(label_map.max())} cells (blue), {len(found)} found (orange){line}"])
    save_grid(path, rows, titles)


def save_grid(path: Path, rows: Sequence[Sequence[NDArray[Any]]], titles: Sequence[Sequence[str]]) -> None:
    """Save images in a grid; titles stand above the tiles of the rows that have them."""
    n_columns = max(len(row) for row in rows)
    height, width = rows[0][0].shape[:2]
    size = (n_columns * _TILE, len(rows) * (_TILE * height / width + 0.3))
    figure, axes = plt.subplots(len(rows), n_columns, figsize=size, squeeze=False, layout="compressed")
    for axis in axes.flat:
        axis.axis("off")
    for row_number, row in enumerate(rows):
        for column, tile in enumerate(row):
            axes[row_number, column].imshow(tile, interpolation="nearest")
            if row_number < len(titles) and column < len(titles[row_number]):
                axes[row_number, column].set_title(titles[row_number][column], fontsize=8)
    save_figure(figure, path)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, atomically, and close it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    figure.savefig(part, format="png", dpi=_DPI)
    plt.close(figure)
    part.replace(path)
