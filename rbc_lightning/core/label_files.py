"""Label maps on disk; every write is atomic."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from rbc_lightning.core.files import write_atomically
from rbc_lightning.errors import InputError

TIFF_SUFFIXES = (".tif", ".tiff")
PNG_LEVEL = 3
"""A fast compression level: the files are read far more often than they are shared."""
# Of a palette's image ("P") the values are the indices.
_LABEL_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")

# Scans of slides have more pixels than PIL takes for an attack.
Image.MAX_IMAGE_PIXELS = None


@contextmanager
def naming_unreadable(path: Path, expected: str) -> Iterator[None]:
    """Turn whatever PIL and tifffile raise on a missing or damaged file into an `InputError` that names it."""
    try:
        yield
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError, LookupError, struct.error, zlib.error) as error:
        if not path.exists():
            raise InputError(f"{path}: no such file; check the path, or restore the file") from error
        raise InputError(f"{path}: cannot be read as an image ({error}); expected {expected}; save it again") from error


def read_label_map(path: Path, *, contiguous: bool = True) -> NDArray[np.int32]:
    """Read a label map as int32 of shape (H, W): 0 = background, 1..n = cells.

    Args:
        path: PNG or TIFF with one channel of integers; of a palette the indices are read.
        contiguous: close gaps in the ids, keeping their order; False for maps whose values are classes.

    Raises:
        InputError: the file is missing, truncated, not an image, or a colour image.
    """
    with naming_unreadable(path, "a 16-bit PNG or 32-bit TIFF"):
        if path.suffix.lower() in TIFF_SUFFIXES:
            raw = np.asarray(tifffile.imread(path))
            colour = raw.ndim != 2
        else:
            with Image.open(path) as image:
                colour = image.mode not in _LABEL_MODES
                raw = np.array(image)
    if colour:
        raise InputError(
            f"{path}: a colour image was given as label map; expected one channel of integer cell ids (16-bit PNG or "
            "32-bit TIFF); convert a colour mask with rbc_lightning.core.labels.colors_to_label_map"
        )
    if not np.issubdtype(raw.dtype, np.integer) and raw.dtype != np.bool_:
        raise InputError(f"{path}: label map of type {raw.dtype}; expected integers; save the ids as 16-bit PNG")
    if raw.size and (int(raw.min()) < 0 or int(raw.max()) > np.iinfo(np.int32).max):
        raise InputError(f"{path}: ids from {raw.min()} to {raw.max()}; expected 0 = background, 1..n = cells; relabel it")
    return make_contiguous(raw.astype(np.int32)) if contiguous else raw.astype(np.int32)


def make_contiguous(label_map: NDArray[np.int32]) -> NDArray[np.int32]:
    """Renumber the ids of a non-negative (H, W) label map to 1..n in their order; 0 stays 0."""
    # Counting takes a quarter of the time of sorting, unless the ids are huge.
    counted = int(label_map.max(initial=0)) <= label_map.size
    present = np.flatnonzero(np.bincount(label_map.ravel())) if counted else np.unique(label_map)
    if present.size == 0 or present[-1] == present.size - 1:
        return label_map
    present = present[present > 0]
    return np.asarray(np.where(label_map > 0, np.searchsorted(present, label_map) + 1, 0), dtype=np.int32)


def write_label_map(path: Path, label_map: NDArray[np.integer]) -> Path:
    """Write a label map (H, W) as 16-bit PNG, or as 32-bit TIFF when an id exceeds 65,535; return the path written."""
    if int(label_map.max(initial=0)) > np.iinfo(np.uint16).max:
        path = path.with_suffix(".tif")
        write_atomically(path, lambda part: tifffile.imwrite(part, label_map.astype(np.int32), compression="zlib"))
        return path
    path, image = path.with_suffix(".png"), Image.fromarray(label_map.astype(np.uint16))
    write_atomically(path, lambda part: image.save(part, format="PNG", compress_level=PNG_LEVEL))
    return path
