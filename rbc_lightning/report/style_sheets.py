"""Sheets of a translator's work, pixel for pixel: all styles of one mask, and masks beside truth and generated images.

Drawn without resampling where the images are small enough, since a checkerboard or a seam of one pixel should be seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from rbc_lightning.ops.labels import label_map_to_contours
from rbc_lightning.report.figures import color_labels

_FONT_SIZE = 15
_BAND = 24  # height of a line of text, in pixels
_GAP = 6
# Tiles are scaled into this range of widths: whole smears down, small crops up by whole factors.
_WIDEST, _NARROWEST = 640, 200


@dataclass(frozen=True)
class TranslationRow:
    """One test sample of a translation sheet.

    Attributes:
        sample_id: written at the left.
        label_map: integer (H, W), 0 = background.
        truth: the real image, uint8 (H, W, 3).
        generated: by style mode, the image painted over the same mask, uint8 (H, W, 3).
    """

    sample_id: str
    label_map: NDArray[np.integer]
    truth: NDArray[np.uint8]
    generated: Mapping[str, NDArray[np.uint8]]


def save_style_sheet(path: Path, label_map: NDArray[np.integer], images: Mapping[str, NDArray[np.uint8]]) -> None:
    """Save one mask painted in every style as PNG, atomically (S3 Fig. 6).

    Args:
        path: file to write.
        label_map: integer (H, W), the mask all images show; drawn first.
        images: uint8 (H, W, 3) by the name of their style, in the order to show them.

    Raises:
        ValueError: no images, or one of another size than the mask.
    """
    if not images:
        raise ValueError("a style sheet needs at least one image")
    n_cells = np.count_nonzero(np.unique(label_map))
    tiles = [_mask_tile(label_map), *(_image_tile(image, label_map.shape, name) for name, image in images.items())]
    titles = [f"mask, {n_cells} cells", *images]
    height, width = label_map.shape
    # As many columns as bring the sheet near to the shape of a screen.
    n_columns = min(len(tiles), max(1, round(math.sqrt(1.6 * len(tiles) * height / width))))
    grid = [tiles[start : start + n_columns] for start in range(0, len(tiles), n_columns)]
    grid_titles = [titles[start : start + n_columns] for start in range(0, len(tiles), n_columns)]
    _save(path, _compose(grid, grid_titles, row_names=[]))


def save_translation_sheet(path: Path, rows: Sequence[TranslationRow]) -> None:
    """Save masks beside the real images and what the translator made of the masks, as PNG, atomically (S3 Fig. 5).

    Args:
        path: file to write.
        rows: one per test sample; all with the same style modes.

    Raises:
        ValueError: no rows, style modes that differ between rows, or an image of another size than its mask.
    """
    if not rows:
        raise ValueError("a translation sheet needs at least one row")
    modes = list(rows[0].generated)
    for row in rows:
        if set(row.generated) != set(modes):
            raise ValueError(f"sample {row.sample_id!r} has the style modes {list(row.generated)}, the first row has {modes}")
    tiles = [
        [
            _mask_tile(row.label_map),
            _image_tile(row.truth, row.label_map.shape, f"truth of {row.sample_id}"),
            *(_image_tile(row.generated[mode], row.label_map.shape, f"{mode} of {row.sample_id}") for mode in modes),
        ]
        for row in rows
    ]
    titles = ["mask", "truth", *(f"generated, {mode}" for mode in modes)]
    _save(path, _compose(tiles, [titles], [row.sample_id for row in rows]))


def save_picture_rows(
    path: Path,
    rows: Sequence[Sequence[NDArray[np.uint8]]],
    titles: Sequence[Sequence[str]],
    row_names: Sequence[str] = (),
) -> None:
    """Save pictures in rows as PNG, atomically.

    Args:
        path: file to write.
        rows: uint8 (H, W, 3), as many in each row as in the first.
        titles: above the pictures of the first rows, as many rows as there are here.
        row_names: written at the left, one per row; none leaves no place for them.

    Raises:
        ValueError: no pictures, or rows, titles and names that do not go together.
    """
    lengths = [len(row) for row in rows]
    if not lengths or not lengths[0] or len({*lengths, *map(len, titles)}) > 1 or len(row_names) not in (0, len(rows)):
        raise ValueError(
            f"expected rows of equal length, with a title for each of a row's pictures and a name for each row; got rows of "
            f"{lengths} pictures, titles for {[len(row) for row in titles]} and {len(row_names)} names"
        )
    _save(path, _compose([[_scaled(picture) for picture in row] for row in rows], titles, row_names))


def _mask_tile(label_map: NDArray[np.integer]) -> Image.Image:
    painted = color_labels(label_map)
    # Ids share eight colours: the outline parts touching cells of one colour.
    painted[label_map_to_contours(label_map)] = 0
    return _scaled(painted)


def _image_tile(image: NDArray[np.uint8], size: tuple[int, ...], name: str) -> Image.Image:
    if image.dtype != np.uint8 or image.shape != (*size, 3):
        raise ValueError(f"{name}: expected uint8 of shape {(*size, 3)} like its mask, got {image.dtype} {image.shape}")
    return _scaled(image)


def _scaled(picture: NDArray[np.uint8]) -> Image.Image:
    tile = Image.fromarray(np.ascontiguousarray(picture))
    if tile.width > _WIDEST:
        return tile.resize((_WIDEST, max(1, round(tile.height * _WIDEST / tile.width))), Image.Resampling.BOX)
    factor = max(1, -(-_NARROWEST // tile.width))
    return tile.resize((tile.width * factor, tile.height * factor), Image.Resampling.NEAREST)


def _compose(grid: Sequence[Sequence[Image.Image]], titles: Sequence[Sequence[str]], row_names: Sequence[str]) -> Image.Image:
    """Paste the tiles; titles above the rows that have them, row names upright at the left if there are any."""
    widths = [max(row[column].width for row in grid if column < len(row)) for column in range(len(grid[0]))]
    heights = [max(tile.height for tile in row) for row in grid]
    left = _BAND + _GAP if row_names else _GAP
    n_bands = min(len(titles), len(grid))
    size = (left + sum(widths) + _GAP * len(widths), _GAP * (len(grid) + 1) + sum(heights) + _BAND * n_bands)
    sheet = Image.new("RGB", size, "white")
    top = _GAP
    for number, row in enumerate(grid):
        if number < n_bands:
            top += _BAND
        x = left
        for column, tile in enumerate(row):
            if number < n_bands:
                sheet.paste(_text(titles[number][column], widths[column]), (x, top - _BAND))
            sheet.paste(tile, (x, top))
            x += widths[column] + _GAP
        if row_names:
            name = _text(row_names[number], heights[number]).transpose(Image.Transpose.ROTATE_90)
            sheet.paste(name, (_GAP // 2, top))
        top += heights[number] + _GAP
    return sheet


def _text(text: str, length: int) -> Image.Image:
    """One centred line, `length` pixels long; too long a text loses its middle, since names differ at both ends."""
    font = _font()
    kept = len(text)
    shown = text
    while font.getlength(shown) > length and kept > 2:
        kept -= 1
        shown = text[: (kept + 1) // 2] + "…" + text[len(text) - kept // 2 :]
    band = Image.new("RGB", (length, _BAND), "white")
    ImageDraw.Draw(band).text((length / 2, _BAND / 2), shown, fill="black", font=font, anchor="mm")
    return band


@cache
def _font() -> ImageFont.FreeTypeFont:
    # Matplotlib ships it: the same letters as in the other figures, on every machine.
    return ImageFont.truetype(str(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), _FONT_SIZE)


def _save(path: Path, sheet: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    sheet.save(part, format="PNG")
    part.replace(path)
