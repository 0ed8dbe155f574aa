import torch
from pix2pixhd_helpers import TINY, make_sample
from torch import nn

from rbc_lightning.translators.pix2pixhd.instance_styles import encode_instances, weights_hash
from rbc_lightning.translators.pix2pixhd.task import Pix2PixHDTask


def test_encoded_instances_hold_the_mean_colour():
    sample = make_sample(0)
    vectors = encode_instances(Pix2PixHDTask(**TINY), sample["image"], sample["label_map"])
    assert vectors.shape == (4, 6)
    cell = sample["image"][:, sample["label_map"] == 1].mean(dim=1) * 2 - 1
    torch.testing.assert_close(vectors[1, :3], cell)
    torch.testing.assert_close(vectors[0, :3], torch.full((3,), 0.8))


def test_a_cell_lost_in_the_smaller_image_takes_the_style_of_its_neighbour():
    sample = make_sample(1)
    label_map = sample["label_map"].clone()
    label_map[11, 9] = 4  # one pixel beside cell 1, far from cell 3; odd columns are not sampled
    label_map[11, 10:12] = 0
    task = Pix2PixHDTask(shrink=4, **TINY)
    vectors = encode_instances(task, sample["image"], label_map)
    assert vectors.shape[0] == 5
    assert torch.equal(vectors[4], vectors[1])
    assert not torch.equal(vectors[4], vectors[3])
    assert vectors.abs().sum(dim=1).min() > 0


def test_hash_depends_on_every_weight():
    net = nn.Conv2d(2, 3, 1)
    before = weights_hash(net)
    assert weights_hash(net) == before
    with torch.no_grad():
        net.bias[2] += 1e-3
    assert weights_hash(net) != before
