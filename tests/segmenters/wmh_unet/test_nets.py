"""The winner's U-Net: counts of the public code, sizes, padding, initialisation."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rbc_lightning.segmenters.wmh_unet.nets import WmhUNet


def convolutions(net):
    return [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]


def test_it_has_the_convolutions_and_parameters_of_the_public_code():
    with torch.device("meta"):
        net = WmhUNet()
    assert sum(parameter.numel() for parameter in net.parameters()) == 8_742_209
    shapes = [(layer.kernel_size[0], layer.in_channels, layer.out_channels) for layer in convolutions(net)]
    assert shapes == [
        *((5, 2, 64), (5, 64, 64), (3, 64, 96), (3, 96, 96), (3, 96, 128), (3, 128, 128), (3, 128, 256), (4, 256, 256)),
        *((3, 256, 512), (3, 512, 512), (3, 768, 256), (3, 256, 256), (3, 384, 128), (3, 128, 128)),
        *((3, 224, 96), (3, 96, 96), (3, 160, 64), (3, 64, 64), (1, 64, 1)),
    ]


@pytest.mark.parametrize(("settings", "count"), [({"in_channels": 1}, 8_740_609), ({"n_outputs": 4}, 8_742_209 + 3 * 65)])
def test_other_channels_change_the_first_and_the_last_convolution_alone(settings, count):
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in WmhUNet(**settings).parameters()) == count


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (1, 1)])
def test_it_takes_images_of_any_size(size):
    net = WmhUNet(0.05, n_outputs=3).eval()
    with torch.inference_mode():
        assert net(torch.randn(1, 2, *size)).shape == (1, 3, *size)


def public(net, image):
    """The public code's forward pass, step by step, for sides that are multiples of 16."""
    weights = [(layer.weight, layer.bias) for layer in convolutions(net)]

    def twice(x, first):
        for weight, bias in weights[first : first + 2]:
            # Keras pads an even kernel less before than behind.
            before, behind = (weight.shape[-1] - 1) // 2, weight.shape[-1] // 2
            x = F.relu(F.conv2d(F.pad(x, (before, behind, before, behind)), weight, bias))
        return x

    one = twice(image, 0)
    two = twice(F.max_pool2d(one, 2), 2)
    three = twice(F.max_pool2d(two, 2), 4)
    four = twice(F.max_pool2d(three, 2), 6)
    x = twice(F.max_pool2d(four, 2), 8)
    for first, skip in ((10, four), (12, three), (14, two), (16, one)):
        x = twice(torch.cat((x.repeat_interleave(2, -1).repeat_interleave(2, -2), skip), 1), first)
    return F.conv2d(x, *weights[-1])


def test_its_logits_are_those_of_the_public_code():
    torch.manual_seed(0)
    net, image = WmhUNet(0.1), torch.randn(2, 2, 48, 32)
    for layer in convolutions(net):
        nn.init.normal_(layer.bias, std=0.1)
    torch.testing.assert_close(net(image), public(net, image))


def test_it_starts_from_glorot_with_biases_of_zero():
    torch.manual_seed(0)
    for layer in convolutions(WmhUNet(0.5)):
        bound = (6 / ((layer.in_channels + layer.out_channels) * layer.kernel_size[0] ** 2)) ** 0.5
        assert layer.weight.abs().max() <= bound
        assert layer.weight.abs().max() > 0.9 * bound
        assert not layer.bias.any()


def test_every_weight_has_a_gradient():
    torch.manual_seed(0)
    net = WmhUNet(0.1)
    net(torch.randn(2, 2, 32, 32)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in net.parameters() if parameter.ndim == 4)


@pytest.mark.parametrize("settings", [{"width": 0}, {"width": float("nan")}, {"n_outputs": 0}, {"in_channels": 0}])
def test_bad_arguments_are_refused(settings):
    (name,) = settings
    with pytest.raises(ValueError, match=name):
        WmhUNet(**settings)
    with pytest.raises(ValueError, match=r"WmhUNet takes images of shape \(B, 2, H, W\), got \(1, 3, 8, 8\)"):
        WmhUNet(0.05)(torch.zeros(1, 3, 8, 8))
