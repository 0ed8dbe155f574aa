"""DCAN: parameter counts, sizes, what depends on what, the auxiliary classifiers."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rbc_lightning.segmenters.dcan.nets import DCAN, UpPath
from rbc_lightning.segmenters.fcn8s.nets import FCN8s, TrunkFeatures, initialize

TINY = {"width": 1 / 16, "fc_channels": 16}
TRUNK = 14_714_688 + 102_764_544 + 16_781_312


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, 134_271_430),
        ({"auxiliary": True}, 134_271_430),
        # Two decoders of one class each: FCN-8s for one class has 134,265,699 parameters, the trunk among them.
        ({"separate_paths": True}, 2 * 134_265_699 - TRUNK),
        # Scores of 256, 512 and 4096 channels; kernels of 4, 4 and 16; 1x1 from 16 channels to two maps.
        ({"decoder_channels": 16}, TRUNK + 16 * (256 + 512 + 4096 + 3) + 16 * 16 * (16 + 16 + 256) + 2 * 17),
    ],
)
def test_parameter_counts_at_width_one(arguments, expected):
    with torch.device("meta"):
        assert count(DCAN(batch_norm=False, **arguments)) == expected


@pytest.mark.parametrize("arguments", [{}, {"separate_paths": True}, {"decoder_channels": 4}])
@pytest.mark.parametrize("size", [(64, 96), (33, 70), (1, 1)])
def test_logits_have_the_size_of_the_image(arguments, size):
    net = DCAN(**TINY, **arguments).eval()
    with torch.inference_mode():
        assert net(torch.randn(2, 3, *size)).shape == (2, 2, *size)


def test_the_default_is_fcn8s_for_two_classes():
    torch.manual_seed(0)
    net, fcn8s = DCAN(**TINY).eval(), FCN8s(2, **TINY).eval()
    net.trunk.load_state_dict(fcn8s.trunk.state_dict())
    net.paths[0].decoder.load_state_dict(fcn8s.decoder.state_dict())
    image = torch.randn(1, 3, 50, 70)
    with torch.inference_mode():
        torch.testing.assert_close(net(image), fcn8s(image))


@pytest.mark.parametrize("decoder_channels", [None, 4])
def test_separate_paths_share_the_trunk_and_nothing_else(decoder_channels):
    net = DCAN(separate_paths=True, decoder_channels=decoder_channels, batch_norm=False, dropout=0.0, **TINY)
    image = torch.randn(1, 3, 64, 64)
    for channel in (0, 1):
        net.zero_grad()
        net(image)[:, channel].square().mean().backward()
        reached = [any(p.grad is not None and p.grad.any() for p in path.parameters()) for path in net.paths]
        assert reached == [channel == 0, channel == 1]
        assert all(p.grad.any() for p in net.trunk.blocks.parameters())


def test_both_maps_depend_on_all_of_a_shared_path():
    net = DCAN(decoder_channels=4, batch_norm=False, dropout=0.0, **TINY)
    for channel in (0, 1):
        net.zero_grad()
        net(torch.randn(1, 3, 64, 64))[:, channel].square().mean().backward()
        assert net.paths[0].decoder.score_pool3.weight.grad.any()


@pytest.mark.parametrize("separate_paths", [False, True])
@pytest.mark.parametrize("decoder_channels", [None, 4])
@pytest.mark.parametrize("size", [(64, 96), (45, 70)])
def test_auxiliary_classifiers_come_with_the_same_logits(separate_paths, decoder_channels, size):
    torch.manual_seed(1)
    net = DCAN(separate_paths=separate_paths, auxiliary=True, decoder_channels=decoder_channels, **TINY).eval()
    # Other than bilinear, and biases other than zero, as after some training.
    with torch.no_grad():
        for parameter in net.paths.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    image = torch.randn(2, 3, *size)
    with torch.inference_mode():
        logits, depths = net.forward_with_auxiliary(image)
        torch.testing.assert_close(logits, net(image))
    assert [depth.shape for depth in depths] == [(2, 2, *size)] * 3
    if decoder_channels is None:
        torch.testing.assert_close(sum(depths), logits, rtol=1e-4, atol=1e-5)


def test_each_auxiliary_classifier_is_its_own_depth_interpolated():
    torch.manual_seed(2)
    net = DCAN(auxiliary=True, **TINY).eval()
    image = torch.randn(1, 3, 256, 256)
    with torch.inference_mode():
        _, depths = net.forward_with_auxiliary(image)
        features, decoder = net.trunk(image), net.paths[0].decoder
        scores = (decoder.score_pool3(features.pool3), decoder.score_pool4(features.pool4), decoder.score_fc7(features.fc7))
        # x2 after x8 is not x16 at once, but each step is bilinear interpolation away from the border.
        expected = []
        for score, steps in zip(scores, ((8,), (2, 8), (2, 2, 8)), strict=True):
            for factor in steps:
                score = F.interpolate(score, scale_factor=factor, mode="bilinear", align_corners=False)
            expected.append(score)
    for depth, one in zip(depths, expected, strict=True):
        torch.testing.assert_close(depth[..., 80:176, 80:176], one[..., 80:176, 80:176], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("decoder_channels", [None, 16])
def test_he_initialisation_keeps_the_signal_alive(decoder_channels):
    torch.manual_seed(0)
    # Without batch norm: PyTorch's own initialisation would fade out over fifteen layers.
    net = DCAN(width=0.25, batch_norm=False, dropout=0.0, decoder_channels=decoder_channels)
    logits = net(torch.randn(2, 3, 64, 64))
    assert ((logits.std(dim=(0, 2, 3)) > 0.1) & (logits.std(dim=(0, 2, 3)) < 10)).all()


def test_frozen_upsampling():
    net = DCAN(separate_paths=True, learn_upsampling=False, **TINY)
    frozen = [name for name, parameter in net.named_parameters() if not parameter.requires_grad]
    assert len(frozen) == 6
    assert all(".upscore_" in name for name in frozen)


def test_decoder_channels_draw_lines_wherever_the_features_say():
    # The features of stride 8 tell in which of eight rows of their patch a line runs, another one in every patch.
    torch.manual_seed(0)
    rows = torch.randint(0, 8, (8, 8))
    target = F.one_hot(rows, 8).float().permute(0, 2, 1).reshape(1, 64, 8).repeat_interleave(8, dim=2)
    features = TrunkFeatures(
        F.one_hot(rows, 8).float().permute(2, 0, 1)[None], torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 2, 2)
    )
    losses = {}
    for channels in (None, 16):
        path = UpPath((8, 1, 1), 1, channels)
        initialize(path)
        optimizer = torch.optim.Adam(path.parameters(), lr=0.03)
        for _ in range(60):
            optimizer.zero_grad()
            loss = F.binary_cross_entropy_with_logits(path(features, (64, 64))[:, 0], target)
            loss.backward()
            optimizer.step()
        losses[channels] = loss.item()
    # One score in a patch leaves little more than the share of the lines, whose entropy is 0.377.
    assert losses[None] > 0.25
    assert losses[16] < 0.05


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0.0}, "width must be a positive factor"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0"),
        ({"fc_channels": 0}, "fc_channels must be at least 1"),
        ({"decoder_channels": 0}, "decoder_channels must be at least 1 or None, got 0"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        DCAN(**arguments)


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 1, 64, 64)])
def test_auxiliary_classifiers_refuse_bad_image_shapes(shape):
    with pytest.raises(ValueError, match=r"DCAN takes images of shape \(B, 3, H, W\)"):
        DCAN(**TINY).forward_with_auxiliary(torch.zeros(shape))
