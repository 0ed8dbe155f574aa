"""The head in slices of a scan: what translators are told beside masks, so that they need not guess skull, air, cortex."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from rbc_lightning.data.volumes.intensity import LARGEST, STANDARD, grown, largest, worn

HEAD = ("head", "dark")
"""Names of the two classes."""
TISSUE = ("grey", "bright")
"""Names of the classes of tissue in the brain: the darker one, and what is as bright as lesions are but none."""

# Shares of the way from the brain's mean down to air at which the head begins, and under which it is dark.
_AIR, _DARK = 0.6, 0.3
# mm: of the noise that does not count, of specks in the air, and of the gaps that the skull leaves between scalp and brain.
_BLUR, _SPECK, _GAP = 0.9, 2.5, 9.0
# mm: of what a tissue is darker than, wider than cortex and narrower than uneven sensitivity.
_AROUND = 30.0
# Deviations of the brain by which look-alikes are brighter than around; half of all lesions are by 0.7 to 1.5 and more.
_BRIGHTER = 0.8


def find_head(image: NDArray[np.uint16], spacing: tuple[float, float]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The head, without holes and one patch to a slice, and what is dark in it: fluid, bone, and air of the sinuses.

    Dark is what lies a third of the way from the brain's mean down to air, in the mean of the channels. Fluid that is bright
    in some channel, as in T2w, is no darker than the brain.

    Args:
        image: slices of a scan (Z, H, W, C), standardised as `intensity.standardise` does.
        spacing: mm between rows and between columns.

    Returns:
        bool (Z, H, W), each.
    """
    grey = (image.mean(axis=-1, dtype=np.float32) / LARGEST - STANDARD[0]) / STANDARD[1]
    air = min(float(np.percentile(grey, 1)), 0.0)
    blur = [_BLUR / mm for mm in spacing]
    head = np.stack([_head(ndimage.gaussian_filter(part, blur) > _AIR * air, spacing) for part in grey])
    return head, head & (grey < _DARK * air)


def find_grey(image: NDArray[np.uint16], brain: NDArray[np.bool_], spacing: tuple[float, float]) -> NDArray[np.bool_]:
    """The darker of two tissues of the brain by Otsu's threshold of what differs from the mean around, as cortex is in T1w.

    Of several channels the one that parts them best, by the share of its variance that lies between both (Otsu 1979).

    Args:
        image: slices of a scan (Z, H, W, C), standardised as `intensity.standardise` does.
        brain: bool (Z, H, W): the tissue to part, without fluid and what masks hold.
        spacing: mm between rows and between columns.

    Returns:
        bool (Z, H, W), within `brain`.
    """
    if not brain.any():
        return np.zeros_like(brain)
    best, grey = -1.0, np.zeros_like(brain)
    for channel in np.moveaxis(image, -1, 0):
        values = _differing(channel, brain, spacing)
        kept = values[brain]
        # What little is far brighter or darker would take the threshold for itself.
        kept = kept.clip(*np.percentile(kept, [1, 99]))
        if np.ptp(kept) < 1:
            continue
        level = threshold_otsu(kept)
        below = kept < level
        between = float(below.mean() * (1 - below.mean()) * (kept[~below].mean() - kept[below].mean()) ** 2 / kept.var())
        if between > best:
            best, grey = between, brain & (values < level)
    return grey


def find_bright(image: NDArray[np.uint16], brain: NDArray[np.bool_], spacing: tuple[float, float]) -> NDArray[np.bool_]:
    """What of the brain is brighter than around by as much as many lesions are: rims of ventricles, bright cortex, vessels.

    In the first channel, which is to be the one that shows lesions best, as FLAIR. Where painted slices have none of it,
    segmenters learn from them that whatever is bright is a lesion.

    Args:
        image: slices of a scan (Z, H, W, C), standardised as `intensity.standardise` does.
        brain: bool (Z, H, W): tissue without fluid and what masks hold.
        spacing: mm between rows and between columns.

    Returns:
        bool (Z, H, W), within `brain`.
    """
    return brain & (_differing(image[..., 0], brain, spacing) > _BRIGHTER * STANDARD[1] * LARGEST)


def _differing(channel: NDArray[np.uint16], brain: NDArray[np.bool_], spacing: tuple[float, float]) -> NDArray[np.float32]:
    """By how much a channel (Z, H, W) is brighter than its mean around; of the brain alone, slightly smoothed."""
    inside = brain.astype(np.float32)
    around = [1, *(max(1, round(_AROUND / mm)) for mm in spacing)]
    blur = [0.0, *(_BLUR / mm for mm in spacing)]
    near = np.maximum(ndimage.gaussian_filter(inside, blur), 1e-6)
    far = np.maximum(ndimage.uniform_filter(inside, around), 1e-6)
    values = channel * inside
    return np.asarray(ndimage.gaussian_filter(values, blur) / near - ndimage.uniform_filter(values, around) / far)


def _head(bright: NDArray[np.bool_], spacing: tuple[float, float]) -> NDArray[np.bool_]:
    body = grown(worn(bright, spacing, _SPECK), spacing, _SPECK)
    if not body.any():
        return body
    # With room around: what has grown to the rim is not worn from there.
    room = [int(_GAP / mm) + 2 for mm in spacing]
    closed = worn(grown(np.pad(body, [(n, n) for n in room]), spacing, _GAP), spacing, _GAP)
    return largest(ndimage.binary_fill_holes(closed[tuple(slice(n, -n) for n in room)]))
