"""Shapes of images: padding to whole strides, and the check of channels."""

import pytest
import torch
from torch import nn

from rbc_lightning.segmenters.shapes import check_image, pad_to_multiple


def test_padding_repeats_the_border_and_leaves_fitting_sizes_alone():
    image = torch.arange(6.0).reshape(1, 1, 2, 3)
    padded = pad_to_multiple(image, 4)
    assert padded[0, 0].tolist() == [[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5], [3, 4, 5, 5]]
    assert pad_to_multiple(padded, 4) is padded


def test_images_of_another_shape_are_refused_by_the_networks_name():
    check_image(nn.Identity(), torch.zeros(1, 2, 5, 5), 2)
    for shape in ((2, 5, 5), (1, 3, 5, 5)):
        with pytest.raises(ValueError, match=r"Identity takes images of shape \(B, 2, H, W\), got \("):
            check_image(nn.Identity(), torch.zeros(shape), 2)
