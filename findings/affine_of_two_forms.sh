#!/usr/bin/env bash
# nibabel and SimpleITK put one NIfTI file in two places: where sform and qform differ, and where neither has a code.
#
# nibabel 5.4.2 takes the sform whenever its code is above 0. SimpleITK 2.5.7 takes the qform, unless the sform's code is 1
# (scanner): with qform code 1 and sform code 2 (aligned) or 4 (MNI), as registration leaves them, voxel (0, 0, 0) of the file
# below lies at x = -3 mm for one and at -10 mm for the other, and no word is said by either. With sform code 1 they agree.
# Where both codes are 0, nibabel takes x to run to the left and y to the front (LAS), about the volume's centre; SimpleITK takes
# x to the left and y to the back (LPS), from the first voxel: the two images are mirrored front to back against each other.
# Seen 2026-11: "qform 1, sform 2: nibabel -3 RAS, SimpleITK -10 RAS" and "qform 0, sform 0: nibabel 1 LAS, SimpleITK 0 LPS".
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install -q nibabel==5.4.2 SimpleITK==2.5.7 numpy==2.4.6 >"$place/pip.log" 2>&1 || { cat "$place/pip.log"; exit 1; }
cd "$place"
cat >check.py <<'PY'
from importlib.metadata import version

import nibabel as nib
import numpy as np
import SimpleITK as sitk

def written(qform_code, sform_code):
    """A file whose sform lies 7 mm to the right of its qform."""
    qform = np.array([[2.0, 0, 0, -10], [0, 3, 0, -20], [0, 0, 4, -30], [0, 0, 0, 1]])
    sform = qform.copy()
    sform[0, 3] += 7
    image = nib.Nifti1Image(np.zeros((2, 3, 4), np.int16), None)
    image.header.set_qform(qform, qform_code)
    image.header.set_sform(sform, sform_code)
    nib.save(nib.Nifti1Image(image.dataobj, None, image.header), "scan.nii")
    codes = nib.load("scan.nii").header
    assert (int(codes["qform_code"]), int(codes["sform_code"])) == (qform_code, sform_code)
    return "scan.nii"

def by_itk(path):
    """SimpleITK's affine, brought from LPS to RAS."""
    image = sitk.ReadImage(path)
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return np.diag([-1, -1, 1, 1]) @ affine

def told(affine):
    return round(float(affine[0, 3]) + 0.0, 3), "".join(nib.aff2axcodes(affine))

print(f"nibabel {version('nibabel')}, SimpleITK {version('SimpleITK')}: x of the first voxel in mm (RAS), directions of x, y, z")
seen = {}
for codes in ((1, 1), (1, 2), (1, 4), (4, 4), (1, 0), (0, 2), (0, 0)):
    path = written(*codes)
    seen[codes] = told(nib.load(path).affine), told(by_itk(path))
    (x, axes), (other_x, other_axes) = seen[codes]
    print(f"qform {codes[0]}, sform {codes[1]}: nibabel {x:g} {axes}, SimpleITK {other_x:g} {other_axes}")
for codes in ((1, 2), (1, 4), (4, 4)):
    assert [x for x, _ in seen[codes]] == [-3, -10], "they agree on which form counts now"
for codes in ((1, 1), (1, 0), (0, 2)):
    assert seen[codes][0] == seen[codes][1], "they disagreed on fewer codes"
assert [axes for _, axes in seen[0, 0]] == ["LAS", "LPS"], "they agree on files without codes now"
print("as stated")
PY
"$place/env/bin/python" check.py
