"""What the mode-seeking Pix2Pix refuses before anything is trained, and what it takes from the kind of images."""

import pytest
import torch

from rbc_lightning.translators.pix2pix.task import ModeSeekingPix2PixTask

SIZES = {"size": 16, "base_channels": 4, "n_downsample": 4, "discriminator_channels": 4}
BAD = [
    ({"size": 24}, r"size must be a multiple of 16 pixels with n_downsample=4, got 24: take 16, or fewer halvings"),
    ({"size": 8}, r"multiple of 16 pixels with n_downsample=4, got 8: take 16"),
    ({"size": 0}, r"size must be a multiple of 16 pixels"),
    ({"n_downsample": 1}, r"n_downsample must be at least 2, got 1"),
    (
        {"structure_method": "ostu"},
        r"a structure threshold must be one of otsu, li, .*, or a grey level from 0 to 255, got 'ostu'",
    ),
    ({"structure_method": 300}, r"a grey level from 0 to 255, got 300"),
    ({"structure_method": float("nan")}, r"a grey level from 0 to 255, got nan"),
    ({"second": "both"}, r"second must be condition or latent, got 'both'"),
    ({"second": "latent"}, r'latent_channels must be at least 1 with second="latent", got 0'),
    ({"latent_channels": -1}, r'latent_channels must be at least 0 with second="condition", got -1'),
    ({"lambda_mode_seeking": -1}, r"lambda_mode_seeking must be at least 0, got -1"),
    ({"lambda_l1": -0.5}, r"lambda_l1 must be at least 0, got -0\.5"),
    ({"l1_balance": 1}, r"l1_balance must be in \[0, 1\), got 1"),
    ({"learning_rate": 0}, r"learning_rate must be positive, got 0"),
    ({"n_epochs": 0}, r"n_epochs \+ n_epochs_decay must be at least 1, got 0"),
    ({"beta2": 1.0}, r"beta2 must be in \[0\.0, 1\.0\), got 1\.0"),
    ({"discriminator": "pixel"}, r"discriminator must be linear or patch, got 'pixel'"),
    ({"discriminator": "patch"}, r"size must be at least \d+ with these discriminator_strides, got 16"),
    ({"kernel_size": 4}, r"kernel_size must be odd, got 4"),
    ({"gan_loss": "wgan"}, r"unknown gan_loss 'wgan'"),
    ({"norm": "layer"}, r"unknown norm 'layer'"),
    ({"image": {"value_range": (0, 4095)}, "structure_method": 4096}, r"a grey level from 0 to 4095, got 4096"),
]


@pytest.mark.parametrize(("options", "message"), BAD, ids=[str(options) for options, _ in BAD])
def test_bad_arguments_are_refused_in_the_constructor(options, message):
    with pytest.raises(ValueError, match=message):
        ModeSeekingPix2PixTask(**SIZES | options)


def test_unused_settings_are_not_held_against_anybody():
    ModeSeekingPix2PixTask(**SIZES, structure=False, structure_method="none")
    ModeSeekingPix2PixTask(**SIZES, second="latent", lambda_mode_seeking=0)


@pytest.mark.parametrize("conditional", [False, True])
def test_networks_take_the_channels_of_the_images(conditional):
    image = {"channels": ("dapi", "actin"), "value_range": (0, 4095), "objects": "bright"}
    task = ModeSeekingPix2PixTask(**SIZES, image=image, conditional=conditional, structure_method=3000)
    task.use_thresholds({"a": 3000.0, "b": 10.0})
    bright = torch.zeros(2, 2, 16, 16)
    bright[..., :8] = 1
    batch = {
        "image": bright,
        "label_map": torch.ones(2, 16, 16, dtype=torch.int64),
        "sample_id": ["a", "b"],
        "noise_seed": torch.tensor([0, 1]),
    }
    generated = task.generate(batch)
    assert generated.images.shape == (2, 2, 16, 16)
    condition, _ = generated.given
    assert torch.equal(condition[:, 1], bright[:, 0] * 2 - 1)
    losses = task.losses(batch, generated, generated.images)
    assert torch.stack(list(losses.values())).isfinite().all()
