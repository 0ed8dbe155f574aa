"""Pictures as encoded bytes, to be embedded in a page: photographs, cards, sheets of smears and of single cells."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from rbc_lightning.ops.labels import label_map_to_contours
from rbc_lightning.report.figures import color_labels

Pixels = NDArray[np.uint8]
Pair = tuple[Pixels, NDArray[np.integer]]

_JPEG_QUALITY = 88
_FONT_SIZE, _LINE, _MARGIN = 18, 24, 16  # of text, pixels
_GAP = 6  # between tiles, pixels
_SMEAR, _CELL = 520, 88  # width of a smear and side of a cell on a sheet, pixels
_AROUND = 1.5  # side of the square around a cell, in cell diameters


def encode_jpeg(image: Pixels) -> bytes:
    """Encode a uint8 RGB image (H, W, 3) as JPEG; equal pixels give equal bytes."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(out, format="JPEG", quality=_JPEG_QUALITY)
    return out.getvalue()


def encode_png(image: Pixels) -> bytes:
    """Encode a uint8 RGB image (H, W, 3) as PNG; equal pixels give equal bytes."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(out, format="PNG", optimize=True)
    return out.getvalue()


def shrink(image: Pixels, longest: int) -> Pixels:
    """Scale an image (H, W, 3) down, if need be, until neither side exceeds `longest` pixels."""
    factor = longest / max(image.shape[:2])
    if factor >= 1:
        return image
    size = [max(1, round(side * factor)) for side in image.shape[1::-1]]
    return np.array(Image.fromarray(image).resize((size[0], size[1]), Image.Resampling.LANCZOS))


def text_picture(text: str, columns: int = 132) -> Pixels:
    """Set text in a type of one width, black on white, lines broken after so many columns at most: uint8 (H, W, 3)."""
    lines = [part for line in text.splitlines() for part in _broken(line, columns)]
    font = _font()
    width = max(round(font.getlength(line)) for line in lines) + 2 * _MARGIN
    picture = Image.new("RGB", (width, len(lines) * _LINE + 2 * _MARGIN), "white")
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        draw.text((_MARGIN, _MARGIN + number * _LINE), line, fill="black", font=font)
    return np.array(picture)


def smear_sheet(pairs: Sequence[Pair]) -> Pixels:
    """Set label maps above the smears they belong to.

    Args:
        pairs: images uint8 (H, W, 3) and label maps integer (H, W); at least one.

    Returns:
        uint8 (rows, columns, 3).
    """
    columns = []
    for image, label_map in pairs:
        painted = color_labels(label_map)
        # Ids share eight colours: the outline parts touching cells of one colour.
        painted[label_map_to_contours(label_map)] = 0
        columns.append((_to_width(painted, Image.Resampling.NEAREST), _to_width(image, Image.Resampling.LANCZOS)))
    return _grid([[mask for mask, _ in columns], [image for _, image in columns]])


def cell_sheet(rows: Sequence[Sequence[Pair]], per_row: int = 14) -> Pixels:
    """Set single cells of the same magnification side by side, one row for each group of images.

    Args:
        rows: groups of images uint8 (H, W, 3) with label maps integer (H, W).
        per_row: cells at most; they are spread evenly over those of a group that are whole.

    Returns:
        uint8 (rows, columns, 3).

    Raises:
        ValueError: no group, or none has a cell clear of its image's border.
    """
    found = [list(_whole_cells(pairs)) for pairs in rows]
    sides = [max(size) for cells in found for _, _, size in cells]
    if not sides:
        raise ValueError("expected at least one cell that is clear of its image's border")
    reach = max(2, round(float(np.median(sides)) * _AROUND / 2))
    tiles = []
    for pairs, cells in zip(rows, found, strict=True):
        chosen = [cells[index] for index in np.unique(np.linspace(0, len(cells) - 1, per_row).astype(int))] if cells else []
        tiles.append([_cut(pairs[number][0], middle, reach) for number, middle, _ in chosen])
    return _grid([row for row in tiles if row])


def _broken(line: str, columns: int) -> list[str]:
    # Wrapping would close up the gaps of a table's line.
    return [line] if len(line) <= columns else textwrap.wrap(line, columns, subsequent_indent="  ")


def _whole_cells(pairs: Sequence[Pair]) -> Iterator[tuple[int, tuple[int, int], tuple[int, int]]]:
    """Number of the image, centre and size (rows, columns) of each cell that the image's border does not cut."""
    for number, (_, label_map) in enumerate(pairs):
        height, width = label_map.shape
        for found in ndimage.find_objects(label_map.astype(np.int32)):
            if found is None:
                continue
            rows, columns = found
            if rows.start and columns.start and rows.stop < height and columns.stop < width:
                middle = (rows.start + rows.stop) // 2, (columns.start + columns.stop) // 2
                yield number, middle, (rows.stop - rows.start, columns.stop - columns.start)


def _cut(image: Pixels, middle: tuple[int, int], reach: int) -> Pixels:
    # Beyond the border the image goes on as its mirror image.
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    tile = padded[middle[0] : middle[0] + 2 * reach, middle[1] : middle[1] + 2 * reach]
    return np.array(Image.fromarray(tile).resize((_CELL, _CELL), Image.Resampling.LANCZOS))


def _to_width(image: Pixels, resampling: Image.Resampling) -> Pixels:
    size = _SMEAR, max(1, round(image.shape[0] * _SMEAR / image.shape[1]))
    return np.array(Image.fromarray(image).resize(size, resampling))


def _grid(rows: Sequence[Sequence[Pixels]]) -> Pixels:
    """Tiles on white, rows and columns as high and wide as their largest tile."""
    heights = [max(tile.shape[0] for tile in row) for row in rows]
    widths = [max(row[c].shape[1] for row in rows if c < len(row)) for c in range(max(map(len, rows)))]
    size = sum(heights) + _GAP * (len(heights) - 1), sum(widths) + _GAP * (len(widths) - 1), 3
    sheet = np.full(size, 255, dtype=np.uint8)
    top = 0
    for row, height in zip(rows, heights, strict=True):
        left = 0
        for tile, width in zip(row, widths, strict=False):
            sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
            left += width + _GAP
        top += height + _GAP
    return sheet


@cache
def _font() -> ImageFont.FreeTypeFont:
    # Matplotlib ships it: the same letters on every machine.
    return ImageFont.truetype(str(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSansMono.ttf")), _FONT_SIZE)
