"""NIfTI files: volumes and label volumes in, and out on the grid of another file."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError, HeaderTypeError
from numpy.typing import NDArray

from rbc_lightning.core.files import replacing
from rbc_lightning.errors import InputError

SUFFIXES = (".nii.gz", ".nii")
GRID_TOLERANCE = 0.01
"""mm by which corners of one grid may differ: headers of one scan often do from the 6th digit on."""
LABEL_TOLERANCE = 0.05
"""By which stored labels may miss a whole number: 254.9999999 and 0.988 are found in masks that were scaled or resampled."""

_DIMENSIONS = 3
# What holds the place of voxels in a header, copied as it stands.
_PLACE = (
    *("pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"),
)
# By what other formats become NIfTI.
_CONVERTERS = {
    ".dcm": "dcm2niix",
    ".ima": "dcm2niix",
    ".nrrd": "3D Slicer, or SimpleITK: WriteImage(ReadImage(old), new)",
    ".nhdr": "3D Slicer, or SimpleITK: WriteImage(ReadImage(old), new)",
    ".mha": "SimpleITK: WriteImage(ReadImage(old), new)",
    ".mhd": "SimpleITK: WriteImage(ReadImage(old), new)",
    ".mgz": "mri_convert of FreeSurfer, or nibabel: save(Nifti1Image.from_image(load(old)), new)",
    ".mgh": "mri_convert of FreeSurfer, or nibabel: save(Nifti1Image.from_image(load(old)), new)",
    ".mnc": "mnc2nii",
    ".hdr": "fslchfiletype NIFTI_GZ, or nibabel: save(Nifti1Image.from_image(load(old)), new)",
    ".img": "fslchfiletype NIFTI_GZ, or nibabel: save(Nifti1Image.from_image(load(old)), new)",
}
FOREIGN = tuple(_CONVERTERS)
"""Suffixes of scans in formats that are not read."""


@dataclass(frozen=True)
class Volume:
    """A volume and its place: `array` (x, y, z) as stored, `affine` from voxel indices to mm, right, anterior and up."""

    path: Path
    array: NDArray[Any]
    affine: NDArray[np.float64]

    @property
    def corners(self) -> NDArray[np.float64]:
        """The eight outermost voxel centres in mm, (8, 3)."""
        indices = np.array(np.meshgrid(*((0, n - 1) for n in self.array.shape), indexing="ij")).reshape(3, -1).T
        return np.asarray(indices @ self.affine[:3, :3].T + self.affine[:3, 3])


def stem(path: Path) -> str:
    """A file's name without .nii or .nii.gz."""
    suffix = next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), "")
    return path.name[: len(path.name) - len(suffix)]


def is_nifti(path: Path) -> bool:
    """Whether a file is named as one that is read, and not hidden, as those that macOS leaves beside copies (._x.nii) are."""
    return path.name.lower().endswith(SUFFIXES) and not path.name.startswith(".")


def read_volume(path: Path) -> Volume:
    """Read an image as float32, scl_slope and scl_inter applied, trailing axes of length 1 left out.

    Where sform and qform differ, the sform counts if its code is above 0, else the qform, as in nibabel.

    Raises:
        InputError: no such file, no NIfTI file, damaged; not of three axes (a series, a colour image); an affine that is not
            finite or flattens the volume; values that are not finite.
    """
    image, values = _read(path)
    with np.errstate(over="ignore"):
        array = values.astype(np.float32)
    if not np.isfinite(array).all():
        count = int(array.size - np.isfinite(array).sum())
        raise InputError(
            f"{path}: {count} voxels are not finite (NaN, infinite or too large for float32); expected numbers: set them to 0, "
            "for instance by numpy.nan_to_num"
        )
    return Volume(path, array, image.affine.astype(np.float64))


def read_grid(path: Path) -> tuple[tuple[int, ...], NDArray[np.float64]]:
    """Shape and affine of a volume, its header alone being read; see `read_volume`."""
    image = _load(path)
    return _squeezed(path, image.shape), image.affine.astype(np.float64)


def read_labels(path: Path) -> Volume:
    """Read labels as int32; what misses a whole number by less than `LABEL_TOLERANCE` is rounded. See `read_volume`.

    Raises:
        InputError: as for images, or a value is no whole number.
    """
    image, values = _read(path)
    whole = np.rint(values)
    with np.errstate(invalid="ignore"):
        wrong = ~((np.abs(values - whole) < LABEL_TOLERANCE) & (np.abs(whole) <= np.iinfo(np.int32).max))
    if wrong.any():
        raise InputError(
            f"{path}: {int(wrong.sum())} voxels are no whole numbers, such as {float(values[wrong].flat[0]):.6g}; expected one "
            "value for each class: this is an image or a resampled mask; resample masks to the nearest voxel, or threshold them"
        )
    return Volume(path, whole.astype(np.int32), image.affine.astype(np.float64))


def write_volume(path: Path, array: NDArray[Any], like: Path) -> None:
    """Write a volume (x, y, z) on the grid of a file, atomically: affine, qform, sform and units of `like` to the bit.

    Integers are written as uint8 or, beyond 0..255, as int16; all else as float32; the slope is 1.

    Raises:
        InputError: `like` cannot be read.
        ValueError: the array has another shape, or integers beyond int16.
    """
    model = _load(like)
    shape = _squeezed(like, model.shape)
    if array.shape != shape:
        raise ValueError(f"an array {array.shape} for the grid {shape} of {like}")
    kind = _stored_type(array)
    header = type(model.header)()
    for name in _PLACE:
        header[name] = model.header[name]
    header.set_data_dtype(kind)
    made = type(model)(array.astype(kind), None, header)
    content = made.to_bytes()
    with replacing(path) as file:
        file.write(gzip.compress(content, compresslevel=6, mtime=0) if path.name.endswith(".gz") else content)


def check_same_grid(first: Volume, other: Volume) -> None:
    """Refuse two volumes of one scan whose shapes differ, or whose corners lie more than `GRID_TOLERANCE` apart."""
    if first.array.shape != other.array.shape:
        raise InputError(
            f"{other.path}: {_times(other.array.shape)} voxels, but {first.path.name} has {_times(first.array.shape)}; "
            f"expected one grid for all files of a scan: resample it to the grid of {first.path.name}"
        )
    apart = float(np.linalg.norm(first.corners - other.corners, axis=1).max())
    if apart > GRID_TOLERANCE:
        raise InputError(
            f"{other.path}: its corners lie up to {apart:.3g} mm from those of {first.path.name}; expected one grid for all "
            f"files of a scan: resample it to the grid of {first.path.name}, or mend the header (affine) that is wrong"
        )


def how_to_convert(path: Path) -> str:
    """What to do with a file, or a directory of files, of another format, for messages."""
    return f"convert it to .nii.gz with {_CONVERTERS.get(path.suffix.lower(), 'dcm2niix')}"


def _load(path: Path) -> Any:  # noqa: ANN401 (one of two classes)
    if not path.exists():
        raise InputError(f"{path}: no such file; check the path, or restore the file")
    if not is_nifti(path):
        raise InputError(f"{path}: not a NIfTI file by its name; expected {' or '.join(SUFFIXES)}: {how_to_convert(path)}")
    with _naming(path):
        image = nib.load(path)
        if not isinstance(image, nib.Nifti1Image):
            raise InputError(f"{path}: a file of kind {type(image).__name__}; expected NIfTI: {how_to_convert(path)}")
    affine = image.affine
    if affine is None or not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise InputError(f"{path}: the affine {np.round(affine, 3).tolist()} flattens the volume; mend its header")
    return image


def _read(path: Path) -> tuple[Any, NDArray[np.float64]]:
    image = _load(path)
    shape = _squeezed(path, image.shape)
    with _naming(path):
        values = np.asarray(image.dataobj)
    if values.dtype.names or values.dtype.kind not in "iuf":
        raise InputError(f"{path}: values of type {values.dtype}; expected one number for each voxel: save one channel of it")
    return image, values.reshape(shape).astype(np.float64)


def _squeezed(path: Path, shape: tuple[int, ...]) -> tuple[int, ...]:
    kept = list(shape)
    while len(kept) > _DIMENSIONS and kept[-1] == 1:
        kept.pop()
    if len(kept) != _DIMENSIONS:
        what = f"{kept[-1]} volumes in one file" if len(kept) > _DIMENSIONS else "no volume"
        raise InputError(
            f"{path}: {_times(shape)}, {what}; expected three axes: save each volume, or each channel, as a file of its own "
            "(fslsplit, or nibabel: four_to_three)"
        )
    return tuple(kept)


def _stored_type(array: NDArray[Any]) -> np.dtype[Any]:
    if array.dtype.kind not in "iub":
        return np.dtype(np.float32)
    low, high = int(array.min(initial=0)), int(array.max(initial=0))
    for kind in (np.uint8, np.int16):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return np.dtype(kind)
    raise ValueError(f"integers from {low} to {high}; expected what int16 holds")


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn whatever nibabel and gzip raise on a damaged file into an `InputError` that names it."""
    try:
        yield
    except InputError:
        raise
    except (ImageFileError, HeaderDataError, HeaderTypeError, OSError, EOFError, ValueError, zlib.error, struct.error) as error:
        text = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read ({text}); expected a whole NIfTI file: copy or export it again") from error


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
