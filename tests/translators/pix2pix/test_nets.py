"""The pix2pix generator: published counts, equivalences, sizes, dropout."""

from inspect import signature

import pytest
import torch
from torch import nn

from rbc_lightning.translators.phases import arguments_of
from rbc_lightning.translators.pix2pix.nets import UNetGenerator, make_norm
from rbc_lightning.translators.pix2pixhd.layers import InstanceNorm

ISOLA = {"in_channels": 3, "kernel_size": 4, "first_dropout": 1, "bias_before_norm": False}
NOVOSELOV = {"in_channels": 3, "kernel_size": 4, "dropout": 0.3, "n_dropout": None}
TINY = {"base_channels": 4, "n_downsample": 4}
# What a configuration leaves to the task.
DEFAULTS = arguments_of({"_target_": "rbc_lightning.translators.pix2pix.task.ModeSeekingPix2PixTask"})


def unet(**changes):
    """The generator of Allender et al., as the task builds it, or with changes."""
    own = {name: DEFAULTS[name] for name in signature(UNetGenerator).parameters if name in DEFAULTS}
    return UNetGenerator(**{"in_channels": 2, "out_channels": 3} | own | changes)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def on_meta(**settings):
    with torch.device("meta"):
        return unet(**settings)


def test_every_layer_of_s4s_table_has_the_printed_count():
    net = on_meta()
    # Printed: 1,664 for one input channel; 655,513 where a digit is lost, and with a norm that a 1x1 map cannot have.
    assert [count(layer) for layer in net.downs] == [3264, 205184, 819968, 3278336, 6555136, 6555136, 6555136, 6555136 - 1024]
    assert count(on_meta(in_channels=1).downs[0]) == 1664
    ups = [6555136, 13108736, 13108736, 13108736, 6554368, 1638784, 409792, 9603]
    assert [count(layer) for layer in net.ups] == ups
    assert count(net) == 85_020_163


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_counts_of_the_public_code_and_of_s2(norm):
    assert count(on_meta(**ISOLA, norm=norm)) == 54_413_955
    assert count(on_meta(**{**ISOLA, "in_channels": 2}, norm=norm)) == 54_412_931
    assert count(on_meta(**NOVOSELOV, norm=norm)) == 54_419_459


@pytest.mark.parametrize("settings", [{}, ISOLA])
def test_shapes_on_the_way_are_those_of_the_table(settings):
    shapes = []
    with torch.device("meta"):
        net = unet(**settings)
        for layer in [*net.downs, *net.ups]:
            layer.register_forward_hook(lambda _, __, output: shapes.append((output.shape[1], *output.shape[2:])))
        image = net(torch.zeros(1, net.in_channels, 256, 256))
    widths = [64, 128, 256, 512, 512, 512, 512, 512]
    down = [(width, 128 >> level, 128 >> level) for level, width in enumerate(widths)]
    assert shapes == [*down, *down[-2::-1], (3, 256, 256)]
    assert image.shape == (1, 3, 256, 256)


def test_instance_norm_is_batch_norm_on_the_statistics_of_a_batch_of_one():
    torch.manual_seed(1)
    instance, batch = make_norm("instance", 5), make_norm("batch", 5).train()
    for norm in (instance, batch):
        nn.init.normal_(norm.weight, generator=torch.manual_seed(2))
        nn.init.normal_(norm.bias, generator=torch.manual_seed(3))
    x = torch.randn(1, 5, 6, 7) * 3 + 2
    towards = torch.randn(1, 5, 6, 7).to(memory_format=torch.channels_last)
    results = []
    for norm in (instance.eval(), batch):
        leaf = x.clone().requires_grad_()
        output = norm(leaf)
        (output * towards).sum().backward()
        results.append((output, leaf.grad, norm.weight.grad, norm.bias.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_generators_with_either_norm_agree_on_a_batch_of_one():
    torch.manual_seed(0)
    settings = {**TINY, "dropout": 0.0}
    batch = unet(**settings, norm="batch").train()
    instance = unet(**settings, norm="instance")
    fit = instance.load_state_dict(batch.state_dict(), strict=False)
    assert not fit.missing_keys
    assert all("running" in key or "num_batches" in key for key in fit.unexpected_keys)
    x = torch.randn(1, 2, 32, 16)
    image = instance.eval()(x)
    assert image.shape == (1, 3, 32, 16)
    torch.testing.assert_close(image, batch(x))
    # Painting with running statistics is another network.
    assert not torch.allclose(image, batch.eval()(x), atol=1e-3)
    # A batch of two gives each image what it gets alone.
    torch.testing.assert_close(instance(torch.cat([x, -x]))[:1], image)


def plain_forward(net, x):
    """The generator of kernel 4 written out as a recursion over its levels, without dropout."""

    def level(x, depth):
        conv = net.downs[depth][-1] if depth in (0, last) else net.downs[depth][-2]
        inner = conv(nn.functional.leaky_relu(x, 0.2) if depth else x)
        if 0 < depth < last:
            inner = nn.functional.batch_norm(inner, None, None, net.downs[depth][-1].weight, net.downs[depth][-1].bias, True)
        if depth < last:
            inner = torch.cat([level(inner, depth + 1), inner], dim=1)
        up = net.ups[last - depth]
        outer = up[1](inner.clamp(min=0))
        return nn.functional.batch_norm(outer, None, None, up[2].weight, up[2].bias, True) if depth else outer.tanh()

    last = len(net.downs) - 1
    return level(x, 0)


def test_forward_equals_the_recursion_of_the_paper():
    torch.manual_seed(0)
    net = unet(**{**ISOLA, **TINY}).eval()
    x = torch.randn(1, 3, 32, 48)
    torch.testing.assert_close(net(x), plain_forward(net, x))


def test_initialisation_reaches_every_layer():
    torch.manual_seed(0)
    net = unet(base_channels=16, n_downsample=5)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.1)
            assert not module.bias.any()
    norms = [module for module in net.modules() if isinstance(module, InstanceNorm)]
    scales = torch.cat([norm.weight for norm in norms])
    assert len(norms) == 3 + 4
    assert scales.mean().item() == pytest.approx(1, abs=0.01)
    assert scales.std().item() == pytest.approx(0.02, rel=0.2)


@pytest.mark.parametrize(
    ("settings", "dropped"),
    [({}, {0, 1, 2}), (ISOLA, {1, 2, 3}), (NOVOSELOV, set(range(7))), ({"n_downsample": 3}, {0, 1}), ({"n_dropout": 0}, set())],
)
def test_which_layers_drop(settings, dropped):
    assert on_meta(**settings).dropped == dropped


def test_dropout_stays_on_when_asked_and_follows_the_seed():
    torch.manual_seed(0)
    net = unet(**TINY)
    x = torch.randn(1, 2, 32, 32)

    def painted(seed):
        torch.manual_seed(seed)
        return net(x)

    in_training = painted(5)
    net.eval()
    assert torch.equal(painted(5), painted(6))
    net.keep_dropout = True
    assert not net.training
    assert torch.equal(painted(5), in_training)
    assert not torch.allclose(painted(5), painted(6))


def test_dropped_values_are_zeroed_and_the_rest_scaled_by_the_share_kept():
    torch.manual_seed(0)
    net = unet(**TINY, dropout=0.25, n_dropout=1, first_dropout=1)
    seen = {}
    net.ups[1].register_forward_hook(lambda _, __, output: seen.update(before=output))
    net.ups[2].register_forward_pre_hook(lambda _, inputs: seen.update(after=inputs[0][:, : seen["before"].shape[1]]))
    net(torch.randn(64, 2, 32, 32))
    kept = seen["after"] != 0
    assert kept.float().mean().item() == pytest.approx(0.75, abs=0.01)
    torch.testing.assert_close(seen["after"][kept], seen["before"][kept] / 0.75)


def test_outer_taps_of_the_innermost_kernels_never_learn_from_crops_of_the_smallest_size():
    torch.manual_seed(0)
    net = unet(**TINY)
    for size, expected in ((16, {2, 3}), (32, {0, 1, 2, 3, 4})):
        net.zero_grad()
        net(torch.randn(1, 2, size, size)).square().sum().backward()
        moved = net.downs[-1][-1].weight.grad.abs().sum(dim=(0, 1))
        rows, columns = moved.nonzero().T.tolist()
        assert set(rows) == set(columns) == expected


@pytest.mark.parametrize("kernel_size", [2, 3, 4, 5, 7])
def test_any_kernel_keeps_the_size(kernel_size):
    net = unet(**TINY, kernel_size=kernel_size)
    assert net(torch.zeros(1, 2, 16, 48)).shape == (1, 3, 16, 48)


def test_bf16_autocast_gives_nearly_the_same_picture():
    torch.manual_seed(0)
    net = unet(**TINY).eval()
    x = torch.randn(1, 2, 32, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        image = net(x)
    assert (image.float() - net(x)).abs().max() < 0.05


def test_other_sizes_are_refused_with_the_size_to_pad_to():
    net = on_meta()
    with torch.device("meta"):
        with pytest.raises(ValueError, match=r"multiples of 256, got 480 x 640: reflect-pad to 512 x 768"):
            net(torch.zeros(1, 2, 480, 640))
        with pytest.raises(ValueError, match=r"takes inputs of shape \(B, 2, H, W\), got \(1, 3, 256, 256\)"):
            net(torch.zeros(1, 3, 256, 256))
        with pytest.raises(ValueError, match=r"got 0 x 256: reflect-pad to 256 x 256"):
            net(torch.zeros(1, 2, 0, 256))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base_channels": 0}, "base_channels must be at least 1, got 0"),
        ({"n_downsample": 1}, "n_downsample must be at least 2, got 1"),
        ({"kernel_size": 1}, "kernel_size must be at least 2, got 1"),
        ({"n_dropout": -1}, "n_dropout must be at least 0, got -1"),
        ({"first_dropout": -1}, "first_dropout must be at least 0, got -1"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ({"norm": "layer"}, "unknown norm 'layer': choose one of instance, batch"),
    ],
)
def test_bad_arguments(settings, message):
    with pytest.raises(ValueError, match=message):
        on_meta(**settings)
