"""The cheaper layers against PyTorch's own: same results, same gradients, same names."""

import pytest
import torch
from torch import nn

from rbc_lightning.translators.pix2pixhd.layers import ImageConv, InstanceNorm


def outcome(layer, x, weights, memory_format=torch.contiguous_format):
    """Output and all gradients, the gradient of the output coming in `memory_format`."""
    layer.zero_grad()
    x = x.clone().contiguous(memory_format=memory_format).requires_grad_()
    y = layer(x)
    y.backward(weights.contiguous(memory_format=memory_format))
    return [y.detach(), x.grad, *(p.grad for p in layer.parameters())]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("batch", [1, 3])
def test_instance_norm_is_pytorchs_and_right_in_channels_last_too(batch, memory_format):
    torch.manual_seed(0)
    x, weights = torch.randn(2, batch, 5, 6, 7, dtype=torch.float64)
    # PyTorch's own gradient is wrong in channels_last order: the expected one is taken in the plain order.
    expected = outcome(nn.InstanceNorm2d(5), x, weights)
    for ours, theirs in zip(outcome(InstanceNorm(5), x, weights, memory_format), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("size", [(14, 20), (13, 20), (14, 19)])
@pytest.mark.parametrize("kernel", [3, 7])
def test_image_convolution_has_the_results_gradients_and_names_of_a_plain_one(size, kernel):
    torch.manual_seed(0)
    plain = nn.Conv2d(4, 3, kernel).double()
    ours = ImageConv(4, 3, kernel).double()
    ours.load_state_dict(plain.state_dict())
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    weights = torch.randn_like(plain(x))
    for mine, expected in zip(outcome(ours, x, weights), outcome(plain, x, weights), strict=True):
        torch.testing.assert_close(mine, expected)
