"""Reading and writing images; every write is atomic."""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from rbc_lightning.core.files import write_atomically
from rbc_lightning.core.label_files import PNG_LEVEL, TIFF_SUFFIXES, naming_unreadable
from rbc_lightning.errors import InputError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
_EXPECTED = ", ".join(IMAGE_SUFFIXES)
# PIL would cut such values off at 255 without a word.
_DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L")
# What PNG can hold, by channels and type; other images are written as TIFF.
_PNG_IMAGES = ((1, np.dtype(np.uint8)), (3, np.dtype(np.uint8)), (1, np.dtype(np.uint16)))


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read an image as uint8 RGB of shape (H, W, 3).

    Raises:
        InputError: the file is missing, truncated, or not an image.
    """
    with naming_unreadable(path, _EXPECTED), Image.open(path) as image:
        if image.mode in _DEEP_MODES:
            raise InputError(
                f"{path}: an image of more than 8 bits per channel ({image.mode}); expected 8-bit colour or grey: scale it"
            )
        return np.array(image.convert("RGB"))


def read_pixels(path: Path) -> NDArray[Any]:
    """Read an image that `write_image` wrote, whatever its channels and type, as (H, W, C); see `read_image`."""
    with naming_unreadable(path, _EXPECTED):
        if path.suffix.lower() in TIFF_SUFFIXES:
            with tifffile.TiffFile(path) as file:
                page = file.pages.first
                return np.asarray(page.asarray()).reshape(page.imagelength, page.imagewidth, -1)
        with Image.open(path) as image:
            return np.array(image).reshape(image.height, image.width, -1)


def image_size(path: Path) -> tuple[int, int]:
    """Height and width of an image in pixels, read from the file's header."""
    with naming_unreadable(path, _EXPECTED):
        if path.suffix.lower() in TIFF_SUFFIXES:
            with tifffile.TiffFile(path) as file:
                return int(file.pages.first.imagelength), int(file.pages.first.imagewidth)
        with Image.open(path) as image:
            return image.height, image.width


def write_image(path: Path, image: NDArray[np.unsignedinteger[Any]]) -> Path:
    """Write an image uint8 or uint16 (H, W, C) as PNG, or as TIFF where PNG cannot hold it; return the path written."""

    def write_png(part: Path) -> None:
        made = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
        made.save(part, format="PNG", compress_level=PNG_LEVEL)

    def write_tiff(part: Path) -> None:
        tifffile.imwrite(part, image, photometric="minisblack", planarconfig="contig", compression="zlib", metadata=None)

    as_png = (image.shape[2], image.dtype) in _PNG_IMAGES
    path = path if as_png else path.with_suffix(".tif")
    write_atomically(path, write_png if as_png else write_tiff)
    return path
