"""Augmentation of slices: values of classes kept, nothing upended."""

import numpy as np
import pytest
import yaml
from head_slices import SLICES, slice_pair

from rbc_lightning.data.augment.transforms import FLIPS, build_augmentation
from rbc_lightning.usage import CONF_DIR


def transforms_of(name):
    return yaml.safe_load((CONF_DIR / "augment" / f"{name}.yaml").read_text())["transforms"]


@pytest.mark.parametrize("channels", [("FLAIR",), ("FLAIR", "T1w"), ("FLAIR", "T1w", "T2w")])
def test_slices_keep_their_classes_type_and_top(channels):
    spec = SLICES.__class__(**{**SLICES.decisive(), "channels": channels})
    image, label_map = slice_pair(0)
    image = np.repeat(image[..., :1], len(channels), axis=2)
    augment = build_augmentation(transforms_of("slices"), spec)
    changed = [augment(image, label_map, seed) for seed in range(12)]
    for other, labels in changed:
        assert (other.shape, other.dtype) == (image.shape, np.uint16)
        assert set(np.unique(labels)) <= {0, 1, 2, 3}
        assert np.argwhere(labels == 1)[:, 0].mean() > np.argwhere(labels == 2)[:, 0].mean()
        # The lesion moves with its image.
        assert other[labels == 1].mean() > other[labels == 2].mean() + 500
    assert len({labels.tobytes() for _, labels in changed}) > 8


def test_flips_of_upright_images_are_left_to_right_alone():
    image, label_map = slice_pair(1)
    augment = build_augmentation(FLIPS, SLICES)
    seen = {augment(image, label_map, seed)[1].tobytes() for seed in range(20)}
    assert seen == {label_map.tobytes(), np.ascontiguousarray(label_map[:, ::-1]).tobytes()}


def test_the_stronger_sets_renumber_no_class():
    image, label_map = slice_pair(2)
    for name in ("paper", "strong"):
        transforms = {key: value for key, value in transforms_of(name).items() if key not in REFUSED}
        augment = build_augmentation({key: {**value, "p": 1.0} for key, value in transforms.items()}, SLICES)
        assert all(set(np.unique(augment(image, label_map, seed)[1])) <= {0, 1, 2, 3} for seed in range(4))


REFUSED = ("grayscale", "hue_saturation", "jpeg", "stain_strength")
