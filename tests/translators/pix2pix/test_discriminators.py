"""The pix2pix discriminators: published counts, logit maps, receptive field, sizes."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rbc_lightning.translators.phases import arguments_of
from rbc_lightning.translators.pix2pix.discriminators import LinearDiscriminator, PatchDiscriminator
from rbc_lightning.translators.pix2pixhd.layers import InstanceNorm

# What a configuration leaves to the task.
DEFAULTS = arguments_of({"_target_": "rbc_lightning.translators.pix2pix.task.ModeSeekingPix2PixTask"})
NOVOSELOV = {"strides": (2, 2, 2, 2, 2, 1), "padding": "same", "bias_before_norm": True}
TUTORIAL = {**NOVOSELOV, "strides": (2, 2, 2, 2, 1, 1)}


def linear(**changes):
    """The discriminator of Allender et al., as the task builds it for images alone, or with changes."""
    own = {name: DEFAULTS[name] for name in ("size", "kernel_size", "norm")}
    return LinearDiscriminator(**{"in_channels": 3, "base_channels": DEFAULTS["discriminator_channels"]} | own | changes)


def patch(**changes):
    """The discriminator of Isola et al., or with changes."""
    own = {"in_channels": 6, "base_channels": DEFAULTS["discriminator_channels"], "norm": DEFAULTS["norm"], "kernel_size": 4}
    own |= {name: DEFAULTS[f"discriminator_{name}"] for name in ("strides", "padding")}
    return PatchDiscriminator(**own | {"bias_before_norm": False} | changes)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_every_layer_of_s4s_table_has_the_printed_count():
    with torch.device("meta"):
        net = linear()
        assert net(torch.zeros(2, 3, 256, 256)).shape == (2, 1)
    # Convolution and norm together.
    counts = [count(net.features[0]), *(count(net.features[i : i + 2]) for i in (2, 5, 8)), count(net.linear)]
    assert counts == [4864, 205184, 819968, 3278336, 32 * 32 * 512 + 1]
    assert count(net) == 4_832_641


@pytest.mark.parametrize(
    ("settings", "parameters", "side"),
    [({}, 2_768_705, 30), (NOVOSELOV, 6_965_441, 8), (TUTORIAL, 6_965_441, 16), ({"norm": "batch"}, 2_768_705, 30)],
)
def test_patch_counts_and_logit_maps(settings, parameters, side):
    with torch.device("meta"):
        net = patch(**settings)
        assert net(torch.zeros(2, 6, 256, 256)).shape == (2, 1, side, side)
    assert count(net) == parameters


def test_a_patch_of_the_public_form_is_70_pixels_wide():
    net = patch(in_channels=1, base_channels=2)
    # Norms look at the whole image; here only the convolutions' reach counts.
    layers = [layer for layer in net.model if not isinstance(layer, InstanceNorm)]
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.ones_(layer.weight)
    image = torch.ones(1, 1, 256, 256, requires_grad=True)
    nn.Sequential(*layers)(image)[0, 0, 15, 15].backward()
    rows, columns = image.grad[0, 0].nonzero().T
    assert rows.max() - rows.min() + 1 == 70
    assert columns.max() - columns.min() + 1 == 70


def test_linear_forward_equals_the_layers_written_out():
    torch.manual_seed(0)
    net = linear(in_channels=5, base_channels=2, size=16)
    x = torch.randn(1, 5, 16, 16)
    y = x
    for i, stride in ((0, 2), (2, 2), (5, 2), (8, 1)):
        y = F.conv2d(y, net.features[i].weight, net.features[i].bias, stride, padding=2)
        if i:
            y = F.batch_norm(y, None, None, net.features[i + 1].weight, net.features[i + 1].bias, training=True)
        y = F.leaky_relu(y, 0.2)
    expected = (y.flatten() * net.linear.weight[0]).sum()
    torch.testing.assert_close(net(x)[0, 0], expected)


def test_same_padding_puts_the_odd_zero_at_the_bottom_right():
    torch.manual_seed(0)
    net = patch(in_channels=2, base_channels=2, strides=(2, 1), padding="same")
    x = torch.randn(1, 2, 8, 8)
    first, last = (layer for layer in net.model if isinstance(layer, nn.Conv2d))
    hidden = F.leaky_relu(F.conv2d(F.pad(x, (1, 1, 1, 1)), first.weight, first.bias, 2), 0.2)
    torch.testing.assert_close(net(x), F.conv2d(F.pad(hidden, (1, 2, 1, 2)), last.weight, last.bias))


def test_initialisation_reaches_convolutions_norms_and_the_linear_layer():
    torch.manual_seed(0)
    for net in (linear(base_channels=16, size=32), patch(base_channels=16)):
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                assert module.weight.std().item() == pytest.approx(0.02, rel=0.1)
                assert module.bias is None or not module.bias.any()
            elif isinstance(module, InstanceNorm):
                assert module.weight.mean().item() == pytest.approx(1, abs=0.02)
                assert 0 < module.weight.std().item() < 0.03


@pytest.mark.parametrize("net", [linear(base_channels=2, size=32), patch(in_channels=3, base_channels=2)])
def test_images_of_a_batch_get_logits_of_their_own_and_give_gradient(net):
    x = torch.randn(2, 3, 32, 32, requires_grad=True)
    logits = net(x)
    torch.testing.assert_close(logits[1:], net(x[1:]))
    logits[0].sum().backward()
    assert x.grad[0].abs().sum() > 0
    assert x.grad[1].abs().sum() == 0


def test_linear_takes_its_own_size_only():
    net = linear(base_channels=2, size=32)
    with pytest.raises(ValueError, match=r"built for inputs of shape \(B, 3, 32, 32\), got \(1, 3, 64, 32\).*another size"):
        net(torch.zeros(1, 3, 64, 32))
    with pytest.raises(ValueError, match=r"got \(1, 5, 32, 32\)"):
        net(torch.zeros(1, 5, 32, 32))


def test_patch_takes_any_size_that_leaves_room_for_its_norms():
    net = patch(base_channels=2)
    # 24 -> 12 -> 6 -> 3 -> 2 -> 1; of 23 a norm would see a single position.
    assert net(torch.zeros(1, 6, 24, 40)).shape == (1, 1, 1, 3)
    with pytest.raises(ValueError, match=r"shape \(B, 6, H, W\) with H and W of at least 24 pixels, got \(1, 6, 40, 23\)"):
        net(torch.zeros(1, 6, 40, 23))
    with pytest.raises(ValueError, match=r"got \(1, 3, 40, 40\)"):
        net(torch.zeros(1, 3, 40, 40))


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (linear, {"size": 100}, "multiple of 8 pixels and at least 16, got 100"),
        (linear, {"size": 8}, "multiple of 8 pixels and at least 16, got 8"),
        (linear, {"kernel_size": 4}, "kernel_size must be odd, got 4"),
        (linear, {"norm": "none"}, "unknown norm 'none'"),
        (patch, {"strides": (2,)}, r"strides must be two or more numbers .* got \(2,\)"),
        (patch, {"strides": (2, 5)}, r"from 1 to kernel_size=4, got \(2, 5\)"),
        (patch, {"padding": "valid"}, """padding must be "same" or a number from 0 to 3, got 'valid'"""),
        (patch, {"base_channels": 0}, "base_channels must be at least 1, got 0"),
    ],
)
def test_bad_arguments(kind, settings, message):
    with pytest.raises(ValueError, match=message):
        kind(**settings)
