#!/usr/bin/env bash
# Two different 16-bit grey micrographs are near-duplicates to perceptual-hash libraries.
#
# imagehash 4.3.2 turns an image grey by `convert("L")`, which clips 16-bit values at 255 instead of
# scaling them: a 12-bit image with values of 1800 to 4095 is white all over. All four hashes of any two such images are equal:
# distance 0, where the same images in 8 bits are 26 to 33 of 64 bits apart. CleanVision 0.3.7, which builds on it, reports them
# as near-duplicates and as too light, with a light score of about -6 on a scale that it documents as 0 to 1.
# Seen 2026-11: "16 bit [0, 0, 0, 0], 8 bit [26, 30, 33, 28]" and "1 set of near-duplicates, light scores [-6.06, -6.06]".
# (With Pillow 13.0.0 the hashes are equal as well; CleanVision wants the older one.)
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install -q imagehash==4.3.2 cleanvision==0.3.7 pillow==10.3.0 numpy==1.26.4 >"$place/pip.log" 2>&1 || { cat "$place/pip.log"; exit 1; }
cd "$place"
cat >check.py <<'PY'
import numpy as np
import imagehash
from PIL import Image
from cleanvision import Imagelab
from importlib.metadata import version
from pathlib import Path

def micrograph(seed, side=256):
    """Twenty dark discs on a bright 12-bit background."""
    rng = np.random.default_rng(seed)
    image = 3000 + rng.normal(0, 20, (side, side))
    rows, columns = np.mgrid[:side, :side]
    for row, column in rng.integers(20, side - 20, (20, 2)):
        image[(rows - row) ** 2 + (columns - column) ** 2 < 15**2] -= 1200
    return image.clip(1800, 4095).astype(np.uint16)

both = [micrograph(1), micrograph(2)]
Path("images").mkdir()
for number, image in enumerate(both):
    Image.fromarray(image).save(f"images/{number}.png")
deep = [Image.open(f"images/{number}.png") for number in (0, 1)]
shallow = [Image.fromarray((image // 16).astype(np.uint8)) for image in both]
hashes = (imagehash.average_hash, imagehash.phash, imagehash.dhash, imagehash.whash)
of_deep, of_shallow = ([int(h(one) - h(other)) for h in hashes] for one, other in (deep, shallow))
print(f"imagehash {version('imagehash')}, Pillow {version('pillow')}: 16 bit {of_deep}, 8 bit {of_shallow}")
lab = Imagelab(data_path="images")
lab.find_issues(verbose=False)
sets, light = lab.info["near_duplicates"]["num_sets"], lab.issues["light_score"].tolist()
print(f"cleanvision {version('cleanvision')}: {sets} set of near-duplicates, light scores {light}")
assert of_deep == [0, 0, 0, 0] and min(of_shallow) > 15, "imagehash tells 16-bit images apart now"
assert sets == 1 and max(light) < 0, "CleanVision tells 16-bit images apart now"
print("as stated")
PY
"$place/env/bin/python" check.py 2>/dev/null || { "$place/env/bin/python" check.py; exit 1; }
