import pytest
import torch
from oracles.instance_mean_loop import instance_mean_loop

from rbc_lightning.core.instance_means import check_integer, instance_mean, instance_table, paint_table


def test_a_table_holds_one_mean_for_each_id_and_zeros_for_absent_ones():
    features = torch.tensor([[[[1.0, 3.0], [5.0, 9.0]]]])
    label_map = torch.tensor([[[0, 0], [2, 2]]])
    assert instance_table(features, label_map)[0, :, 0].tolist() == [2.0, 0.0, 7.0]
    assert paint_table(torch.tensor([[[2.0], [0.0], [7.0]]]), label_map)[0, 0].tolist() == [[2.0, 2.0], [7.0, 7.0]]


def test_every_pixel_takes_its_instances_mean_and_gradients_flow_back():
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(2, 3, 8, 9, generator=generator, dtype=torch.float64, requires_grad=True)
    label_map = torch.randint(0, 5, (2, 8, 9), generator=generator)
    torch.testing.assert_close(instance_mean(features, label_map), instance_mean_loop(features, label_map))
    assert torch.autograd.gradcheck(lambda x: instance_mean(x, label_map), (features,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_ids_are_integers(dtype):
    with pytest.raises(TypeError, match="integer"):
        check_integer(torch.zeros(2, 2, dtype=dtype))
