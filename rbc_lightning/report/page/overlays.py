"""Transparent pictures to lay over a test image: true cells, and what a model found, missed and made up.

What colours mean stands in `overlay_styles`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.core.labels import label_map_to_contours
from rbc_lightning.metrics.average_precision import box_iou
from rbc_lightning.metrics.instances import Instances, Prediction
from rbc_lightning.metrics.label_maps import LabelMap, intersections
from rbc_lightning.metrics.registry import match_boxes
from rbc_lightning.report.page.overlay_shapes import DASH, dashes, distinct_colors, line_width, wide
from rbc_lightning.report.page.overlay_styles import (
    CLASSES,
    CLEAR,
    FALSE,
    FALSE_FILL,
    FIRST,
    MISSED,
    MISSED_FILL,
    NEIGHBOURS,
    RIGHT,
    RIGHT_FILL,
    Canvas,
    png,
)

_IOU = 0.5


def truth_overlay(label_map: LabelMap) -> bytes:
    """Fill every cell of a label map, integer (H, W), with a translucent colour that no near neighbour has, and outline it.

    Returns:
        A PNG with palette and transparency, as large as the map.
    """
    width = line_width(label_map.shape)
    colors = distinct_colors(label_map, reach=2 * width + 1, n_colors=len(NEIGHBOURS))
    canvas = np.zeros(label_map.shape, dtype=np.uint8)
    cells = label_map > 0
    canvas[cells] = FIRST + 2 * colors[label_map[cells]]
    canvas[label_map_to_contours(label_map, width)] += 1
    return png(canvas)


def class_overlay(label_map: LabelMap) -> bytes:
    """Fill every class of a label map, integer (H, W), with its own translucent colour, voxel by voxel.

    Lines along borders would hide small regions, and the voxels around their holes.

    Returns:
        A PNG as `truth_overlay` gives it.
    """
    return png(np.where(label_map > 0, CLASSES + (label_map - 1) % len(NEIGHBOURS), CLEAR).astype(np.uint8))


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
    styles = [RIGHT_FILL, FALSE_FILL, MISSED_FILL]
    return png(np.select([found & truth, found, truth], styles, CLEAR).astype(np.uint8))


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
    return png(_boxes(found, truth) if found.label_map is None else _outlines(found.label_map, truth))


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
    canvas[wide(mask & (truth == 0), 2 * width + 1)] = FALSE_FILL
    canvas[wide(~mask & (truth > 0), 2 * width + 1)] = MISSED_FILL
    canvas[label_map_to_contours(mask.astype(np.int32), width)] = RIGHT
    return png(canvas)


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
    canvas[missed > 0] = MISSED_FILL
    canvas[wrong] = FALSE_FILL
    canvas[label_map_to_contours(missed, width) & dashes(missed, width)] = MISSED
    lines = label_map_to_contours(found, width)
    canvas[lines] = np.where(wrong[lines], FALSE, RIGHT)
    return canvas


def _boxes(found: Instances, truth: LabelMap) -> Canvas:
    image, hits, *_ = match_boxes(Prediction(found), truth)
    taken = box_iou(image.boxes, image.targets).argmax(axis=1)[hits] if hits.any() else []
    canvas = np.zeros(truth.shape, dtype=np.uint8)
    for box in np.delete(image.targets, taken, axis=0):
        _rectangle(canvas, box, MISSED, MISSED_FILL, dashed=True)
    for box in found.boxes[~hits]:
        _rectangle(canvas, box, FALSE, FALSE_FILL)
    for box in found.boxes[hits]:
        _rectangle(canvas, box, RIGHT, None)
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
        border &= np.where(upright, rows, columns) // (DASH * width) % 2 == 0
    inside[border] = line


def _check_shapes(found: tuple[int, ...], truth: tuple[int, ...]) -> None:
    if found != truth:
        raise ValueError(f"expected a prediction of the truth's shape {truth}, got {found}")
