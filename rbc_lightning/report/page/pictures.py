"""Pictures as encoded bytes, to be embedded in a page: photographs, cards, sheets of smears and of single cells."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from rbc_lightning.report.figures.runs import outlined_labels
from rbc_lightning.report.figures.style_sheets import GAP, compose, font

Pixels = NDArray[np.uint8]
Pair = tuple[Pixels, NDArray[np.integer]]

_JPEG_QUALITY = 88
_FONT_SIZE, _LINE, _MARGIN = 18, 24, 16  # of text, pixels
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


def read_picture(path: Path) -> Pixels:
    """Read a picture as uint8 (H, W, 3).

    Raises:
        ValueError: it is no picture, or damaged.
    """
    try:
        with Image.open(path) as image:
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError) as error:
        raise ValueError(f"{path}: {error}; expected a whole picture") from error


def shrink(image: Pixels, longest: int) -> Pixels:
    """Scale an image (H, W, 3) down, if need be, until neither side exceeds `longest` pixels."""
    factor = longest / max(image.shape[:2])
    if factor >= 1:
        return image
    size = [max(1, round(side * factor)) for side in image.shape[1::-1]]
    return np.array(Image.fromarray(image).resize((size[0], size[1]), Image.Resampling.LANCZOS))


def text_picture(text: str, columns: int = 132) -> Pixels:
    """Set text in a type of one width, black on white, lines broken after so many columns at most: uint8 (H, W, 3)."""
    # Wrapping would close up the gaps of a table's line.
    broken = (
        [line] if len(line) <= columns else textwrap.wrap(line, columns, subsequent_indent="  ") for line in text.splitlines()
    )
    lines, letters = [part for parts in broken for part in parts], font("DejaVuSansMono", _FONT_SIZE)
    width = max(round(letters.getlength(line)) for line in lines) + 2 * _MARGIN
    picture = Image.new("RGB", (width, len(lines) * _LINE + 2 * _MARGIN), "white")
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        draw.text((_MARGIN, _MARGIN + number * _LINE), line, fill="black", font=letters)
    return np.array(picture)


def pair_sheet(pairs: Sequence[Pair], paint: Callable[[NDArray[np.integer]], Pixels] = outlined_labels) -> Pixels:
    """Set label maps integer (H, W) above the images uint8 (H, W, 3) that they belong to: uint8 (rows, columns, 3).

    Label maps are coloured by `paint`; outlines would hide classes that have but a few pixels.
    """
    masks = [_to_width(paint(label_map), Image.Resampling.NEAREST) for _, label_map in pairs]
    return _grid([masks, [_to_width(image, Image.Resampling.LANCZOS) for image, _ in pairs]])


def cell_sheet(rows: Sequence[Sequence[Pair]], per_row: int = 14) -> Pixels:
    """Set single cells of the same magnification side by side, one row for each group of images: uint8 (rows, columns, 3).

    Args:
        rows: groups of images uint8 (H, W, 3) with label maps integer (H, W).
        per_row: cells at most; they are spread evenly over those of a group that are whole.

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


def _cut(image: Pixels, middle: tuple[int, int], reach: int) -> Image.Image:
    # Beyond the border the image goes on as its mirror image.
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    tile = padded[middle[0] : middle[0] + 2 * reach, middle[1] : middle[1] + 2 * reach]
    return Image.fromarray(tile).resize((_CELL, _CELL), Image.Resampling.LANCZOS)


def _to_width(image: Pixels, resampling: Image.Resampling) -> Image.Image:
    return Image.fromarray(image).resize((_SMEAR, max(1, round(image.shape[0] * _SMEAR / image.shape[1]))), resampling)


def _grid(rows: Sequence[Sequence[Image.Image]]) -> Pixels:
    return np.array(compose(rows))[GAP:-GAP, GAP:-GAP]
