#!/usr/bin/env bash
# A label file loaded and saved again by nibabel, with its own header, holds other labels: of 0, 1, 2, 4 the 2 becomes a 1.
#
# nibabel 5.4.2: `Nifti1Image(image.get_fdata(), image.affine, image.header)` of a uint8 file is written with type uint8, as the
# header says, but since `get_fdata` gives float64, it is scaled to fill 0..255: slope 4 / 255, not 1, though every value fits
# into uint8 as it is. Labels 0, 1, 2, 4 (those of BraTS) come back as 0, 1.0039, 1.9922, 4.0000002, and `astype(int)` cuts them
# to 0, 1, 1, 4; labels 0, 1, 2 come back as 0, 0.9961, 2 and are cut to 0, 0, 2: class 1 is gone. Labels 0, 1 and 0, 1, 2, 3
# survive, as 255 can be divided by their largest. With `np.asarray(image.dataobj)`, which is uint8, nothing is scaled.
# Seen 2026-11: "[0, 1, 2, 4] -> [0.0, 1.0039, 1.9922, 4.0] -> [0, 1, 1, 4]".
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install -q nibabel==5.4.2 numpy==2.4.6 >"$place/pip.log" 2>&1 || { cat "$place/pip.log"; exit 1; }
cd "$place"
cat >check.py <<'PY'
from importlib.metadata import version

import nibabel as nib
import numpy as np

def saved_again(values, read):
    """Labels written as uint8, then loaded by `read` and saved with the file's own header; as they come back."""
    labels = np.array(values, dtype=np.uint8).reshape(-1, 1, 1)
    nib.save(nib.Nifti1Image(labels, np.eye(4)), "labels.nii.gz")
    image = nib.load("labels.nii.gz")
    nib.save(nib.Nifti1Image(read(image), image.affine, image.header), "again.nii.gz")
    again = nib.load("again.nii.gz")
    assert again.get_data_dtype() == np.uint8
    return again.get_fdata().ravel()

print(f"nibabel {version('nibabel')}")
cut = {}
for values in ([0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 4]):
    found = saved_again(values, lambda image: image.get_fdata())
    cut[tuple(values)] = found.astype(int).tolist()
    print(f"{values} -> {found.round(4).tolist()} -> {cut[tuple(values)]}")
assert cut[0, 1, 2] == [0, 0, 2] and cut[0, 1, 2, 4] == [0, 1, 1, 4], "labels survive now"
assert saved_again([0, 1, 2, 4], lambda image: np.asarray(image.dataobj)).tolist() == [0, 1, 2, 4]
print("as stated")
PY
"$place/env/bin/python" check.py
