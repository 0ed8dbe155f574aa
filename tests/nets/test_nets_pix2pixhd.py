import pytest
import torch

from rbc_lightning.nets.pix2pixhd import (
    GlobalGenerator,
    InstanceEncoder,
    LocalEnhancer,
    MultiscaleDiscriminator,
    init_conv_weights,
    load_reference_weights,
)


def count(build, *args):
    # On the meta device even the 180 M parameter nets cost nothing.
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(*args).parameters())


@pytest.mark.parametrize(
    ("build", "args", "expected"),
    [
        (GlobalGenerator, (3, 3, 16, 4, 9), 11_410_243),
        (GlobalGenerator, (4, 3, 16, 4, 9), 11_411_027),
        (GlobalGenerator, (6, 3, 16, 4, 9), 11_412_595),
        (GlobalGenerator, (7, 3, 16, 4, 9), 11_413_379),
        (GlobalGenerator, (3, 3, 64, 4, 9), 182_443_267),
        (GlobalGenerator, (4, 3, 64, 4, 9), 182_446_403),
        (GlobalGenerator, (6, 3, 64, 4, 9), 182_452_675),
        (GlobalGenerator, (7, 3, 64, 4, 9), 182_455_811),
        (LocalEnhancer, (6, 3, 8, 4, 9, 3), 11_430_027),
        (LocalEnhancer, (6, 3, 16, 4, 9, 3), 45_692_691),
        (LocalEnhancer, (6, 3, 32, 4, 9, 3), 182_715_939),
        (MultiscaleDiscriminator, (6, 16, 3, 2), 351_714),
        (MultiscaleDiscriminator, (6, 16, 3, 3), 527_571),
        (MultiscaleDiscriminator, (4, 16, 3, 2), 350_690),
        (MultiscaleDiscriminator, (7, 16, 3, 2), 352_226),
        (MultiscaleDiscriminator, (6, 64, 3, 2), 5_535_618),
        (InstanceEncoder, (3, 3, 16, 4), 788_803),
    ],
)
def test_parameter_counts_of_the_public_networks(build, args, expected):
    assert count(build, *args) == expected


def test_parts_of_the_enhancer():
    with torch.device("meta"):
        net = LocalEnhancer(6, 3, 8, 4, 9, 3)
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in net.named_children()}
    assert parts == {"model": 11_410_240, "model1_1": 3_528, "model1_2": 16_259, "downsample": 0}


def test_stage_one_fills_stage_two_by_54_tensors():
    stage_one, stage_two = GlobalGenerator(6, 3, 16, 4, 9), LocalEnhancer(6, 3, 8, 4, 9, 3)
    copied = load_reference_weights(stage_two, stage_one.state_dict(), partial=True)
    assert (len(copied), len(stage_two.state_dict())) == (54, 74)
    assert all(name.startswith("model.") for name in copied)
    for name in copied:
        assert torch.equal(stage_two.state_dict()[name], stage_one.state_dict()[name])


def test_weights_of_another_width_are_listed_tensor_by_tensor():
    stage_one = GlobalGenerator(6, 3, 4, 2, 1)
    net = LocalEnhancer(6, 3, 4, 2, 1, 1)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(ValueError, match=r"do not fit LocalEnhancer \(14 tensors\)") as caught:
        load_reference_weights(net, stage_one.state_dict(), partial=True)
    assert "model.1.weight: expected shape (8, 6, 7, 7), got (4, 6, 7, 7)" in str(caught.value)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_missing_and_unexpected_weights_are_named():
    net = GlobalGenerator(6, 3, 4, 1, 0)
    weights = net.state_dict()
    weights["model.77.bias"] = weights.pop("model.1.bias")
    with pytest.raises(ValueError, match=r"model\.1\.bias: missing") as caught:
        load_reference_weights(net, weights)
    assert "model.77.bias: unexpected, shape (4,)" in str(caught.value)
    with pytest.raises(ValueError, match="no tensor name is shared"):
        load_reference_weights(net, {"head.weight": torch.zeros(1)}, partial=True)


def test_discriminator_saved_without_feature_matching_is_read():
    net, other = MultiscaleDiscriminator(6, 4), MultiscaleDiscriminator(6, 4)
    position = {0: 0, 1: 2, 2: 5, 3: 8, 4: 11}
    plain = {}
    for name, tensor in net.state_dict().items():
        stage, _, kind = name.split(".")
        scale, layer = stage.removeprefix("scale").split("_layer")
        plain[f"layer{scale}.{position[int(layer)]}.{kind}"] = tensor
    assert len(load_reference_weights(other, plain)) == 20
    x = torch.randn(1, 6, 32, 32)
    assert torch.equal(net(x)[0][-1], other(x)[0][-1])


def test_discriminator_shapes_full_resolution_first():
    with torch.no_grad():
        outputs = MultiscaleDiscriminator(6, 1)(torch.zeros(1, 6, 640, 1024))
    assert [tuple(layers[-1].shape) for layers in outputs] == [(1, 1, 83, 131), (1, 1, 43, 67)]
    assert [len(layers) for layers in outputs] == [5, 5]


def test_full_resolution_is_judged_by_the_highest_numbered_weights():
    net = MultiscaleDiscriminator(1, 2)
    x = torch.randn(1, 1, 32, 32)
    before = net(x)
    with torch.no_grad():
        net.get_submodule("scale1_layer0")[0].bias += 1
    after = net(x)
    assert not torch.equal(before[0][0], after[0][0])
    assert torch.equal(before[1][0], after[1][0])


@pytest.mark.parametrize("build", [GlobalGenerator, MultiscaleDiscriminator])
def test_init_changes_every_convolution_and_leaves_biases(build):
    net = build(6, 3, 16, 2, 1) if build is GlobalGenerator else build(6, 16)
    before = {name: p.clone() for name, p in net.named_parameters()}
    init_conv_weights(net, torch.Generator().manual_seed(0))
    for name, parameter in net.named_parameters():
        assert torch.equal(parameter, before[name]) == name.endswith("bias")
        if name.endswith("weight") and parameter.numel() > 2000:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.1)


def test_sizes_that_do_not_fit_are_refused_with_the_padded_size():
    with pytest.raises(ValueError, match=r"multiples of 16, got 300 x 480: reflect-pad to 304 x 480"):
        GlobalGenerator(6, 3, 2, 4, 0)(torch.zeros(1, 6, 300, 480))
    with pytest.raises(ValueError, match=r"multiples of 32, got 1200 x 1920: reflect-pad to 1216 x 1920"):
        LocalEnhancer(6, 3, 2, 4, 0, 0)(torch.zeros(1, 6, 1200, 1920))
    with pytest.raises(ValueError, match="base_channels must be positive, got 0"):
        GlobalGenerator(6, 3, 0)
    with pytest.raises(ValueError, match="n_scales must be at least 1, got 0"):
        MultiscaleDiscriminator(6, 4, n_scales=0)
