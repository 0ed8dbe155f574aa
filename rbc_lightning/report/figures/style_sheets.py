"""Sheets of a translator's work, pixel for pixel: styles of one mask, masks beside truth and generated images, structure maps.

Drawn without resampling where the images are small enough, since a checkerboard or a seam of one pixel should be seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from rbc_lightning.core.files import write_atomically
from rbc_lightning.report.figures.runs import color_classes, outlined_labels

Structure = NDArray[np.bool_] | NDArray[np.integer[Any]]
"""A structure map (H, W), dark where not 0."""
GAP = 6
"""Pixels between tiles, and around them."""
_FONT_SIZE = 15
_BAND = 24  # height of a line of text, in pixels
# Tiles are scaled into this range of widths: whole smears down, small crops up by whole factors.
_WIDEST, _NARROWEST = 640, 200
# Of structure maps: neither black nor white, which pictures of masks are made of.
_DARK, _LIGHT = 60, 235


@dataclass(frozen=True)
class TranslationRow:
    """One test sample of a translation sheet.

    Attributes:
        sample_id: written at the left.
        label_map: integer (H, W), 0 = background.
        truth: the real image, uint8 (H, W, 3).
        generated: by style mode, the image generated from the same mask, uint8 (H, W, 3).
        of_classes: whether the label map holds classes.
    """

    sample_id: str
    label_map: NDArray[np.integer]
    truth: NDArray[np.uint8]
    generated: Mapping[str, NDArray[np.uint8]]
    of_classes: bool = False


@dataclass(frozen=True)
class StructureRow:
    """One image of a preview, uint8 (H, W, 3), with its structure maps (H, W) by their captions, in the order to show them."""

    sample_id: str
    image: NDArray[np.uint8]
    maps: Mapping[str, Structure]


def save_style_sheet(path: Path, label_map: NDArray[np.integer], images: Mapping[str, NDArray[np.uint8]]) -> None:
    """Save a mask, integer (H, W), and its images by style as PNG, atomically (Bailo et al. 2019, Fig. 6).

    Images are uint8 (H, W, 3), in the order to show them.

    Raises:
        ValueError: no images, or one of another size than the mask.
    """
    if not images:
        raise ValueError("a style sheet needs at least one image")
    n_cells = np.count_nonzero(np.unique(label_map))
    pictures = [outlined_labels(label_map), *(_checked(image, label_map.shape, name) for name, image in images.items())]
    titles = [f"mask, {n_cells} cells", *images]
    height, width = label_map.shape
    # As many columns as bring the sheet near to the shape of a screen.
    n_columns = min(len(pictures), max(1, round(math.sqrt(1.6 * len(pictures) * height / width))))
    parts = [slice(start, start + n_columns) for start in range(0, len(pictures), n_columns)]
    _save(path, [pictures[part] for part in parts], [titles[part] for part in parts])


def save_translation_sheet(path: Path, rows: Sequence[TranslationRow]) -> None:
    """Save masks beside their real and generated images as PNG, atomically (Bailo et al. 2019, Fig. 5).

    Raises:
        ValueError: no rows, style modes that differ between rows, or an image of another size than its mask.
    """
    if not rows:
        raise ValueError("a translation sheet needs at least one row")
    modes = list(rows[0].generated)
    pictures = []
    for row in rows:
        if set(row.generated) != set(modes):
            raise ValueError(f"sample {row.sample_id!r} has the style modes {list(row.generated)}, the first row has {modes}")
        images = {"truth": row.truth, **{mode: row.generated[mode] for mode in modes}}
        shown = [_checked(image, row.label_map.shape, f"{name} of {row.sample_id}") for name, image in images.items()]
        mask = color_classes(row.label_map) if row.of_classes else outlined_labels(row.label_map)
        pictures.append([mask, *shown])
    titles = ["mask", "truth", *(f"generated, {mode}" for mode in modes)]
    _save(path, pictures, [titles], [row.sample_id for row in rows])


def save_structure_preview(path: Path, rows: Sequence[StructureRow]) -> None:
    """Save images, each beside its structure maps with their captions, as PNG, atomically (Allender et al., Fig. 3).

    Raises:
        ValueError: no rows, numbers of maps that differ, or a map of another size than its image.
    """
    for row in rows:
        for caption, structure in row.maps.items():
            if structure.shape != row.image.shape[:2]:
                size = row.image.shape[:2]
                raise ValueError(
                    f"{caption} of {row.sample_id}: expected a map of the image's size {size}, got {structure.shape}"
                )
    pictures = [[row.image, *map(structure_picture, row.maps.values())] for row in rows]
    save_picture_rows(path, pictures, [["image", *row.maps] for row in rows], [row.sample_id for row in rows])


def save_structure_sheet(path: Path, generated: Sequence[NDArray[np.uint8]], structures: Sequence[Structure]) -> None:
    """Save several images of one mask, uint8 (H, W, 3), as PNG, atomically, each below the structure map it was generated from.

    Structures are a map (H, W) for each; none for a translator that takes no structure maps.

    Raises:
        ValueError: no images, or another number of maps.
    """
    numbers = range(1, len(generated) + 1)
    rows, titles = [list(generated)], [[f"generated {number}" for number in numbers]]
    if structures:
        rows.insert(0, list(map(structure_picture, structures)))
        titles.insert(0, [f"new structure {number}" for number in numbers])
    save_picture_rows(path, rows, titles)


def structure_picture(structure: Structure) -> NDArray[np.uint8]:
    """A structure map (H, W) as a grey picture, uint8 (H, W, 3)."""
    grey = np.where(np.asarray(structure, dtype=np.bool_), _DARK, _LIGHT).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def save_picture_rows(
    path: Path, rows: Sequence[Sequence[NDArray[np.uint8]]], titles: Sequence[Sequence[str]], row_names: Sequence[str] = ()
) -> None:
    """Save pictures, uint8 (H, W, 3), as many in each row as in the first, as PNG, atomically.

    Titles stand above the rows from the first on that have them; row names at the left, none leaves no place for them.

    Raises:
        ValueError: no pictures, or rows, titles and names that do not go together.
    """
    lengths = [len(row) for row in rows]
    if not lengths or not lengths[0] or len({*lengths, *map(len, titles)}) > 1 or len(row_names) not in (0, len(rows)):
        raise ValueError(
            f"expected rows of equal length, with a title for each of a row's pictures and a name for each row; got rows of "
            f"{lengths} pictures, titles for {[len(row) for row in titles]} and {len(row_names)} names"
        )
    _save(path, rows, titles, row_names)


def compose(
    rows: Sequence[Sequence[Image.Image]], titles: Sequence[Sequence[str]] = (), row_names: Sequence[str] = ()
) -> Image.Image:
    """Tiles on white, rows and columns as high and wide as their largest tile, `GAP` pixels apart and from the border.

    Titles stand above the rows that have them, row names upright at the left if there are any.
    """
    widths = [max(tile.width for tile in column if tile) for column in zip_longest(*rows)]
    heights = [max(tile.height for tile in row) for row in rows]
    left = _BAND + GAP if row_names else GAP
    size = (left + sum(widths) + GAP * len(widths), GAP * (len(rows) + 1) + sum(heights) + _BAND * len(titles))
    sheet = Image.new("RGB", size, "white")
    top = GAP
    for row, height, above, name in zip_longest(rows, heights, titles, row_names):
        top += _BAND if above else 0
        x = left
        for tile, width, title in zip_longest(row, widths[: len(row)], above or ()):
            if title is not None:
                sheet.paste(_text(title, width), (x, top - _BAND))
            sheet.paste(tile, (x, top))
            x += width + GAP
        if name is not None:
            sheet.paste(_text(name, height).transpose(Image.Transpose.ROTATE_90), (GAP // 2, top))
        top += height + GAP
    return sheet


@cache
def font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """A font that Matplotlib ships: the same letters as in the other figures, on every machine."""
    return ImageFont.truetype(str(Path(mpl.get_data_path(), "fonts", "ttf", f"{name}.ttf")), size)


def _checked(image: NDArray[np.uint8], size: tuple[int, ...], name: str) -> NDArray[np.uint8]:
    if image.dtype != np.uint8 or image.shape != (*size, 3):
        raise ValueError(f"{name}: expected uint8 of shape {(*size, 3)} like its mask, got {image.dtype} {image.shape}")
    return image


def _scaled(picture: NDArray[np.uint8]) -> Image.Image:
    tile = Image.fromarray(np.ascontiguousarray(picture))
    if tile.width > _WIDEST:
        return tile.resize((_WIDEST, max(1, round(tile.height * _WIDEST / tile.width))), Image.Resampling.BOX)
    factor = max(1, -(-_NARROWEST // tile.width))
    return tile.resize((tile.width * factor, tile.height * factor), Image.Resampling.NEAREST)


def _text(text: str, length: int) -> Image.Image:
    """One centred line, `length` pixels long; too long a text loses its middle, since names differ at both ends."""
    letters = font("DejaVuSans", _FONT_SIZE)
    kept, shown = len(text), text
    while letters.getlength(shown) > length and kept > 2:
        kept -= 1
        shown = text[: (kept + 1) // 2] + "…" + text[len(text) - kept // 2 :]
    band = Image.new("RGB", (length, _BAND), "white")
    ImageDraw.Draw(band).text((length / 2, _BAND / 2), shown, fill="black", font=letters, anchor="mm")
    return band


def _save(
    path: Path, rows: Sequence[Sequence[NDArray[np.uint8]]], titles: Sequence[Sequence[str]], row_names: Sequence[str] = ()
) -> None:
    sheet = compose([[_scaled(picture) for picture in row] for row in rows], titles, row_names)
    write_atomically(path, lambda part: sheet.save(part, format="PNG"))
