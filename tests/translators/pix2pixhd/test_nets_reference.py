"""Our networks and losses against numbers of the public implementation, where those are at hand."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rbc_lightning.core.labels import instance_edges, instance_mean, semantic_condition
from rbc_lightning.translators.losses import discriminator_losses, feature_matching_loss, generator_loss
from rbc_lightning.translators.pix2pixhd.adversary import MultiscaleDiscriminator
from rbc_lightning.translators.pix2pixhd.nets import GlobalGenerator, InstanceEncoder, LocalEnhancer
from rbc_lightning.translators.weights import load_reference_weights

NUMBERS = Path(__file__).resolve().parents[3].parent / "shared" / "reference" / "pix2pixhd_tiny.npz"

pytestmark = pytest.mark.skipif(not NUMBERS.is_file(), reason="the reference numbers ../shared/reference are not here")


class Reference:
    """The file's arrays as tensors."""

    def __init__(self, path):
        with np.load(path, allow_pickle=False) as file:
            self.arrays = {name: file[name] for name in file.files}

    def __call__(self, name):
        return torch.from_numpy(self.arrays[name])

    def state_dict(self, network):
        prefix = f"state_dict/{network}/"
        return {name.removeprefix(prefix): self(name) for name in self.arrays if name.startswith(prefix)}


@pytest.fixture(scope="module")
def reference():
    return Reference(NUMBERS)


@pytest.fixture(scope="module")
def inputs(reference):
    label_map = reference("input/instance_ids")[:, 0]
    return label_map, reference("input/image"), reference("input/condition")


@pytest.fixture(scope="module")
def discriminator(reference):
    net = MultiscaleDiscriminator(6, 4, n_layers=3, n_scales=2)
    load_reference_weights(net, reference.state_dict("D"))
    return net


def assert_relative(actual, expected, tolerance=1e-4):
    """The largest difference is below `tolerance` times the largest expected magnitude."""
    assert actual.shape == expected.shape
    assert (actual.detach() - expected).abs().max() <= tolerance * expected.abs().max()


def test_edge_map_and_condition(reference, inputs):
    label_map, _, condition = inputs
    assert torch.equal(instance_edges(label_map), reference("expected/edge_map")[:, 0])
    assert torch.equal(semantic_condition(label_map), condition)


def test_pooled_encoder_features(reference, inputs):
    label_map, image, _ = inputs
    encoder = InstanceEncoder(3, 3, 4, n_downsample=3)
    load_reference_weights(encoder, reference.state_dict("E"))
    pooled = encoder(image, label_map)
    assert_relative(pooled, reference("expected/encoder_pooled"))
    # Pooling what is pooled already changes nothing.
    assert_relative(instance_mean(pooled, label_map), reference("expected/encoder_pooled"))


def test_discriminator_features_of_both_scales(reference, inputs, discriminator):
    _, image, condition = inputs
    outputs = discriminator(torch.cat((condition, image), dim=1))
    assert [len(layers) for layers in outputs] == [5, 5]
    for scale, layers in enumerate(outputs):
        for number, layer in enumerate(layers):
            assert_relative(layer, reference(f"discriminator/real/scale{scale}/layer{number}"))


@pytest.mark.parametrize("kind", ["global", "local"])
def test_generator_losses_and_gradients(reference, inputs, discriminator, kind):
    _, image, condition = inputs
    net = GlobalGenerator(6, 3, 4, 3, 2) if kind == "global" else LocalEnhancer(6, 3, 4, 3, 2, 3)
    load_reference_weights(net, reference.state_dict(f"G_{kind}"))
    fake = net(torch.cat((condition, reference("expected/encoder_pooled")), dim=1))
    assert_relative(fake, reference(f"{kind}/fake"))

    with torch.no_grad():
        on_real = discriminator(torch.cat((condition, image), dim=1))
    on_fake = discriminator(torch.cat((condition, fake), dim=1))
    gan, feature = generator_loss(on_fake), 10 * feature_matching_loss(on_real, on_fake)
    d_real, d_fake = discriminator_losses(on_real, on_fake)
    assert_relative(gan, reference(f"{kind}/loss_G_GAN"))
    assert_relative(feature, reference(f"{kind}/loss_G_feature_matching_times_10"))
    assert_relative(d_real, reference(f"{kind}/loss_D_real"))
    assert_relative(d_fake, reference(f"{kind}/loss_D_fake"))

    (gan + feature).backward()
    weights = {name: p for name, p in net.named_parameters() if name.endswith("weight")}
    assert len(weights) == {"global": 12, "local": 21}[kind]
    for name, parameter in weights.items():
        assert_relative(parameter.grad.norm(), reference(f"{kind}/grad_l2/{name}"))
