"""Small samples with structure maps, and the banks over them."""

import numpy as np
from oracles.mask_layouts import blob_map
from scipy import ndimage

from rbc_lightning.masks import ShapeBank
from rbc_lightning.translators.pix2pix.structures.bank import StructureBank
from rbc_lightning.translators.pix2pix.structures.crops import CELL, DARK


def noisy_sample(seed):
    """Blobs with an uneven inside, some halo and some dirt."""
    labels = blob_map(seed)
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=labels.shape), 1.5)
    return labels, ((labels > 0) & (noise > -0.12)) | (noise > 0.28)


SAMPLES = [noisy_sample(seed) for seed in range(4)]
SHAPES = ShapeBank.from_label_maps([labels for labels, _ in SAMPLES])
STRUCTURES = StructureBank.from_samples(SAMPLES, free_standing=False)


def half_dark(extra_rows=0):
    """A 9 x 7 cell, longer by some rows, with its upper rows dark; the rest of the image is light."""
    labels, structure = np.zeros((40, 40), np.int32), np.zeros((40, 40), np.uint8)
    labels[10 : 19 + extra_rows, 12:19] = 1
    structure[10:14, 12:19] = 1
    return labels, structure


def crop_of(bank, index, bit=DARK):
    """The structure of a shape of a bank and of the background beside it, bool (h, w): the shape with a margin of one pixel."""
    height, width = bank.crops.sizes[index].tolist()
    return bank.crops.codes[bank.crops.starts[index] :][: height * width].reshape(height, width) & bit > 0


def mask_of(bank, index):
    """The shape of a crop, cropped to it, as `ShapeBank.mask` gives it: bool (h, w)."""
    shape = crop_of(bank, index, CELL)
    rows, columns = np.flatnonzero(shape.any(axis=1)), np.flatnonzero(shape.any(axis=0))
    return shape[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
