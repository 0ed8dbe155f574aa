"""Transparent pictures to lay over a test image: true cells, and what a model found, missed and made up.

Colours mean the same everywhere (`LEGEND`) and are of the Okabe-Ito palette, distinct to most colour-blind readers.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rbc_lightning.core.labels import label_map_to_contours
from rbc_lightning.metrics.average_precision import box_iou
from rbc_lightning.metrics.instances import Instances, Prediction
from rbc_lightning.metrics.label_maps import LabelMap, intersections
from rbc_lightning.metrics.registry import match_boxes

Canvas = NDArray[np.uint8]

_IOU = 0.5
_PNG_LEVEL = 6  # the highest takes several times as long for a few per cent
_PIXELS_PER_LINE = 300  # a line is one pixel wide for each so many pixels of the image's shorter side
_DASH = 5  # length of dashes and gaps, in line widths
_OPAQUE, _FAINT, _STRONG = 255, 64, 128
_SKY, _VERMILION, _YELLOW, _BLACK = (86, 180, 233), (213, 94, 0), (240, 228, 66), (0, 0, 0)
_NEIGHBOURS = ((230, 159, 0), (0, 158, 115), (204, 121, 167), _SKY, _YELLOW, (0, 114, 178))
# Index in the picture -> colour and opacity; 0 is nothing. The true cells' colours follow, a filling and a line each, then
# those of classes.
_CLEAR, _RIGHT, _RIGHT_FILL, _FALSE, _FALSE_FILL, _MISSED, _MISSED_FILL, _FIRST = range(8)
_CLASSES = _FIRST + 2 * len(_NEIGHBOURS)
_PALETTE = (
    (_BLACK, 0),
    (_SKY, _OPAQUE),
    (_SKY, _STRONG),
    (_VERMILION, _OPAQUE),
    (_VERMILION, _STRONG),
    (_BLACK, _OPAQUE),
    (_YELLOW, _STRONG),
    *((color, opacity) for color in _NEIGHBOURS for opacity in (_FAINT, _OPAQUE)),
    *((color, _STRONG) for color in _NEIGHBOURS),
)


class LegendEntry(NamedTuple):
    """What a style means: `line` and `fill` as CSS colours, empty for none."""

    text: str
    line: str
    fill: str
    dashed: bool = False


def _css(color: tuple[int, int, int], opacity: int = _OPAQUE) -> str:
    return f"rgb({color[0]} {color[1]} {color[2]} / {opacity / _OPAQUE:.2f})"


LEGEND = (
    LegendEntry("found, and there (of a mask: its outline)", _css(_SKY), ""),
    LegendEntry("found, but no true cell (of a mask: too much)", _css(_VERMILION), _css(_VERMILION, _STRONG)),
    LegendEntry("true, but missed (of a mask: too little)", _css(_BLACK), _css(_YELLOW, _STRONG), dashed=True),
)
"""The styles of predictions; a cell is found if its IoU with a true one exceeds 0.5. True cells alone have colours of no
meaning: touching ones differ."""

ONE_CLASS_LEGEND = (
    LegendEntry("found, and there", "", _css(_SKY, _STRONG)),
    LegendEntry("found, but not there", "", _css(_VERMILION, _STRONG)),
    LegendEntry("there, but missed", "", _css(_YELLOW, _STRONG)),
)
"""The styles of `agreement_overlay`, voxel by voxel."""


def class_legend(names: Sequence[str]) -> tuple[LegendEntry, ...]:
    """The styles of `class_overlay`, of truth and findings alike."""
    colors = [_NEIGHBOURS[value % len(_NEIGHBOURS)] for value in range(len(names))]
    return tuple(LegendEntry(name, "", _css(color, _STRONG)) for name, color in zip(names, colors, strict=True))


def truth_overlay(label_map: LabelMap) -> bytes:
    """Fill every cell of a label map, integer (H, W), with a translucent colour that no near neighbour has, and outline it.

    Returns:
        A PNG with palette and transparency, as large as the map.
    """
    width = line_width(label_map.shape)
    colors = _distinct_colors(label_map, reach=2 * width + 1)
    canvas = np.zeros(label_map.shape, dtype=np.uint8)
    cells = label_map > 0
    canvas[cells] = _FIRST + 2 * colors[label_map[cells]]
    canvas[label_map_to_contours(label_map, width)] += 1
    return _png(canvas)


def class_overlay(label_map: LabelMap) -> bytes:
    """Fill every class of a label map, integer (H, W), with its own translucent colour, voxel by voxel.

    Lines along borders would hide small regions, and the voxels around their holes.

    Returns:
        A PNG as `truth_overlay` gives it.
    """
    return _png(np.where(label_map > 0, _CLASSES + (label_map - 1) % len(_NEIGHBOURS), _CLEAR).astype(np.uint8))


def agreement_overlay(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> bytes:
    """Fill what is found and there, what is found alone and what is missed of a class, voxel by voxel.

    Args:
        found: bool (H, W), where the class was found.
        truth: bool (H, W), where it is.

    Returns:
        A PNG as `truth_overlay` gives it.

    Raises:
        ValueError: the two differ in shape.
    """
    _check_shapes(found.shape, truth.shape)
    styles = [_RIGHT_FILL, _FALSE_FILL, _MISSED_FILL]
    return _png(np.select([found & truth, found, truth], styles, _CLEAR).astype(np.uint8))


def cells_overlay(found: Instances, truth: LabelMap) -> bytes:
    """Outline the cells that were found, and mark false and missed ones; boxes where there is no label map.

    Outlines match if the IoU of their pixels exceeds 0.5; boxes as VOC counts them, each true cell once.

    Args:
        found: cells in an image.
        truth: integer (H, W), its label map.

    Returns:
        A PNG as `truth_overlay` gives it.

    Raises:
        ValueError: the label maps differ in shape.
    """
    return _png(_boxes(found, truth) if found.label_map is None else _outlines(found.label_map, truth))


def mask_overlay(mask: NDArray[np.bool_], truth: LabelMap) -> bytes:
    """Outline the patches of a mask of foreground, and mark where it covers too much or too little.

    Differences no wider than two lines, as every border has them, are left out.

    Args:
        mask: bool (H, W), pixels taken for cells.
        truth: integer (H, W), the label map of the image.

    Returns:
        A PNG as `truth_overlay` gives it.

    Raises:
        ValueError: mask and label map differ in shape.
    """
    _check_shapes(mask.shape, truth.shape)
    width = line_width(truth.shape)
    canvas = np.zeros(truth.shape, dtype=np.uint8)
    canvas[_wide(mask & (truth == 0), 2 * width + 1)] = _FALSE_FILL
    canvas[_wide(~mask & (truth > 0), 2 * width + 1)] = _MISSED_FILL
    canvas[label_map_to_contours(mask.astype(np.int32), width)] = _RIGHT
    return _png(canvas)


def line_width(shape: tuple[int, ...]) -> int:
    """Width in pixels of the lines over an image (H, W)."""
    return max(1, round(min(shape[:2]) / _PIXELS_PER_LINE))


def match_label_maps(found: LabelMap, truth: LabelMap) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which cells of two label maps have a partner of IoU above 0.5, which leaves each at most one.

    Returns:
        bool (n_found + 1,) and bool (n_true + 1,), by id; row 0, the background, is False.
    """
    table = intersections(found, truth)
    hits = table.iou > _IOU
    partners = []
    for label_map, cells in ((found, table.pred_cells), (truth, table.true_cells)):
        # The table numbers cells by their first pixel.
        ids, first = np.unique(label_map, return_index=True)
        ids = ids[np.argsort(first)]
        matched = np.zeros(int(label_map.max(initial=0)) + 1, dtype=np.bool_)
        matched[ids[ids > 0][cells[hits]]] = True
        partners.append(matched)
    return partners[0], partners[1]


def _outlines(found: NDArray[np.int32], truth: LabelMap) -> Canvas:
    _check_shapes(found.shape, truth.shape)
    width = line_width(truth.shape)
    found_right, true_right = match_label_maps(found, truth)
    missed = np.where(true_right[truth], 0, truth)
    wrong = (found > 0) & ~found_right[found]
    canvas = np.zeros(truth.shape, dtype=np.uint8)
    canvas[missed > 0] = _MISSED_FILL
    canvas[wrong] = _FALSE_FILL
    canvas[label_map_to_contours(missed, width) & _dashes(missed, width)] = _MISSED
    lines = label_map_to_contours(found, width)
    canvas[lines] = np.where(wrong[lines], _FALSE, _RIGHT)
    return canvas


def _boxes(found: Instances, truth: LabelMap) -> Canvas:
    image, hits, *_ = match_boxes(Prediction(found), truth)
    taken = box_iou(image.boxes, image.targets).argmax(axis=1)[hits] if hits.any() else []
    canvas = np.zeros(truth.shape, dtype=np.uint8)
    for box in np.delete(image.targets, taken, axis=0):
        _rectangle(canvas, box, _MISSED, _MISSED_FILL, dashed=True)
    for box in found.boxes[~hits]:
        _rectangle(canvas, box, _FALSE, _FALSE_FILL)
    for box in found.boxes[hits]:
        _rectangle(canvas, box, _RIGHT, None)
    return canvas


def _rectangle(canvas: Canvas, box: NDArray[np.floating], line: int, fill: int | None, *, dashed: bool = False) -> None:
    width = line_width(canvas.shape)
    height_width = np.array([canvas.shape[1], canvas.shape[0]] * 2)
    left, top, right, bottom = (int(side) for side in np.clip(np.round(box), 0, height_width))
    inside = canvas[top:bottom, left:right]
    if not inside.size:
        return
    border = np.ones(inside.shape, dtype=np.bool_)
    border[width:-width, width:-width] = False
    if fill is not None:
        inside[~border | dashed] = fill
    if dashed:
        # Along each side; its ends belong to the corners.
        rows, columns = np.indices(inside.shape)
        upright = (columns < width) | (columns >= inside.shape[1] - width)
        border &= np.where(upright, rows, columns) // (_DASH * width) % 2 == 0
    inside[border] = line


def _dashes(label_map: LabelMap, width: int) -> NDArray[np.bool_]:
    """Sectors around the centre of each cell, such that its outline comes in dashes of about one length."""
    chosen = np.zeros(label_map.shape, dtype=np.bool_)
    rows, columns = np.nonzero(label_map)
    ids = label_map[rows, columns]
    areas = np.maximum(np.bincount(ids), 1)
    middle = [np.bincount(ids, weights=places)[ids] / areas[ids] for places in (rows, columns)]
    turns = np.arctan2(rows - middle[0], columns - middle[1]) / (2 * np.pi) + 0.5
    # The perimeter of a disc of the cell's area, in pairs of dash and gap.
    pairs = np.maximum(np.round(2 * np.sqrt(np.pi * areas) / (2 * _DASH * width)), 2)[ids]
    chosen[rows, columns] = (turns * pairs) % 1 < 0.5
    return chosen


def _distinct_colors(label_map: LabelMap, reach: int) -> NDArray[np.uint8]:
    """A colour for each id (n + 1,) that no cell within `reach` pixels has, as far as the colours last."""
    pairs = _near_pairs(label_map, reach)
    colors = np.zeros(int(label_map.max(initial=0)) + 1, dtype=np.uint8)
    for cell in range(1, len(colors)):
        # Those with smaller ids have their colours.
        taken = np.bincount(colors[pairs[pairs[:, 1] == cell, 0]], minlength=len(_NEIGHBOURS))
        colors[cell] = np.argmin(taken)
    return colors


def _near_pairs(label_map: LabelMap, reach: int) -> NDArray[np.integer]:
    """Ids (n, 2), the smaller first, of cells that have pixels within `reach` along a row, a column or a diagonal."""
    found = [np.zeros((0, 2), dtype=np.int64)]
    for step in range(1, min(reach, *(side - 1 for side in label_map.shape)) + 1):
        for first, second in (
            (label_map[:, :-step], label_map[:, step:]),
            (label_map[:-step], label_map[step:]),
            (label_map[:-step, :-step], label_map[step:, step:]),
            (label_map[:-step, step:], label_map[step:, :-step]),
        ):
            near = (first > 0) & (second > 0) & (first != second)
            found.append(np.sort(np.stack((first[near], second[near]), axis=1), axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _wide(mask: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """The parts of a mask into which a disc of this diameter fits."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return np.asarray(cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, disc) > 0)


def _check_shapes(found: tuple[int, ...], truth: tuple[int, ...]) -> None:
    if found != truth:
        raise ValueError(f"expected a prediction of the truth's shape {truth}, got {found}")


def _png(canvas: Canvas) -> bytes:
    picture = Image.fromarray(canvas).convert("P")
    picture.putpalette([channel for color, _ in _PALETTE for channel in color])
    out = io.BytesIO()
    picture.save(out, format="PNG", compress_level=_PNG_LEVEL, transparency=bytes(opacity for _, opacity in _PALETTE))
    return out.getvalue()
