import numpy as np
from scipy.spatial import cKDTree
from skimage import measure

from rbc_lightning.data.readers.phantom.smear import settle


def test_cells_keep_a_soft_core_and_gather_at_contact(smears):
    """g(r) of the visible centroids against real smears: .04 at .55 diameters, .21 at .65, 1.5 at contact, then flat."""
    radii = np.array([0.3, 0.5, 0.6, 0.7, 0.9, 1.15, 1.3, 1.6]) * 46.0
    pairs, uniform = np.zeros(len(radii) - 1), np.zeros(len(radii) - 1)
    for _, label_map in smears:
        centers = np.array([cell.centroid for cell in measure.regionprops(label_map)])
        inner = centers[np.all((centers > 80) & (centers < np.array(label_map.shape) - 80), axis=1)]
        tree, inner_tree = cKDTree(centers), cKDTree(inner)
        pairs += np.diff([inner_tree.count_neighbors(tree, radius) for radius in radii])
        density = len(inner) / np.prod(np.array(label_map.shape) - 160)
        uniform += len(inner) * density * np.pi * np.diff(radii**2)
    g = pairs / uniform
    assert g[0] < 0.02
    assert g[1] < 0.12
    assert 0.1 < g[2] < 0.4
    assert 1.2 < g[4] < 1.9
    assert 0.8 < g[6] < 1.2


def test_settled_centres_lie_in_the_field_or_just_outside():
    centers = settle(np.full(300, 46.0), 600, 960, 0.5, np.random.default_rng(0))
    assert centers.shape == (300, 2)
    margin = 0.4 * 46 + 1e-9
    assert np.all((centers >= -margin) & (centers <= np.array([600, 960]) + margin))
    assert np.any(centers < 0)
    assert np.all(centers.max(axis=0) > [560, 920])
