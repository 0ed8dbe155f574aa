"""What networks have in common: padding to whole strides, the check of channels, files of weights."""

import re

import pytest
import torch
from safetensors.torch import save_file

from rbc_lightning.segmenters.dcan.nets import DCAN
from rbc_lightning.segmenters.fcn8s.nets import FCN8s
from rbc_lightning.segmenters.shapes import pad_to_multiple, read_state_dict
from rbc_lightning.segmenters.unet.nets import UNet

TINY = {"width": 1 / 16, "fc_channels": 16}
# With the number of maps.
NETS = ((FCN8s, 1, TINY), (DCAN, 2, TINY), (UNet, 1, {"decoder_channels": (16, 16, 8, 8, 8)}))


def test_padding_repeats_the_border_and_leaves_fitting_sizes_alone():
    image = torch.arange(6.0).reshape(1, 1, 2, 3)
    padded = pad_to_multiple(image, 4)
    assert padded[0, 0].tolist() == [[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5], [3, 4, 5, 5]]
    assert pad_to_multiple(padded, 4) is padded


@pytest.mark.parametrize("channels", [2, 3])
@pytest.mark.parametrize(("kind", "maps", "arguments"), NETS)
def test_images_of_another_shape_are_refused_by_the_networks_name(kind, maps, arguments, channels):
    net = kind(in_channels=channels, **arguments).eval()
    assert net(torch.randn(1, channels, 33, 40)).shape == (1, maps, 33, 40)
    for shape in ((channels, 33, 40), (1, 1, 33, 40), (1, 5 - channels, 33, 40)):
        message = f"{kind.__name__} takes images of shape (B, {channels}, H, W), got {shape}"
        with pytest.raises(ValueError, match=re.escape(message)):
            net(torch.zeros(shape))
    with pytest.raises(ValueError, match="in_channels must be at least 1, got 0"):
        kind(in_channels=0, **arguments)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_state_dict_is_read_whole_or_refused_by_the_name_of_its_file(tmp_path, suffix):
    path, state = tmp_path / f"weights{suffix}", {"a.weight": torch.rand(2, 3), "b": torch.arange(4)}
    with pytest.raises(FileNotFoundError, match=rf"no file .*weights\{suffix}; expected 'x', null or the path of a state dict"):
        read_state_dict(path, "'x'")
    (save_file if suffix == ".safetensors" else torch.save)(state, path)
    read = read_state_dict(path, "'x'")
    assert read.keys() == state.keys()
    assert all(torch.equal(read[name], state[name]) for name in state)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ValueError, match=rf"weights{suffix} are damaged, or more than tensors; expected a state dict"):
        read_state_dict(path, "'x'")
