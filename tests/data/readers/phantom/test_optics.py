from dataclasses import replace

import numpy as np
from phantom_helpers import SMALL, whole_cells
from scipy import ndimage
from skimage import segmentation
from skimage.filters import threshold_otsu

from rbc_lightning.data.readers.phantom import render_smear


def test_labels_lie_on_the_dark_cells(smears):
    for image, label_map in smears:
        green = image[..., 1].astype(float)
        cells = label_map > 0
        assert green[~cells].mean() - green[cells].mean() > 25
        dark = ndimage.binary_fill_holes(green < threshold_otsu(green))
        assert 2 * (dark & cells).sum() / (dark.sum() + cells.sum()) > 0.85


def test_most_isolated_cells_have_a_pallor(smears):
    brighter = []
    for image, label_map in smears:
        green = image[..., 1].astype(float)
        crowd = ndimage.binary_dilation(segmentation.find_boundaries(label_map, mode="inner"), iterations=2)
        for cell in whole_cells(label_map):
            box = tuple(slice(start, stop) for start, stop in zip(cell.bbox[:2], cell.bbox[2:], strict=True))
            wide = tuple(slice(max(0, part.start - 3), part.stop + 3) for part in box)
            if len(np.setdiff1d(np.unique(label_map[wide][crowd[wide]]), [0, cell.label])):
                continue
            depth = ndimage.distance_transform_edt(np.pad(cell.image, 1))[1:-1, 1:-1] / (0.5 * cell.axis_minor_length)
            ring, centre = (depth > 0.2) & (depth < 0.45), depth > 0.8
            brighter.append(green[box][centre].mean() - green[box][ring].mean())
    assert len(brighter) > 50
    assert np.mean(np.array(brighter) > 3) > 0.75


def test_debris_leaves_the_cells_where_they_are():
    _, labels = render_smear(SMALL, 5)
    image, clean = render_smear(replace(SMALL, platelets=0.0, dirt=0.0), 5)
    np.testing.assert_array_equal(labels, clean)
    assert image.dtype == np.uint8
