"""What a header says of where its voxels lie: sform against qform, codes, units, pixel sizes, letters."""

import nibabel as nib
import numpy as np

from rbc_lightning.data.volumes.doctor.finding import Finding, in_mm
from rbc_lightning.data.volumes.doctor.geometry import apart
from rbc_lightning.data.volumes.nifti import GRID_TOLERANCE

_OBLIQUE = 25
"""Degrees between an axis of voxels and of the body from which on letters are to be taken with care."""
_THICK = 2.0
"""So much farther apart than pixels are slices that were scanned as slices."""


def form_findings(scan: str, name: str, header: nib.Nifti1Header) -> list[Finding]:
    """What is wrong, or worth knowing, in the header of a file.

    Args:
        scan: its id.
        name: what the file is, as "FLAIR".
        header: as read.

    Returns:
        Findings, the grave ones first.
    """
    shape = tuple(int(n) for n in header.get_data_shape())
    qform, qcode = header.get_qform(coded=True)
    sform, scode = header.get_sform(coded=True)
    found: list[Finding] = []
    if not qcode and not scode:
        text = f"the header of {name} has qform and sform code 0: nothing in it tells left from right"
        found.append(Finding((scan,), text, "convert the scan again from DICOM, or copy the geometry from a file that has it"))
    elif qcode and scode and (distance := apart(shape, qform, sform)) > GRID_TOLERANCE:
        # Seen with SimpleITK 2.5.7, see findings/affine_of_two_forms.sh.
        other = "the qform" if scode != 1 else "it as well, others the qform"
        text = (
            f"sform (code {scode}) and qform (code {qcode}) of {name} lie up to {distance:.1f} mm apart; the sform is taken, "
            f"SimpleITK takes {other}"
        )
        found.append(Finding((scan,), text, "find which one is true and write it to both (nibabel: set_qform, set_sform)"))
    unit = header.get_xyzt_units()[0]
    if unit not in ("mm", "unknown"):
        text = f"the header of {name} counts in {unit}s; expected mm"
        found.append(Finding((scan,), text, "write it in mm (nibabel: set_xyzt_units, with a scaled affine)"))
    affine = header.get_best_affine()
    sides, zooms = nib.affines.voxel_sizes(affine), np.array(header.get_zooms()[:3], dtype=np.float64)
    if not np.allclose(sides, zooms, rtol=0.01):
        text = f"voxels of {name} are {in_mm(zooms)} by pixdim, {in_mm(sides)} by its affine, which is taken"
        found.append(Finding((scan,), text, "find which one is true and write the header anew"))
    return found + _letters(scan, name, affine)


def _letters(scan: str, name: str, affine: np.ndarray) -> list[Finding]:
    """Notes on directions that axial slices cannot follow."""
    sides, codes = nib.affines.voxel_sizes(affine), nib.aff2axcodes(affine)
    turned = float(np.degrees(nib.affines.obliquity(affine)).max())
    found = []
    if turned > _OBLIQUE:
        text = f"the voxels of {name} are turned by {turned:.0f} degrees: letters R, A, S stand for the nearest directions"
        found.append(Finding((scan,), text, grave=False))
    thick = int(np.argmax(sides))
    if sides[thick] > _THICK * np.median(sides) and codes[thick] not in "SI":
        plane = "sagittal" if codes[thick] in "LR" else "coronal"
        text = f"{name} was scanned in {plane} slices {sides[thick]:.1f} mm apart: axial slices are cut across them, and coarse"
        found.append(Finding((scan,), text, grave=False))
    return found
