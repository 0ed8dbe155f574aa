"""Reading and writing images and label maps; every write is atomic."""

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from rbc_lightning.errors import InputError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
LABEL_SUFFIXES = (".png", ".tif", ".tiff")
_TIFF_SUFFIXES = (".tif", ".tiff")
# PIL would cut such values off at 255 without a word.
_DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L")
_LABEL_MODES = ("1", "L", "I", "I;16", "I;16B", "I;16L")
_PNG_MAX_ID = np.iinfo(np.uint16).max

# Scans of slides have more pixels than PIL takes for an attack.
Image.MAX_IMAGE_PIXELS = None

# A fast compression level: the files are read far more often than they are shared.
_PNG_LEVEL = 3


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read an image as uint8 RGB of shape (H, W, 3).

    Raises:
        InputError: the file is missing, truncated, or not an image.
    """
    try:
        with Image.open(path) as image:
            if image.mode in _DEEP_MODES:
                raise InputError(
                    f"{path}: an image of more than 8 bits per channel ({image.mode}); expected 8-bit colour or grey: scale it"
                )
            return np.array(image.convert("RGB"))
    except InputError:
        raise
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise _unreadable(path, error) from error


def read_label_map(path: Path) -> NDArray[np.int32]:
    """Read a label map as int32 of shape (H, W): 0 = background, 1..n = cells, ids made contiguous in their order.

    Raises:
        InputError: the file is missing, truncated, not an image, or a colour image.
    """
    try:
        if path.suffix.lower() in _TIFF_SUFFIXES:
            raw = np.asarray(tifffile.imread(path))
            colour = raw.ndim != 2
        else:
            with Image.open(path) as image:
                colour = image.mode not in _LABEL_MODES
                raw = np.array(image)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise _unreadable(path, error) from error
    if colour:
        raise InputError(
            f"{path}: a colour image was given as label map; expected one channel of integer cell ids (16-bit PNG or "
            "32-bit TIFF); convert a colour mask with rbc_lightning.ops.labels.colors_to_label_map"
        )
    if not np.issubdtype(raw.dtype, np.integer) and raw.dtype != np.bool_:
        raise InputError(f"{path}: label map of type {raw.dtype}; expected integers; save the ids as 16-bit PNG")
    if raw.size and (int(raw.min()) < 0 or int(raw.max()) > np.iinfo(np.int32).max):
        raise InputError(f"{path}: ids from {raw.min()} to {raw.max()}; expected 0 = background, 1..n = cells; relabel it")
    return make_contiguous(raw.astype(np.int32))


def make_contiguous(label_map: NDArray[np.int32]) -> NDArray[np.int32]:
    """Renumber the ids of a non-negative (H, W) label map to 1..n in their order; 0 stays 0."""
    # Counting takes a quarter of the time of sorting, unless the ids are huge.
    counted = int(label_map.max(initial=0)) <= label_map.size
    present = np.flatnonzero(np.bincount(label_map.ravel())) if counted else np.unique(label_map)
    if present.size == 0 or present[-1] == present.size - 1:
        return label_map
    present = present[present > 0]
    return np.asarray(np.where(label_map > 0, np.searchsorted(present, label_map) + 1, 0), dtype=np.int32)


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Write a uint8 RGB image (H, W, 3) as PNG, atomically."""
    _write_png(path, Image.fromarray(image))


def write_label_map(path: Path, label_map: NDArray[np.integer]) -> Path:
    """Write a label map (H, W) as 16-bit PNG, or as 32-bit TIFF when an id exceeds 65,535; return the path written."""
    if int(label_map.max(initial=0)) <= _PNG_MAX_ID:
        _write_png(path.with_suffix(".png"), Image.fromarray(label_map.astype(np.uint16)))
        return path.with_suffix(".png")
    path = path.with_suffix(".tif")
    write_atomically(path, lambda part: tifffile.imwrite(part, label_map.astype(np.int32), compression="zlib"))
    return path


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` on a temporary name in the same directory, then rename it: a reader sees all of a file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    return sha256(path.read_bytes()).hexdigest()


def _write_png(path: Path, image: Image.Image) -> None:
    write_atomically(path, lambda part: image.save(part, format="PNG", compress_level=_PNG_LEVEL))


def _unreadable(path: Path, error: Exception) -> InputError:
    if not path.exists():
        return InputError(f"{path}: no such file; check the path, or restore the file")
    return InputError(f"{path}: cannot be read as an image ({error}); expected {', '.join(IMAGE_SUFFIXES)}; save it again")
