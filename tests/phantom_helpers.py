"""Specs and measures that the tests of the phantom share."""

from skimage import measure, segmentation

from rbc_lightning.data.readers.phantom import PhantomSpec

SMALL = PhantomSpec(height=160, width=208)
QUARTER = PhantomSpec(height=600, width=960)


def whole_cells(label_map):
    """Region properties of the cells that the border does not cut."""
    inside = segmentation.clear_border(label_map)
    return measure.regionprops(inside)
