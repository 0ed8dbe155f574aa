"""U-Net: encoders, sizes, initialisation, where weights come from."""

import socket
from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from rbc_lightning.segmenters.shapes import pad_to_multiple
from rbc_lightning.segmenters.unet.nets import PlainUNet, UNet

SMALL = {"decoder_channels": (16, 16, 8, 8, 8)}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("something reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def small_net():
    torch.manual_seed(0)
    return UNet(n_outputs=2, **SMALL).eval()


@pytest.mark.parametrize("size", [(64, 64), (33, 70), (1, 1)])
def test_logits_have_the_size_of_the_image(small_net, size):
    with torch.inference_mode():
        assert small_net(torch.randn(1, 3, *size)).shape == (1, 2, *size)


def test_padding_repeats_the_border_and_is_cut_away(small_net):
    image = torch.randn(1, 3, 40, 50)
    with torch.inference_mode():
        padded = small_net(pad_to_multiple(image, 32))
        torch.testing.assert_close(small_net(image), padded[..., :40, :50])


LIGHT = ("mobilenet_v2", "efficientnet-b0", "mit_b0", "tu-convnext_atto")
HEAVY = ("vgg11_bn", "densenet121", "dpn68", "se_resnet50", "xception", "inceptionv4", "mobileone_s0", "tu-resnet10t")


@pytest.mark.parametrize("encoder", [*LIGHT, *(pytest.param(name, marks=pytest.mark.slow) for name in HEAVY)])
def test_every_family_of_encoders_learns(encoder):
    net = UNet(encoder, n_outputs=2, **SMALL)
    logits = net(torch.randn(2, 3, 48, 64))
    assert logits.shape == (2, 2, 48, 64)
    assert logits.std() > 1e-3
    logits.square().mean().backward()
    first = next(p for p in net.unet.encoder.parameters() if p.ndim == 4)
    assert first.grad.any()


def test_decoder_starts_from_he_and_the_signal_stays_alive():
    torch.manual_seed(0)
    net = UNet()
    for layer in net.unet.decoder.modules():
        if isinstance(layer, nn.Conv2d):
            fan_in = layer.weight[0].numel()
            assert layer.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.05)
            assert layer.weight.abs().max().item() <= (6 / fan_in) ** 0.5
    first = net.unet.encoder.conv1.weight
    # He's normal initialisation by the fan out, torchvision's for ResNets.
    assert first.std().item() == pytest.approx((2 / (64 * 7 * 7)) ** 0.5, rel=0.05)
    assert 0.1 < net(torch.randn(2, 3, 64, 64)).std().item() < 10


def test_outputs_and_parameters_of_the_default():
    net = UNet()
    assert sum(p.numel() for p in net.unet.encoder.parameters()) == 11_689_512 - 513 * 1000
    assert net(torch.zeros(2, 3, 64, 64)).shape == (2, 1, 64, 64)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_come_from_a_file(tmp_path, suffix):
    torch.manual_seed(1)
    source = UNet(**SMALL)
    # As torchvision publishes them: with the classifier, which the encoder does without.
    state = {**source.unet.encoder.state_dict(), "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    path = tmp_path / f"resnet18{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(state, path)
    torch.manual_seed(2)
    net = UNet(weights=str(path), **SMALL)
    for name, tensor in source.unet.encoder.state_dict().items():
        assert torch.equal(net.unet.encoder.state_dict()[name], tensor), name
    assert not torch.equal(net.unet.decoder.blocks[0].conv1[0].weight, source.unet.decoder.blocks[0].conv1[0].weight)


def test_files_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "weights.pth"
    with pytest.raises(FileNotFoundError, match=r"no file .*weights\.pth; expected 'imagenet', null or the path"):
        UNet(weights=str(path))
    torch.save(UNet("mobilenet_v2", **SMALL).unet.encoder.state_dict(), path)
    with pytest.raises(ValueError, match=r"encoder 'resnet18' from .*Missing key.* \.\.\.$") as caught:
        UNet(weights=str(path), **SMALL)
    assert "\n" not in str(caught.value)
    torch.save([1, 2], path)
    with pytest.raises(ValueError, match="hold a list; expected a state dict"):
        UNet(weights=str(path), **SMALL)
    torch.save({"conv1.weight": Fraction(1, 2)}, path)
    with pytest.raises(ValueError, match="damaged, or more than tensors"):
        UNet(weights=str(path), **SMALL)
    for name in ("damaged.pth", "damaged.safetensors"):
        (tmp_path / name).write_bytes(b"x" * 100)
        with pytest.raises(ValueError, match="damaged"):
            UNet(weights=str(tmp_path / name), **SMALL)


@pytest.mark.parametrize(("encoder", "fetch"), [("resnet18", "hf_hub_download"), ("tu-convnext_atto", "timm.create_model")])
def test_without_network_named_weights_are_one_clear_line(monkeypatch, encoder, fetch):
    def fail(*_, **options):
        assert options.get("pretrained", True)
        raise FileNotFoundError("cannot find the requested files\nin the local cache")

    if "." in fetch:
        import timm

        build = timm.create_model
        # Models are first built without weights, to look at their strides.
        monkeypatch.setattr(timm, "create_model", lambda *a, **k: fail(**k) if k.get("pretrained") else build(*a, **k))
    else:
        monkeypatch.setattr(f"segmentation_models_pytorch.encoders.{fetch}", fail)
    with pytest.raises(OSError, match=rf"encoder '{encoder}': not in the local cache.*give the path of a state dict") as caught:
        UNet(encoder, weights="imagenet", **SMALL)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("encoder", "weights", "message"),
    [
        ("resnet19", None, r"no encoder is called 'resnet19'; there are .*resnet18.* more of segmentation-models-pytorch"),
        ("tu-nonsense", None, r"no U-Net can be built on encoder 'tu-nonsense'.*Unknown model \(nonsense\)"),
        ("tu-vit_tiny_patch16_224", None, "Unsupported model downsampling pattern"),
        ("dpn68b", "imagenet", r"weights 'imagenet': Wrong pretrained weights .* Available options are"),
    ],
)
def test_encoders_that_there_are_not_are_refused(encoder, weights, message):
    with pytest.raises(ValueError, match=message):
        UNet(encoder, weights=weights)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_outputs": 0}, "n_outputs must be at least 1, got 0"),
        ({"decoder_channels": (8, 8)}, r"decoder_channels must be 5 numbers of at least 1, got \(8, 8\)"),
        ({"decoder_channels": (8, 8, 8, 8, 0)}, "decoder_channels must be 5 numbers of at least 1"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        UNet(**arguments)


def plain_parameters(base, n_inputs, n_outputs):
    """By the drawing of Ronneberger et al. 2015, padded, with batch norm in the place of the 3x3 convolutions' biases."""
    widths = [base * 2**level for level in range(5)]
    double = [9 * a * b + 9 * b * b + 4 * b for a, b in zip([n_inputs, *widths], widths, strict=False)]
    up = [4 * coarse * fine + fine for fine, coarse in pairwise(widths)]
    merge = [9 * 2 * fine * fine + 9 * fine * fine + 4 * fine for fine in widths[:-1]]
    return sum(double) + sum(up) + sum(merge) + (base + 1) * n_outputs


@pytest.mark.parametrize(("base", "n_inputs", "n_outputs"), [(64, 3, 1), (64, 2, 4), (4, 1, 2)])
def test_the_plain_unet_has_the_parameters_of_its_drawing(base, n_inputs, n_outputs):
    with torch.device("meta"):
        net = PlainUNet(base, n_outputs, n_inputs)
    count = sum(parameter.numel() for parameter in net.parameters())
    assert count == plain_parameters(base, n_inputs, n_outputs)
    if base == 64 and n_inputs == 3:
        assert count == 31_037_633


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (1, 1)])
def test_the_plain_unet_takes_images_of_any_size(size):
    torch.manual_seed(0)
    net = PlainUNet(2, n_outputs=3, in_channels=2).eval()
    with torch.inference_mode():
        assert net(torch.randn(1, 2, *size)).shape == (1, 3, *size)
    with pytest.raises(ValueError, match=r"PlainUNet takes images of shape \(B, 2, H, W\)"):
        net(torch.randn(1, 3, *size))
    with pytest.raises(ValueError, match="base_channels must be at least 1"):
        PlainUNet(0)


def test_every_skip_of_the_plain_unet_reaches_the_logits():
    torch.manual_seed(0)
    net = PlainUNet(2, in_channels=1)
    net(torch.randn(2, 1, 32, 32)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in net.parameters() if parameter.ndim == 4)
