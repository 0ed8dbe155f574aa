"""Initial weights, and reading those of the public implementation."""

import pytest
import torch

from rbc_lightning.translators.pix2pixhd.adversary import MultiscaleDiscriminator
from rbc_lightning.translators.pix2pixhd.nets import GlobalGenerator, LocalEnhancer
from rbc_lightning.translators.weights import init_conv_weights, load_reference_weights


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


@pytest.mark.parametrize("build", [GlobalGenerator, MultiscaleDiscriminator])
def test_init_changes_every_convolution_and_leaves_biases(build):
    net = build(6, 3, 16, 2, 1) if build is GlobalGenerator else build(6, 16)
    before = {name: p.clone() for name, p in net.named_parameters()}
    init_conv_weights(net, torch.Generator().manual_seed(0))
    for name, parameter in net.named_parameters():
        assert torch.equal(parameter, before[name]) == name.endswith("bias")
        if name.endswith("weight") and parameter.numel() > 2000:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.1)
