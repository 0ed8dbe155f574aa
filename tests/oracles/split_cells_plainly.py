"""Post-processing of maps to cells with SciPy and scikit-image, cell by cell."""

import numpy as np
from scipy import ndimage
from skimage.measure import label, regionprops
from skimage.morphology import disk
from skimage.segmentation import expand_labels


def split_cells_plainly(objectness, contour, smooth_radius=0, min_area=0, grow=0):
    """Slow twin of `rbc_lightning.segmenters.postprocess.split_cells` at thresholds 0.5: boxes, scores, label map."""
    core = (objectness > 0.5) & (contour < 0.5)
    if smooth_radius:
        eroded = ndimage.binary_erosion(core, disk(smooth_radius), border_value=True)
        core = ndimage.binary_dilation(eroded, disk(smooth_radius))
    core = ndimage.binary_fill_holes(core, structure=np.ones((3, 3)))
    label_map = np.zeros(core.shape, dtype=np.int32)
    scores = []
    for region in regionprops(label(core, connectivity=1)):
        if region.area >= min_area:
            rows, columns = region.coords.T
            scores.append(objectness[rows, columns].mean())
            label_map[rows, columns] = len(scores)
    label_map = expand_labels(label_map, grow) if grow else label_map
    boxes = [(left, top, right, bottom) for top, left, bottom, right in (region.bbox for region in regionprops(label_map))]
    return np.reshape(boxes, (-1, 4)), np.array(scores), label_map
