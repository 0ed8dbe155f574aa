"""Discs to cut out and paste."""

import numpy as np

from rbc_lightning.core.label_files import write_label_map
from rbc_lightning.data.augment.copy_paste import CopyPaste, CopyPasteSettings
from rbc_lightning.data.formats import write_image
from rbc_lightning.data.sample import FilePair, Sample
from rbc_lightning.data.spec import RGB

RADIUS = 9


def disc(height=60, width=60, centre=(30, 30), radius=RADIUS):
    rows, columns = np.mgrid[:height, :width]
    return (np.hypot(rows - centre[0], columns - centre[1]) <= radius).astype(np.int32)


def write(root, name, image, label_map, split="train", spec=RGB):
    image_path = write_image(root / f"{name}.png", image)
    files = FilePair(image_path, write_label_map(root / f"{name}_labels.png", label_map), spec)
    return Sample(name, split, name, name, name, files, spec=spec)


def pasting(donors, seed=0, **settings):
    return CopyPaste(donors, CopyPasteSettings(**settings), seed)
