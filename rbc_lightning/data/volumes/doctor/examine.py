"""The doctor's round: every file of every scan read, each scan examined, then all of them compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import cast

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from rbc_lightning.data.volumes.doctor.finding import Finding, name_some
from rbc_lightning.data.volumes.doctor.forms import form_findings
from rbc_lightning.data.volumes.doctor.geometry import grid_finding
from rbc_lightning.data.volumes.doctor.head import head_findings, head_mask
from rbc_lightning.data.volumes.doctor.labels import histogram, missing_findings, value_findings
from rbc_lightning.data.volumes.doctor.mirror import mirror_finding
from rbc_lightning.data.volumes.doctor.spacing import spacing_findings
from rbc_lightning.data.volumes.doctor.twins import Candidate, signature, twin_findings
from rbc_lightning.data.volumes.lesions import Lesion, find_lesions
from rbc_lightning.data.volumes.nifti import Volume, read_volume
from rbc_lightning.data.volumes.preparation import Preparation
from rbc_lightning.data.volumes.scan import Scan
from rbc_lightning.data.volumes.upright import upright, upright_sides
from rbc_lightning.errors import InputError

Mask = NDArray[np.bool_]
BRIGHT = "flair"
"""Part of the name, in lower case, of the contrast in which lesions are bright and ventricles dark."""
_DARK = ("ventric", "csf")


@dataclass(frozen=True)
class Examined:
    """What the doctor knows of one scan.

    Args:
        scan: its files.
        findings: about it alone.
        lesions: of the classes that are segmented.
        names: classes that its mask has; None without a mask that can be read.
        spacing: mm between voxels to the right, to the front, and up; None where the first image cannot be read.
        slices: axial ones.
        candidate: for the comparison with others; None likewise.
    """

    scan: Scan
    findings: tuple[Finding, ...]
    lesions: tuple[Lesion, ...] = ()
    names: frozenset[str] | None = None
    spacing: tuple[float, float, float] | None = None
    slices: int = 0
    candidate: Candidate | None = None

    @property
    def ml(self) -> float:
        """Volume of all lesions."""
        return sum(lesion.volume for lesion in self.lesions)


def examine(scan: Scan, preparation: Preparation) -> Examined:
    """Read all files of a scan and examine it; nothing is raised for what is wrong with them."""
    findings: list[Finding] = []
    volumes = [_read(scan, path, findings) for path in scan.images]
    mask = _read(scan, scan.labels, findings) if scan.labels else None
    for name, volume in zip((*preparation.channels, "mask"), (*volumes, mask), strict=True):
        if volume is not None:
            findings += form_findings(scan.scan_id, name, cast(nib.Nifti1Image, nib.load(volume.path)).header)
    first = volumes[0]
    if first is None:
        return Examined(scan, tuple(findings))
    for name, volume in zip((*preparation.channels[1:], "mask"), (*volumes[1:], mask), strict=True):
        if volume is not None and (apart := _compared(scan, preparation.channels[0], first, name, volume)):
            findings.append(apart)
    image, sides = upright(first.array, first.affine), upright_sides(first.affine)
    head = head_mask(image, sides)
    findings += head_findings(scan.scan_id, head, sides)
    lesions: tuple[Lesion, ...] = ()
    names = None
    if mask is not None:
        found = histogram(mask.array)
        names = frozenset(name for value, name in preparation.classes.items() if name and found.get(value))
        findings += value_findings(scan.scan_id, found, preparation.classes, frozenset(preparation.spec.classes))
        lesions = tuple(find_lesions(np.rint(mask.array).astype(np.int32), mask.affine, preparation.target_values))
        findings += _mirrored(scan, preparation, volumes, mask, head)
    hashes = tuple("" if volume is None else sha256(volume.array.tobytes()).hexdigest() for volume in volumes)
    candidate = Candidate(scan.scan_id, scan.group, scan.split, hashes, signature(image, head, sides))
    return Examined(scan, tuple(findings), lesions, names, sides, image.shape[2], candidate)


def compare(examined: Sequence[Examined], preparation: Preparation) -> list[Finding]:
    """What is found among all scans."""
    context, channels = frozenset(preparation.names) - frozenset(preparation.spec.classes), preparation.channels
    findings = twin_findings([one.candidate for one in examined if one.candidate])
    findings += spacing_findings({one.scan.scan_id: one.spacing for one in examined if one.spacing})
    findings += missing_findings({one.scan.scan_id: one.names & context for one in examined if one.names})
    if not any(BRIGHT in channel.lower() for channel in channels):
        text = f"no channel is called FLAIR ({name_some(channels)}): whether masks lie mirrored cannot be told"
        findings.append(Finding(("all scans",), text, grave=False))
    return findings


def _read(scan: Scan, path: Path, findings: list[Finding]) -> Volume | None:
    try:
        return read_volume(path)
    except InputError as error:
        findings.append(Finding((scan.scan_id,), str(error)))
        return None


def _compared(scan: Scan, first: str, image: Volume, second: str, other: Volume) -> Finding | None:
    shapes = image.array.shape, other.array.shape
    return grid_finding(scan.scan_id, (first, second), shapes, (image.affine, other.affine))


def _mirrored(
    scan: Scan, preparation: Preparation, volumes: Sequence[Volume | None], mask: Volume, head: Mask
) -> list[Finding]:
    flair = [v for name, v in zip(preparation.channels, volumes, strict=True) if v is not None and BRIGHT in name.lower()]
    if not flair or flair[0].array.shape != mask.array.shape or not head.any():
        return []
    image = upright(flair[0].array, flair[0].affine)
    # As the mask's own header may lie, it is turned as the image is.
    labels = upright(np.rint(mask.array), flair[0].affine)
    if head.shape != image.shape:
        return []
    inside = image[head]
    z = (image - inside.mean()) / max(float(inside.std()), 1e-12)
    dark = [value for value, name in preparation.classes.items() if name and name.lower().startswith(_DARK)]
    found = mirror_finding(scan.scan_id, z, np.isin(labels, list(preparation.target_values)), np.isin(labels, dark))
    return [found] if found else []
