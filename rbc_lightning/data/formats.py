"""Reading and writing images; every write is atomic."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import DTypeLike, NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from rbc_lightning.core.files import write_atomically
from rbc_lightning.core.label_files import PNG_LEVEL, TIFF_SUFFIXES, naming_unreadable
from rbc_lightning.errors import InputError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
_EXPECTED = ", ".join(IMAGE_SUFFIXES)
_RGB = 3
_PNG_DEPTH = 24  # offset of the byte that holds the bits per sample
_TIFF_BITS = 258  # the tag BitsPerSample
_DEEP = 16
# What PNG can hold, by channels and type; other images are written as TIFF.
_PNG_IMAGES = ((1, np.dtype(np.uint8)), (3, np.dtype(np.uint8)), (1, np.dtype(np.uint16)))


def read_image(path: Path, dtype: DTypeLike = np.uint8) -> NDArray[np.unsignedinteger[Any]]:
    """Read an image as RGB of shape (H, W, 3); grey is repeated, transparency left out.

    Args:
        path: PNG, JPEG, TIFF or BMP.
        dtype: uint8 or uint16, which the file's bits per channel must be: nothing is scaled or cut off.

    Raises:
        InputError: the file is missing, truncated, not an image, or of other bits per channel.
    """
    with naming_unreadable(path, _EXPECTED), Image.open(path) as image:
        bits = _bits(image, path)
        if (bits > np.iinfo(np.uint8).bits) != (np.dtype(dtype) == np.uint16) or bits > _DEEP:
            kind = f"{path}: an image of {bits} bits per channel ({image.mode})"
            if np.dtype(dtype) == np.uint16:
                raise InputError(f"{kind}; expected 16, as data.value_range says: leave that away, or export it again")
            raise InputError(
                f"{kind}; expected 8-bit colour or grey: scale it, or, in a data set of 16-bit images, set "
                "data.value_range=[0,<largest value>]"
            )
        if bits < _DEEP:
            return np.array(image.convert("RGB"))
        # Before OpenCV reads it, which fills up a truncated file without a word.
        image.load()
        is_tiff = image.format == "TIFF"
    with naming_unreadable(path, _EXPECTED):
        pixels = _tiff_pixels(path) if is_tiff else _deep_png_pixels(path)
    return np.repeat(pixels[..., :1], _RGB, axis=2) if pixels.shape[2] < _RGB else pixels[..., :_RGB]


def read_pixels(path: Path) -> NDArray[Any]:
    """Read an image that `write_image` wrote, whatever its channels and type, as (H, W, C); see `read_image`."""
    with naming_unreadable(path, _EXPECTED):
        if path.suffix.lower() in TIFF_SUFFIXES:
            return _tiff_pixels(path)
        with Image.open(path) as image:
            pixels = np.array(image).reshape(image.height, image.width, -1)
            deep = image.format == "PNG" and _bits(image, path) == _DEEP and pixels.dtype == np.uint8
        return _deep_png_pixels(path) if deep else pixels


def _bits(image: Image.Image, path: Path) -> int:
    """Bits per channel of an opened file; PIL itself opens 16-bit colour as 8-bit colour, without a word."""
    if image.format == "PNG":
        with path.open("rb") as file:
            return file.read(_PNG_DEPTH + 1)[_PNG_DEPTH]
    if isinstance(image, TiffImageFile):
        return int(max(image.tag_v2.get(_TIFF_BITS, (1,))))
    return np.iinfo(np.uint8).bits


def _tiff_pixels(path: Path) -> NDArray[Any]:
    """The one page of a TIFF, (H, W, C)."""
    with tifffile.TiffFile(path) as file:
        if len(file.pages) > 1:
            raise InputError(
                f"{path}: {len(file.pages)} pages; expected one, its channels beside each other: save them as one image"
            )
        page = file.pages.first
        pixels = np.asarray(page.asarray())
        if page.axes.startswith("S"):
            # A plane for each channel.
            pixels = np.moveaxis(pixels, 0, -1)
        if not np.issubdtype(pixels.dtype, np.unsignedinteger):
            raise InputError(f"{path}: values of type {pixels.dtype}; expected integers of 8 or 16 bits, not negative")
        return pixels.reshape(page.imagelength, page.imagewidth, -1)


def _deep_png_pixels(path: Path) -> NDArray[np.uint16]:
    """A PNG of 16 bits per channel, (H, W, C), in the order red, green, blue, alpha."""
    pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("16-bit PNG")
    pixels = np.asarray(pixels, dtype=np.uint16).reshape(*pixels.shape[:2], -1)
    return np.concatenate([pixels[..., 2::-1], pixels[..., 3:]], axis=2) if pixels.shape[2] >= _RGB else pixels


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
