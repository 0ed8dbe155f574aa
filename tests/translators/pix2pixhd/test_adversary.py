import numpy as np
import pytest
import torch
from pix2pixhd_helpers import TINY, fit, make_sample

from rbc_lightning.translators.pix2pixhd.adversary import Adversary, MultiscaleDiscriminator
from rbc_lightning.translators.pix2pixhd.task import Pix2PixHDTask


def test_pool_vgg_and_augmentation_join_the_losses_and_leave_no_trace_in_the_checkpoint(tmp_path):
    from torchvision.models import vgg19

    torch.manual_seed(0)
    torch.save(vgg19().state_dict(), tmp_path / "vgg19.pth")
    options = {"perceptual": str(tmp_path / "vgg19.pth"), "pool_size": 2, "diff_augment": "color,translation,cutout"}
    task = Pix2PixHDTask(**TINY, **options)
    trainer = fit(task, [make_sample(i) for i in range(2)])
    assert trainer.callback_metrics["train/g_perceptual"] > 0
    assert not [name for name in task.state_dict() if "vgg" in name]
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    (tmp_path / "vgg19.pth").unlink()
    loaded = Pix2PixHDTask.load_from_checkpoint(tmp_path / "last.ckpt", weights_only=True, perceptual=None)
    assert torch.equal(loaded.adversary.pool.get_extra_state(), task.adversary.pool.get_extra_state())
    assert len(np.atleast_1d(loaded.adversary.pool.get_extra_state())) > 0


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_pool_and_augmentation_take_images_of_any_channels(channels):
    torch.manual_seed(0)
    adversary = Adversary(
        MultiscaleDiscriminator(3 + channels, 4), pool_size=2, diff_augment="color,translation,cutout", image_channels=channels
    )
    condition, image = torch.rand(2, 3, 32, 32), torch.rand(2, channels, 32, 32) * 2 - 1
    fake = torch.zeros_like(image).requires_grad_()
    losses = adversary(condition, image, fake, [1, 2])
    losses["g_gan"].backward()
    assert set(losses) == {"g_gan", "g_feature", "d_real", "d_fake"}
    assert fake.grad.abs().max() > 0


def test_the_perceptual_term_is_refused_for_other_images_than_colour():
    with pytest.raises(ValueError, match=r"perceptual=imagenet needs images of 3 channels, .* got 2: take perceptual=null"):
        Adversary(MultiscaleDiscriminator(5, 4), perceptual="imagenet", image_channels=2)
