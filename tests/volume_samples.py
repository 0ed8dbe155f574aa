"""Tiny scans, seeded: a skull-stripped ellipsoid of a brain with ventricles, rims and lesions, in FLAIR and T1w."""

import nibabel as nib
import numpy as np

from rbc_lightning.data.volumes.layouts import find_scans
from rbc_lightning.data.volumes.preparation import Preparation

SHAPE = (34, 40, 6)
AFFINE = np.array([[-4.5, 0, 0, 76], [0, 4.5, 0, -90], [0, 0, 20, -50], [0, 0, 0, 1.0]])
CLASSES = {1: "lesion", 2: "ventricles", 3: "rim"}
COLUMNS = ("participant_id", "group", "split")
# As in shared data: two scans of one patient, a lesion-free one, another scanner.
ROWS = (
    ("sub-01", "p1", "train"),
    ("sub-02", "p2", "train"),
    ("sub-03", "p2", "train"),
    ("sub-04", "p4", "train"),
    ("sub-05", "p5", "test"),
    ("sub-06", "p6", "test"),
    ("sub-07", "p7", "external"),
)
# FLAIR and T1w of background, brain, lesion, ventricles, rim.
_MEANS = {"FLAIR": (0, 100, 160, 30, 135), "T1w": (0, 100, 90, 45, 95)}


def tiny_preparation(**changes):
    plain = {"channels": ("FLAIR", "T1w"), "classes": CLASSES, "targets": ("lesion",), "outline": "brain"}
    return Preparation(**{**plain, "side": 40, "spacing": None, **changes})


def tiny_scan(seed, shape=SHAPE, n_lesions=6):
    """FLAIR and T1w, int16, and uint8 labels of CLASSES, all (x, y, z), axes as in AFFINE: left, front, up."""
    rng = np.random.default_rng(seed)
    places = [(np.arange(n) - (n - 1) / 2) / (n / 2) for n in shape]
    x, y, z = np.meshgrid(*places, indexing="ij")
    size = rng.uniform(0.75, 0.85, 2)
    brain = (x / size[0]) ** 2 + (y / size[1]) ** 2 + (z / 0.95) ** 2 < 1
    hollow = (np.abs(x) - 0.16) ** 2 / 0.006 + y**2 / 0.06 + z**2 / 0.2
    labels = np.where(brain & (hollow < 1), 2, np.where(brain & (hollow < 1.6), 3, 0))
    inside = np.argwhere(brain & (labels == 0) & ((x**2 + y**2) < 0.4))
    for centre in rng.permutation(inside)[:n_lesions]:
        near = sum(((axis - axis[tuple(centre)]) / step) ** 2 for axis, step in zip((x, y, z), (0.08, 0.08, 0.2), strict=True))
        labels[brain & (labels == 0) & (near < 1)] = 1
    tissue = np.where(brain, np.select([labels == 1, labels == 2, labels == 3], [2, 3, 4], 1), 0)
    images = [
        np.where(brain, np.array(means)[tissue] + rng.normal(0, 4, shape), 0).round().astype(np.int16)
        for means in _MEANS.values()
    ]
    return *images, labels.astype(np.uint8)


def write_nifti(path, array, affine=AFFINE, **header):
    """An array as a NIfTI file; `header` sets fields of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, affine)
    for name, value in header.items():
        image.header[name] = value
    nib.save(image, path)
    return path


def write_scan(folder, name, seed, affine=AFFINE, **scan):
    """The three files of a scan, in `folder`/`name`."""
    flair, t1, labels = tiny_scan(seed, **scan)
    for what, array in (("FLAIR", flair), ("T1w", t1), ("dseg", labels)):
        write_nifti(folder / name / f"{name}_{what}.nii.gz", array, affine)


def write_table(folder, rows, columns=COLUMNS):
    """participants.tsv."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "participants.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in (columns, *rows)))
    return path


def write_scans(folder, rows=ROWS):
    """A BIDS-like folder of tiny scans with its table; the fourth has no lesion."""
    write_table(folder, rows)
    for index, (name, *_) in enumerate(rows):
        write_scan(folder, name, index, n_lesions=0 if index == 3 else 6)
    return folder


def touch(folder, *names):
    """Files that are there, and no more."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"0")
    return folder


def triple(prefix):
    """Names of the files of a scan."""
    return [f"{prefix}{name}.nii.gz" for name in ("FLAIR", "T1w", "dseg")]


def described(root, channels=("FLAIR", "T1w")):
    """Group, split and files of every scan that is found, by its name."""
    return {
        scan.scan_id: (scan.group, scan.split, *(str(path.relative_to(root)) for path in scan.files))
        for scan in find_scans(root, channels)
    }
