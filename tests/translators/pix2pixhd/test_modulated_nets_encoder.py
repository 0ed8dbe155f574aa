import torch

from rbc_lightning.translators.pix2pixhd.modulated_nets import ColourEncoder
from rbc_lightning.translators.pix2pixhd.nets import InstanceEncoder


def test_encoder_keeps_the_level_that_instance_norm_hides():
    label_map = torch.zeros(1, 32, 32, dtype=torch.int64)
    label_map[:, 8:20, 8:20] = 1
    image = torch.rand(1, 3, 32, 32) * 0.2
    ours, public = ColourEncoder(3, 3, 8, 2), InstanceEncoder(3, 3, 8, 2)
    # One brightness step apart: the public encoder cannot tell (but for the first convolution's bias, none here).
    assert (public(image, label_map) - public(image + 0.5, label_map)).abs().max() < 1e-3
    before, after = ours(image, label_map), ours(image + 0.5, label_map)
    torch.testing.assert_close(after[:, :3] - before[:, :3], torch.full_like(after[:, :3], 0.5))
    assert (after[:, 3:] - before[:, 3:]).abs().max() > 1e-2
