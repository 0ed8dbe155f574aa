import pytest
import torch
from oracles.instance_mean_loop import instance_mean_loop

from rbc_lightning.translators.pix2pixhd.layers import pool_instances


def test_every_instance_of_every_image_has_its_own_mean():
    torch.manual_seed(0)
    features, label_map = torch.rand(2, 3, 9, 11), torch.randint(0, 5, (2, 9, 11)) * 3
    torch.testing.assert_close(pool_instances(features, label_map), instance_mean_loop(features, label_map))


def test_negative_ids_are_refused():
    with pytest.raises(ValueError, match="ids must not be negative, got -1"):
        pool_instances(torch.rand(1, 1, 2, 2), torch.tensor([[[0, -1], [0, 1]]]))
