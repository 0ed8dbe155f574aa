"""FCN-8s: sizes, parameter counts, initialisation, fusion."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rbc_lightning.segmenters.fcn8s.nets import FCN8s, ScoreConv, SkipDecoder, TrunkFeatures, VGG16Trunk, bilinear_kernel

TINY = {"width": 1 / 16, "fc_channels": 16}


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(("n_classes", "expected"), [(1, 134_265_699), (2, 134_271_430), (21, 134_489_759)])
@pytest.mark.parametrize("padding", ["same", "caffe"])
def test_parameter_counts_are_those_of_the_released_net(n_classes, expected, padding):
    with torch.device("meta"):
        net = FCN8s(n_classes, batch_norm=False, padding=padding)
    assert count(net) == expected
    assert count(net.trunk.blocks) == 14_714_688
    assert count(net.trunk.fc) == 102_764_544 + 16_781_312


def test_batch_norm_replaces_each_bias_by_scale_and_shift():
    with torch.device("meta"):
        plain, normed = FCN8s(batch_norm=False), FCN8s(batch_norm=True)
    channels = 2 * 64 + 2 * 128 + 3 * 256 + 6 * 512 + 2 * 4096
    assert count(normed) == count(plain) + channels
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in normed.modules()) == 15


def test_quarter_width():
    with torch.device("meta"):
        trunk = FCN8s(width=0.25).trunk
        assert trunk.out_channels == (64, 128, 256)
        assert FCN8s(width=0.25, fc_channels=1024).trunk.out_channels == (64, 128, 1024)
    assert count(trunk) == 2_594_032


@pytest.mark.parametrize("padding", ["same", "caffe"])
@pytest.mark.parametrize("size", [(64, 96), (33, 70), (1, 1), (100, 31)])
def test_logits_have_the_size_of_the_image(padding, size):
    net = FCN8s(2, padding=padding, **TINY).eval()
    with torch.inference_mode():
        assert net(torch.randn(1, 3, *size)).shape == (1, 2, *size)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_he_initialisation_keeps_the_signal_alive_to_the_last_layer(batch_norm):
    torch.manual_seed(0)
    net = FCN8s(batch_norm=batch_norm, dropout=0.0, width=0.25, fc_channels=256)
    features = net.trunk(torch.randn(2, 3, 128, 128))
    # Zeroed or default-initialised convolutions leave fc7 at zero, or thousands of times smaller than the input.
    assert 0.1 < features.fc7.std().item() < 10
    logits = net.decoder(features, (128, 128))
    assert 0.1 < logits.std().item() < 10
    logits.square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in net.parameters())


def test_initialisation_has_he_variance_and_follows_the_seed():
    torch.manual_seed(0)
    first = FCN8s(width=0.25, fc_channels=64)
    weight = first.trunk.fc[0].weight
    assert weight.std().item() == pytest.approx((2 / (128 * 49)) ** 0.5, rel=0.02)
    torch.manual_seed(0)
    assert torch.equal(weight, FCN8s(width=0.25, fc_channels=64).trunk.fc[0].weight)


def test_bilinear_kernel_by_hand():
    assert torch.equal(4 * bilinear_kernel(2)[0], torch.tensor([0.25, 0.75, 0.75, 0.25]))
    assert torch.equal(4 * bilinear_kernel(2)[1], torch.tensor([0.75, 2.25, 2.25, 0.75]))


def test_decoder_adds_the_three_scales_aligned_and_interpolates_between_them():
    decoder = SkipDecoder((1, 1, 1), n_classes=1)
    for score in (decoder.score_pool3, decoder.score_pool4, decoder.score_fc7):
        nn.init.ones_(score.weight)
        nn.init.zeros_(score.bias)
    pool3, pool4, fc7 = torch.randn(1, 1, 16, 16), torch.randn(1, 1, 8, 8), torch.randn(1, 1, 4, 4)
    with torch.no_grad():
        logits = decoder(TrunkFeatures(pool3, pool4, fc7), (128, 128))

    def up(x, factor):
        return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)

    expected = up(pool3 + up(pool4 + up(fc7, 2), 2), 8)
    # Outside the outermost sample points a transposed convolution sees zeros, interpolation repeats the border.
    assert torch.allclose(logits[..., 32:-32, 32:-32], expected[..., 32:-32, 32:-32], atol=1e-5)


@pytest.mark.parametrize(("scale", "cell"), [("pool3", 179 // 8), ("pool4", 179 // 16), ("fc7", 179 // 32 - 3)])
def test_caffe_crops_keep_the_scales_on_the_same_place(scale, cell):
    # Row 80 of the image is row 179 after 100 px of padding and a 3x3 convolution; fc6 takes off three cells more.
    net = FCN8s(padding="caffe", batch_norm=False, **TINY)
    maps = {key: torch.zeros_like(value) for key, value in net.trunk(torch.zeros(1, 3, 160, 160))._asdict().items()}
    maps[scale][..., cell, :] = 1
    nn.init.ones_(getattr(net.decoder, f"score_{scale}").weight)
    with torch.no_grad():
        rows = net.decoder(TrunkFeatures(**maps), (160, 160))[0, 0].mean(1)
    centre = (rows * torch.arange(160)).sum() / rows.sum()
    assert abs(centre.item() - 80) <= {"pool3": 8, "pool4": 16, "fc7": 32}[scale] / 2


def test_frozen_upsampling_has_no_trainable_parameters():
    frozen = [p.requires_grad for n, p in FCN8s(learn_upsampling=False, **TINY).named_parameters() if "upscore" in n]
    assert frozen == [False, False, False]
    learnt = [p.requires_grad for n, p in FCN8s(**TINY).named_parameters() if "upscore" in n]
    assert learnt == [True, True, True]


def test_channels_last_gives_the_same_logits():
    net, image = FCN8s(**TINY).eval(), torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        plain = net(image)
        last = net.to(memory_format=torch.channels_last)(image.contiguous(memory_format=torch.channels_last))
    assert torch.allclose(plain, last, atol=1e-4)


def test_trunk_strides():
    features = VGG16Trunk(width=1 / 16, fc_channels=16)(torch.randn(1, 3, 64, 128))
    assert [tuple(f.shape) for f in features] == [(1, 16, 8, 16), (1, 32, 4, 8), (1, 16, 2, 4)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_classes": 0}, "n_classes must be at least 1, got 0"),
        ({"width": 0.0}, "width must be a positive factor"),
        ({"width": float("nan")}, "width must be a positive factor"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0"),
        ({"padding": "valid"}, "padding must be 'same' or 'caffe', got 'valid'"),
        ({"fc_channels": 0}, "fc_channels must be at least 1"),
        ({"in_channels": 0}, "in_channels must be at least 1, got 0"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        FCN8s(**arguments)


@pytest.mark.parametrize(("channels", "dtype"), [(512, torch.bfloat16), (1024, torch.float32)])
def test_scores_of_thousands_of_channels_keep_to_single_precision_on_a_cpu(channels, dtype):
    torch.manual_seed(0)
    layer, image = ScoreConv(channels, 1), torch.rand(1, channels, 4, 4).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        scores = layer(image)
    assert scores.dtype == dtype
    if dtype == torch.float32:
        scores.square().mean().backward()
        plain = F.conv2d(image.double(), layer.weight.double(), layer.bias.double())
        (exact,) = torch.autograd.grad(plain.square().mean(), layer.weight)
        torch.testing.assert_close(layer.weight.grad, exact, rtol=1e-4, atol=1e-6)


def test_a_decoder_of_full_width_learns_in_half_precision_on_a_cpu():
    """Where the scores of 4096 channels were in half precision, too, the process died on some processors."""
    decoder = SkipDecoder((256, 512, 4096), 1)
    features = [torch.rand(1, channels, side, side) for channels, side in ((256, 16), (512, 8), (4096, 4))]
    for _ in range(3):
        with torch.autocast("cpu", torch.bfloat16):
            loss = decoder(TrunkFeatures(*(maps.bfloat16() for maps in features)), (128, 128)).float().square().mean()
        loss.backward()
    assert torch.isfinite(decoder.score_fc7.weight.grad).all()
