"""Label maps as COCO instance JSON."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from rbc_lightning.core.files import replacing, write_text
from rbc_lightning.metrics.instances import Instances

_CATEGORY = {"id": 1, "name": "red blood cell", "supercategory": "cell"}


def write_coco(path: Path, images: Iterable[tuple[str, NDArray[np.int32]]]) -> None:
    """Write file names and label maps (H, W) as COCO instance JSON, atomically.

    There is one annotation per cell, its mask as uncompressed run-length code (exact).
    """
    described: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, (name, label_map) in enumerate(images, start=1):
        height, width = label_map.shape
        described.append({"id": image_id, "file_name": name, "height": height, "width": width})
        for cell in instances(label_map):
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, "category_id": 1, "iscrowd": 0, **cell})
    write_text(path, json.dumps({"images": described, "annotations": annotations, "categories": [_CATEGORY]}))


def write_coco_found(path: Path, images: Iterable[tuple[str, tuple[int, int], Instances]]) -> None:
    """Write file names, (height, width) and cells that were found as COCO JSON, atomically.

    They are boxes [x, y, width, height] with a `score` each; cells with a label map have their exact area and mask beside the
    box, others the area of the box. Images are written as they come and not kept, so that there may be any number of them.
    """
    described: list[dict[str, Any]] = []
    count = 0
    with replacing(path) as file:
        file.write(b'{"annotations": [')
        for image_id, (name, (height, width), found) in enumerate(images, start=1):
            described.append({"id": image_id, "file_name": name, "height": height, "width": width})
            cells = _boxed(found) if found.label_map is None else instances(found.label_map)
            for cell, score in zip(cells, found.scores, strict=True):
                count += 1
                place = {"id": count, "image_id": image_id, "category_id": 1, "iscrowd": 0}
                written = json.dumps(place | cell | {"score": round(float(score), 4)})
                file.write(("," * (count > 1) + "\n" + written).encode())
        file.write(f'],\n"images": {json.dumps(described)},\n"categories": {json.dumps([_CATEGORY])}}}\n'.encode())


def _boxed(found: Instances) -> list[dict[str, Any]]:
    boxes = found.boxes.astype(float).round(2)
    return [
        {"bbox": [left, top, round(right - left, 2), round(bottom - top, 2)], "area": round((right - left) * (bottom - top), 2)}
        for left, top, right, bottom in boxes.tolist()
    ]


def instances(label_map: NDArray[np.int32]) -> list[dict[str, Any]]:
    """Box [x, y, width, height] in pixels, area in pixels and run-length code of every cell of a label map (H, W)."""
    height, width = label_map.shape
    found: list[dict[str, Any]] = []
    for index, box in enumerate(find_objects(label_map), start=1):
        if box is None:
            continue
        rows, columns = box
        mask = label_map[box] == index
        bbox = [columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start]
        code = {"size": [height, width], "counts": _run_lengths(mask, rows.start, columns.start, height, width)}
        found.append({"bbox": bbox, "area": int(mask.sum()), "segmentation": code})
    return found


def _run_lengths(mask: NDArray[np.bool_], top: int, left: int, height: int, width: int) -> list[int]:
    """COCO's code of a mask that fills a box: lengths of alternating runs, column by column, background first."""
    bottom = height - top - mask.shape[0]
    columns = np.pad(mask, ((top, bottom), (0, 0))).ravel(order="F").astype(np.int8)
    changes = np.flatnonzero(np.diff(columns, prepend=0, append=0)) + left * height
    lengths = np.diff(np.concatenate([[0], changes, [height * width]]))
    # A mask that reaches the last pixel leaves no background behind it.
    return [int(length) for length in (lengths if lengths[-1] else lengths[:-1])]
