import pytest
import torch

from rbc_lightning.translators.pix2pixhd.nets import GlobalGenerator, InstanceEncoder
from rbc_lightning.translators.pix2pixhd.settings import CONDITION_CHANNELS, NetSettings


def test_settings_count_channels_and_build_the_public_form_on_request():
    modulated, concat = NetSettings(), NetSettings(style="concat", n_downsample=4, n_blocks=9)
    assert (modulated.style_channels, modulated.noise_channels, modulated.multiple) == (6, 1, 8)
    assert (concat.style_channels, concat.noise_channels, concat.multiple) == (3, 0, 16)
    assert type(concat.build_generator()) is GlobalGenerator
    assert sum(p.numel() for p in concat.build_generator().parameters()) == 11_412_595
    assert type(concat.build_encoder()) is InstanceEncoder


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("style", ["modulated", "concat"])
def test_networks_of_any_number_of_image_channels(style, stage, channels):
    sizes = {"base_channels": 4, "n_downsample": 2, "n_blocks": 1, "n_blocks_local": 1, "encoder_channels": 4}
    settings = NetSettings(style, stage, feature_channels=2, encoder_downsample=2, image_channels=channels, **sizes)
    assert settings.style_channels == 2 + (channels if style == "modulated" else 0)
    image, label_map = torch.rand(1, channels, 32, 32) * 2 - 1, torch.zeros(1, 32, 32, dtype=torch.int64)
    label_map[:, 8:20, 8:20] = 1
    code = settings.build_encoder()(image, label_map)
    assert code.shape == (1, settings.style_channels, 32, 32)
    condition, noise = (torch.zeros(1, n, 32, 32) for n in (CONDITION_CHANNELS, settings.noise_channels))
    x = torch.cat((condition, code, noise), dim=1)
    assert settings.build_generator()(x).shape == image.shape
