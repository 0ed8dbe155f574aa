import pickle

import pytest
import torch
from torch import nn
from torchvision.models.vgg import cfgs, make_layers

from rbc_lightning.translators.pix2pixhd.vgg19 import VGG19Features

# Where relu1_1, relu2_1, ... end in torchvision's `vgg19().features`.
ENDS = (2, 7, 12, 21, 30)
HUB_FILE = "hub/checkpoints/vgg19-dcbb9e9d.pth"


@pytest.fixture(scope="module")
def layers():
    """torchvision's own `vgg19().features` with random weights, without its 500 MB classifier."""
    torch.manual_seed(3)
    return make_layers(cfgs["E"]).eval()


@pytest.fixture(scope="module")
def weights(layers):
    return {f"features.{name}": tensor for name, tensor in layers.state_dict().items()}


@pytest.fixture(scope="module")
def vgg(weights):
    return VGG19Features(weights)


def test_features_are_those_of_torchvision_without_any_normalisation(vgg, layers):
    image = torch.rand(2, 3, 35, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    features = vgg(image)
    assert [tuple(f.shape[1:]) for f in features] == [(64, 35, 48), (128, 17, 24), (256, 8, 12), (512, 4, 6), (512, 2, 3)]
    for feature, end in zip(features, ENDS, strict=True):
        torch.testing.assert_close(feature, layers[:end](image))
        assert feature.max() > 0


def test_the_gradient_reaches_the_image_and_no_weight(vgg, layers):
    image, twin = (torch.full((1, 3, 16, 16), 0.3, requires_grad=True) for _ in range(2))
    vgg(image)[-1].sum().backward()
    layers[:30](twin).sum().backward()
    torch.testing.assert_close(image.grad, twin.grad)
    assert image.grad.abs().max() > 0
    assert all(p.grad is None and not p.requires_grad for p in vgg.layers.parameters())


class Owner(nn.Module):
    def __init__(self, vgg):
        super().__init__()
        self.own = nn.Linear(1, 1)
        self.vgg = vgg


def test_an_owners_checkpoint_holds_no_weight_of_it_and_loads_strictly(weights):
    owner = Owner(VGG19Features(weights))
    assert set(owner.state_dict()) == {"own.weight", "own.bias"}
    other = Owner(VGG19Features(weights))
    other.load_state_dict(owner.state_dict(), strict=True)
    assert other.own.weight.item() == owner.own.weight.item()
    assert torch.equal(other.vgg.layers[0].weight, weights["features.0.weight"])


def test_it_follows_the_images_to_their_device_and_stays_in_evaluation_mode(weights):
    owner = Owner(VGG19Features(weights)).train()
    features = owner.vgg(torch.zeros(1, 3, 16, 16, device="meta"))
    assert {feature.device.type for feature in features} == {"meta"}
    assert not any(module.training for module in owner.vgg.layers.modules())


def test_building_it_leaves_the_global_generator_alone(weights):
    torch.manual_seed(0)
    expected = torch.rand(1).item()
    torch.manual_seed(0)
    VGG19Features(weights)
    assert torch.rand(1).item() == expected


def test_a_local_file_with_and_without_classifier(tmp_path, weights):
    trunk = {name: tensor for name, tensor in weights.items() if int(name.split(".")[1]) <= 28}
    assert len(trunk) == 26
    for number, content in enumerate((trunk, weights | {"classifier.0.weight": torch.zeros(2, 2)})):
        torch.save(content, tmp_path / f"{number}.pth")
        loaded = VGG19Features.load(str(tmp_path / f"{number}.pth"))
        assert len(list(loaded.layers.parameters())) == 26
        torch.testing.assert_close(list(loaded.layers.parameters())[-1].data, weights["features.28.bias"])


def test_misfitting_tensors_are_all_named(tmp_path, weights):
    bad = {name: tensor for name, tensor in weights.items() if name != "features.7.bias"}
    bad["features.2.weight"] = torch.zeros(64, 64, 5, 5)
    torch.save(bad, tmp_path / "bad.pth")
    with pytest.raises(ValueError, match=r"VGG19 weights from '.*bad.pth': 2 tensors are not those") as caught:
        VGG19Features.load(str(tmp_path / "bad.pth"))
    assert "features.2.weight: expected shape (64, 64, 3, 3), got (64, 64, 5, 5)" in str(caught.value)
    assert "features.7.bias: missing, expected shape (128,)" in str(caught.value)


def test_a_missing_file_names_both_ways():
    with pytest.raises(FileNotFoundError, match=r"no file nowhere/vgg\.pth; expected 'imagenet' or the path of a \.pth"):
        VGG19Features.load("nowhere/vgg.pth")


def test_damaged_files_are_refused_and_code_in_them_is_not_run(tmp_path):
    (tmp_path / "cut.pth").write_bytes(b"PK\x03\x04 half a file")
    with pytest.raises(ValueError, match="damaged, or more than tensors"):
        VGG19Features.load(str(tmp_path / "cut.pth"))
    torch.save({"features.0.weight": torch.zeros(1), "code": pickle.Unpickler}, tmp_path / "code.pth")
    with pytest.raises(ValueError, match="damaged, or more than tensors"):
        VGG19Features.load(str(tmp_path / "code.pth"))
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="expected a state dict, got a list"):
        VGG19Features.load(str(tmp_path / "list.pth"))


def test_no_network_and_no_cache_is_one_line_that_names_the_way_out(hub_offline):
    with pytest.raises(OSError, match=r"no copy in .*checkpoints, and https.* could not be fetched .*local copy") as caught:
        VGG19Features.load("imagenet")
    assert "\n" not in str(caught.value)
    assert "Name or service not known" in str(caught.value)


def test_the_cache_is_enough_without_a_network(hub_offline, weights):
    file = hub_offline / HUB_FILE
    file.parent.mkdir(parents=True)
    torch.save(weights, file)
    loaded = VGG19Features.load("imagenet")
    torch.testing.assert_close(next(loaded.layers.parameters()).data, weights["features.0.weight"])
    file.write_bytes(b"cut")
    with pytest.raises(ValueError, match="VGG19 weights from 'imagenet': damaged file; delete it from"):
        VGG19Features.load("imagenet")


def test_images_of_the_wrong_kind_are_refused(vgg):
    with pytest.raises(ValueError, match=r"at least 16 pixels a side, got \(1, 3, 15, 64\)"):
        vgg(torch.zeros(1, 3, 15, 64))
    with pytest.raises(ValueError, match=r"expected images \(B, 3, H, W\)"):
        vgg(torch.zeros(1, 1, 32, 32))
