"""Pictures: colour-coded label maps, sheets of pairs, stages of a mask, the figure of a run."""

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rbc_lightning.core.files import write_atomically
from rbc_lightning.core.labels import label_map_to_contours
from rbc_lightning.metrics.instances import Instances

# Figures go to files, never to a window.
mpl.use("Agg")

_DPI = 110
_TILE = (3.2, 0.3)  # inches: width of a panel, height of its title
# Colours of the cells: distinct on white and black, and to most colour-blind readers.
_ORANGE, _SKY, _GREEN, _YELLOW = (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66)
_BLUE, _VERMILION, _PURPLE, _GRAY = (0, 114, 178), (213, 94, 0), (204, 121, 167), (150, 150, 150)
_PALETTE = np.array([_ORANGE, _SKY, _GREEN, _YELLOW, _BLUE, _VERMILION, _PURPLE, _GRAY], dtype=np.uint8)
_SHADE = 0.5  # opacity of regions laid over an image
# What an answer and the truth make of a pixel: both the same class, found alone, true alone, one class taken for another.
_AGREEMENT = np.array([_SKY, _VERMILION, _YELLOW, _PURPLE], dtype=np.uint8)
_BOTH, _FOUND, _TRUE, _OTHER = range(1, 5)
_SAID = "both (blue), found alone (red), true alone (yellow)"


def color_labels(label_map: NDArray[np.integer], colors: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """Colour a label map (H, W) as uint8 RGB (H, W, 3), background black.

    Args:
        label_map: cell ids, 0 = background.
        colors: palette indices (H, W) from the sampler, 0 = background; without them ids cycle through the palette.
    """
    index = np.asarray(colors if colors is not None else label_map, dtype=np.int64)
    colored = _PALETTE[(index - 1) % len(_PALETTE)]
    colored[index == 0] = 0
    return colored


def color_classes(label_map: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Colour a label map of classes (H, W) as the generator is given it: 1 red, 2 green, 3 yellow, 4 blue, and so on."""
    return np.asarray((label_map[..., None] >> np.arange(3) & 1) * 255, dtype=np.uint8)


def outlined_labels(label_map: NDArray[np.integer]) -> NDArray[np.uint8]:
    """`color_labels`, where black outlines part touching cells, whose ids may share one of the eight colours."""
    colored = color_labels(label_map)
    colored[label_map_to_contours(label_map)] = 0
    return colored


def outline_cells(image: NDArray[np.uint8], label_map: NDArray[np.integer], color: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Draw the inner boundary of every cell of a label map (H, W) onto a copy of an image (H, W, 3)."""
    drawn = image.copy()
    drawn[label_map_to_contours(label_map)] = color
    return drawn


def shade_classes(image: NDArray[np.uint8], label_map: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Lay every class of a label map (H, W) half transparent over a copy of an image (H, W, 3), in its own colour."""
    return _shaded(image, label_map, color_labels(label_map))


def shade_agreement(image: NDArray[np.uint8], truth: NDArray[np.integer], found: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Lay over a copy of an image (H, W, 3) where two label maps of classes (H, W) agree and where not, half transparent."""
    index = np.select([truth == found, truth == 0, found == 0], [_BOTH, _FOUND, _TRUE], _OTHER)
    index[(truth == 0) & (found == 0)] = 0
    return _shaded(image, index, _AGREEMENT[index - 1])


def _shaded(image: NDArray[np.uint8], regions: NDArray[np.integer], colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    mixed = np.round((1 - _SHADE) * image + _SHADE * colors).astype(np.uint8)
    return np.where((regions > 0)[..., None], mixed, image)


def draw_cells(image: NDArray[np.uint8], found: Instances, color: tuple[int, int, int] = _VERMILION) -> NDArray[np.uint8]:
    """Draw cells onto a copy of an image (H, W, 3): their outlines, or their boxes where there is no label map.

    Regions of classes are shaded in the colours of their classes.
    """
    if found.class_map is not None:
        return shade_classes(image, found.class_map)
    if found.label_map is not None:
        return outline_cells(image, found.label_map, color)
    drawn = image.copy()
    for left, top, right, bottom in found.boxes.round().astype(int):
        # OpenCV's corners are inclusive, ours exclusive.
        cv2.rectangle(drawn, (int(left), int(top)), (int(right) - 1, int(bottom) - 1), color, 1)
    return drawn


def save_pair_sheet(
    path: Path, names: Sequence[str], label_maps: Sequence[NDArray[np.integer]], *image_rows: Sequence[NDArray[Any]]
) -> None:
    """Save a sheet: label maps in the first row, one row for each sequence of images below."""
    rows = [[color_labels(label_map) for label_map in label_maps], *[list(row) for row in image_rows]]
    save_grid(path, rows, [[str(name)[:24] for name in names]])


def save_mask_sheet(path: Path, sampled: Sequence[Any]) -> None:
    """Save sampled masks (`SampledMask`) in their palette colours, two rows."""
    tiles = [color_labels(mask.label_map, mask.colors) for mask in sampled]
    titles = [f"{mask.placed} cells" if mask.placed else "" for mask in sampled]
    half = (len(tiles) + 1) // 2
    save_grid(path, [tiles[:half], tiles[half:]], [titles[:half], titles[half:]])


def save_placement_panel(
    path: Path,
    steps: Sequence[tuple[str, NDArray[np.integer], NDArray[np.float64]]],
    finished: Sequence[tuple[str, NDArray[np.integer], NDArray[np.uint8] | None]],
) -> None:
    """Save the panel of Bailo et al. 2019, Fig. 4: stages of a mask with P(i), and layouts.

    Args:
        path: file to write.
        steps: title, label map (H, W) and probability map P(i) (H, W) after some number of cells; two rows at the top.
        finished: title, label map and palette indices (or None) of finished and real layouts; the bottom row.
    """
    rows: list[list[NDArray[Any]]] = [
        [color_labels(label_map) for _, label_map, _ in steps],
        [probability for _, _, probability in steps],
        [color_labels(label_map, colors) for _, label_map, colors in finished],
    ]
    titles = [[title for title, *_ in steps], ["P(i) of the next centre"] * len(steps), [title for title, *_ in finished]]
    save_grid(path, rows, titles, tile=(3.0, 0.25))


def save_run_figure(
    path: Path,
    pairs: Sequence[tuple[str, NDArray[np.uint8], NDArray[np.integer]]],
    test_id: str,
    image: NDArray[np.uint8],
    label_map: NDArray[np.integer],
    found: Instances,
    note: str = "",
) -> None:
    """Save the figure of a run: a training pair of each kind, and the prediction over a test image.

    Cells are outlined over one image. Classes are shaded: the truth, then where the answer agrees with it; between the two the
    answer itself, where there are several classes.

    Args:
        path: file to write.
        pairs: kind, image and label map of each training pair shown.
        test_id: name of the test image.
        image: the test image (H, W, 3).
        label_map: its label map (H, W).
        found: what was found in the test image.
        note: a line below what was found, such as a warning.
    """
    line = f"\n{note}" if note else ""
    rows: list[list[NDArray[Any]]] = [[color_labels(labels), picture] for _, picture, labels in pairs]
    titles = [[f"{kind}: label map", f"{kind}: image"] for kind, _, _ in pairs]
    test, classes = [f"test: {test_id[:18]}"], found.class_map
    if classes is None:
        rows.append([image, draw_cells(outline_cells(image, label_map, _BLUE), found)])
        titles.append([*test, f"{int(label_map.max())} cells (blue), {len(found)} found (orange){line}"])
    elif max(label_map.max(), classes.max()) > 1:
        agreement = shade_agreement(image, label_map, classes)
        rows.append([image, shade_classes(image, label_map), shade_classes(image, classes), agreement])
        titles.append([*test, "truth", "found", f"{_SAID},\none class for another (pink){line}"])
    else:
        rows.append([image, shade_classes(image, label_map), shade_agreement(image, label_map, classes)])
        titles.append([*test, "truth", f"{_SAID}{line}"])
    save_grid(path, rows, titles)


def save_grid(
    path: Path, rows: Sequence[Sequence[NDArray[Any]]], titles: Sequence[Sequence[str]], tile: tuple[float, float] = _TILE
) -> None:
    """Save images, RGB (H, W, 3) or scalar (H, W), in a grid; titles stand above the tiles of the rows that have them."""
    height, width = rows[0][0].shape[:2]
    n_columns = max(len(row) for row in rows)
    size = (n_columns * tile[0], len(rows) * (tile[0] * height / width + tile[1]))
    figure, axes = plt.subplots(len(rows), n_columns, figsize=size, squeeze=False, layout="compressed")
    for axis in axes.flat:
        axis.axis("off")
    for row, row_titles, row_axes in zip_longest(rows, titles, axes, fillvalue=()):
        for image, title, axis in zip_longest(row, row_titles, row_axes[: len(row)]):
            axis.imshow(image, cmap="magma", interpolation="nearest")
            if title is not None:
                axis.set_title(title, fontsize=8)
    save_figure(figure, path)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, atomically, and close it."""
    write_atomically(path, lambda part: figure.savefig(part, format="png", dpi=_DPI))
    plt.close(figure)
