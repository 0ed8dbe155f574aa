import pytest
import torch
from torch import nn

from rbc_lightning.translators.pix2pixhd.nets import GlobalGenerator
from rbc_lightning.translators.pix2pixhd.settings import NetSettings
from rbc_lightning.translators.receptive_field import bytes_per_pixel, receptive_radius


class Rescaled(nn.Module):
    """Down by `unit`, a 3x3 convolution, up again."""

    def __init__(self, unit):
        super().__init__()
        self.unit, self.conv = unit, nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x):
        return nn.functional.interpolate(self.conv(nn.functional.avg_pool2d(x, self.unit)), scale_factor=self.unit)


class WithMean(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 1)

    def forward(self, x):
        return self.conv(x) + x.mean(dim=(2, 3), keepdim=True)


@pytest.mark.parametrize(
    ("network", "unit", "radius"),
    [
        (nn.Conv2d(2, 3, 1), 1, 0),
        (nn.Conv2d(2, 3, 7, padding=3), 1, 3),
        (nn.Sequential(nn.Conv2d(2, 2, 7, padding=3), nn.ReLU(), nn.Conv2d(2, 2, 3, padding=1)), 1, 4),
        (nn.Conv2d(2, 3, 7, padding=3), 2, 2),  # 3 pixels are 2 units of 2
        (nn.Sequential(nn.Conv2d(2, 2, 41, padding=20)), 1, 20),  # the first probe of 32 units is too short
        (Rescaled(4), 4, 1),
        # An instance norm with fixed statistics sees its own pixel only.
        (nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.InstanceNorm2d(2), nn.ReLU()), 1, 1),
    ],
)
def test_radius_by_hand(network, unit, radius):
    assert receptive_radius(network, 2, unit) == radius


def test_a_mean_over_the_image_has_no_radius():
    with pytest.raises(ValueError, match="sees further than 256 pixels: it cannot be evaluated in tiles"):
        receptive_radius(WithMean(), 2)


@pytest.mark.parametrize("stage", [1, 2])
def test_radius_of_the_modulated_generator_by_gradient(stage):
    """Gradients in double precision see the last pixel that matters; a dead ReLU may hide it, NaN cannot be hidden."""
    torch.manual_seed(0)
    settings = NetSettings("modulated", stage, base_channels=4, n_downsample=2, n_blocks=1, n_blocks_local=1)
    generator, unit = settings.build_generator(), settings.multiple
    channels = 3 + settings.style_channels + settings.noise_channels
    radius = receptive_radius(generator, channels, unit)
    length = 2 * radius + 5
    x = (torch.rand(1, channels, 2 * unit, length * unit) - 0.5).requires_grad_()
    middle = length // 2
    # Single precision: some parts compute in it anyway, and a zero gradient is an exact zero.
    generator(x)[..., middle * unit : (middle + 1) * unit].sum().backward()
    reached = x.grad.abs().amax(dim=(0, 1, 2)).reshape(length, unit).amax(dim=1).nonzero()
    farthest = max(middle - int(reached.min()), int(reached.max()) - middle)
    # The way past `x.detach()` carries no gradient, and reaches less far than the others.
    assert farthest == radius


def test_memory_by_hand():
    # The full resolution's 8 channels padded by 3 pixels at each side are the largest layer: 8 * 4 bytes, 8 of them alive.
    network = GlobalGenerator(2, 3, base_channels=8, n_downsample=2, n_blocks=1)
    assert bytes_per_pixel(network, 2, 4) == 8 * 8 * 4 * (16 + 6) ** 2 / 16**2
    assert bytes_per_pixel(nn.Conv2d(2, 5, 1), 2, 4) == 8 * 5 * 4
    assert not any(module._forward_hooks for module in network.modules())
