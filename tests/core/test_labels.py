import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.instance_mean_loop import instance_mean_loop

from rbc_lightning.core.labels import (
    colors_to_label_map,
    instance_edges,
    instance_mean,
    instance_table,
    label_map_to_boxes,
    label_map_to_contours,
    paint_table,
    semantic_condition,
)
from rbc_lightning.translators.pix2pixhd.layers import pool_instances


def test_edges_along_two_touching_ids_are_two_pixels_wide():
    label_map = torch.ones(1, 4, 6, dtype=torch.int64)
    label_map[..., 3:] = 2
    expected = torch.zeros(1, 4, 6, dtype=torch.bool)
    expected[..., 2:4] = True
    assert torch.equal(instance_edges(label_map), expected)


def test_edges_mark_both_sides_of_cell_and_background_but_no_diagonal():
    label_map = torch.zeros(5, 5, dtype=torch.int64)
    label_map[2, 2] = 7
    expected = torch.tensor([[0, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]])
    assert torch.equal(instance_edges(label_map).int(), expected.int())


def test_condition_is_one_hot_then_edges_whatever_the_id():
    label_map = torch.zeros(1, 2, 4, dtype=torch.int64)
    label_map[..., 2:] = 1500
    condition = semantic_condition(label_map)
    assert condition.shape == (1, 3, 2, 4)
    assert condition[0, 0].tolist() == [[1, 1, 0, 0]] * 2
    assert condition[0, 1].tolist() == [[0, 0, 1, 1]] * 2
    assert condition[0, 2].tolist() == [[0, 1, 1, 0]] * 2


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 4), st.integers(1, 40))
def test_instance_mean_equals_the_loop(seed, batch, channels, n_ids):
    generator = torch.Generator().manual_seed(seed)
    label_map = torch.randint(0, n_ids, (batch, 9, 13), generator=generator) * 3
    features = torch.randn(batch, channels, 9, 13, generator=generator)
    expected = instance_mean_loop(features, label_map)
    torch.testing.assert_close(instance_mean(features, label_map), expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(pool_instances(features, label_map), expected, rtol=1e-6, atol=1e-6)


def test_instance_mean_is_exact_over_a_large_background():
    generator = torch.Generator().manual_seed(0)
    features = 0.1 + torch.rand(1, 3, 640, 1024, generator=generator) * torch.tensor([1e-3, 1.0, 1e3]).view(1, 3, 1, 1)
    label_map = torch.zeros(1, 640, 1024, dtype=torch.int64)
    label_map[:, 300:323, 500:523] = 7  # absent ids in between
    ground = label_map[0] == 0
    for pool in (instance_mean, pool_instances):
        pooled = pool(features, label_map)
        expected = features[0, :, ground].double().mean(dim=1)
        torch.testing.assert_close(pooled[0, :, 0, 0].double(), expected, rtol=1e-7, atol=0)
        torch.testing.assert_close(pooled, instance_mean_loop(features, label_map), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("ids", [torch.uint8, torch.int16, torch.int32, torch.int64])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_instance_mean_of_every_dtype_and_memory_order(dtype, ids):
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(3, 2, 12, 10, generator=generator).to(dtype).contiguous(memory_format=torch.channels_last)
    label_map = torch.randint(0, 9, (3, 10, 12), generator=generator).to(ids).transpose(1, 2)
    assert not label_map.is_contiguous()
    result = torch.float64 if dtype == torch.float64 else torch.float32
    expected = instance_mean_loop(features.double(), label_map.long()).to(result)
    for pool in (instance_mean, pool_instances):
        pooled = pool(features, label_map)
        assert pooled.dtype == result
        torch.testing.assert_close(pooled, expected)


def test_instance_mean_differentiates_twice_and_under_autocast():
    generator = torch.Generator().manual_seed(2)
    label_map = torch.randint(0, 4, (2, 4, 5), generator=generator) * 2
    features = torch.randn(2, 2, 4, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    for pool in (instance_mean, pool_instances):
        assert torch.autograd.gradcheck(pool, (features, label_map))
        assert torch.autograd.gradgradcheck(pool, (features, label_map))
    rounded = features.detach().bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        instance_mean(rounded, label_map).square().sum().backward()
    assert rounded.grad.dtype == torch.bfloat16
    expected = 2 * instance_mean_loop(rounded.detach().double(), label_map)
    torch.testing.assert_close(rounded.grad.double(), expected, rtol=1e-2, atol=1e-2)


@pytest.mark.slow  # importing the compiler takes seconds
def test_instance_mean_is_a_sound_operator_for_the_compiler():
    features = torch.randn(2, 3, 6, 7, requires_grad=True)
    label_map = torch.randint(0, 5, (2, 6, 7))
    for ids in (label_map, label_map.int()):
        torch.library.opcheck(torch.ops.rbc_lightning.instance_mean, (features, ids))
    # As one node of the graph, without a break; "aot_eager" traces forward and backward and compiles nothing.
    compiled = torch.compile(lambda x: instance_mean(2 * x, label_map) + 1, fullgraph=True, backend="aot_eager")
    pooled = compiled(features)
    torch.testing.assert_close(pooled, 2 * instance_mean_loop(features.detach(), label_map) + 1)
    weights = torch.randn_like(pooled)
    (gradient,) = torch.autograd.grad(pooled, features, weights)
    torch.testing.assert_close(gradient, 2 * instance_mean_loop(weights, label_map))


def test_general_and_cpu_kernel_agree():
    features, label_map = torch.randn(2, 3, 9, 8), torch.randint(0, 6, (2, 9, 8))
    general = paint_table(instance_table(features, label_map), label_map)
    torch.testing.assert_close(instance_mean(features, label_map), general, rtol=1e-6, atol=1e-7)


def test_gradient_of_the_mean_is_the_mean_of_the_gradient():
    label_map = torch.tensor([[[0, 0, 1, 1], [0, 2, 2, 1]]])
    features = torch.randn(1, 2, 2, 4, requires_grad=True)
    weights = torch.randn(1, 2, 2, 4)
    (instance_mean(features, label_map) * weights).sum().backward()
    torch.testing.assert_close(features.grad, instance_mean_loop(weights, label_map))


def test_more_than_a_thousand_cells_keep_their_own_mean():
    label_map = torch.arange(1600).reshape(1, 40, 40)
    features = torch.randn(1, 1, 40, 40)
    assert torch.equal(instance_mean(features, label_map), features)
    assert semantic_condition(label_map)[0, 1].sum() == 1599


def test_table_and_paint_are_inverse_and_absent_ids_are_zero():
    label_map = torch.tensor([[[0, 0], [3, 1]], [[1, 1], [1, 1]]])
    features = torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]], [[[1.0, 2.0], [3.0, 6.0]]]])
    table = instance_table(features, label_map)
    assert table[..., 0].tolist() == [[2.0, 7.0, 0.0, 5.0], [0.0, 3.0, 0.0, 0.0]]
    assert paint_table(table, label_map)[:, 0].tolist() == [[[2.0, 2.0], [5.0, 7.0]], [[3.0, 3.0], [3.0, 3.0]]]


def test_boxes_by_hand_in_order_of_id_and_absent_ids_left_out():
    label_map = np.zeros((6, 8), dtype=np.uint16)
    label_map[1:3, 2:5] = 4
    label_map[5, 7] = 2
    boxes = label_map_to_boxes(label_map)
    assert boxes.dtype == np.float32
    assert boxes.tolist() == [[7, 5, 8, 6], [2, 1, 5, 3]]
    assert label_map_to_boxes(np.zeros((3, 3), dtype=np.int32)).shape == (0, 4)


def test_contours_are_the_rim_inside_each_cell():
    label_map = np.zeros((7, 9), dtype=np.int32)
    label_map[1:6, 1:5] = 1
    label_map[1:6, 5:8] = 2
    contours = label_map_to_contours(label_map)
    expected = np.zeros((7, 9), dtype=bool)
    expected[1:6, 1:8] = True
    expected[2:5, 2:4] = False
    expected[2:5, 6] = False
    assert np.array_equal(contours, expected)


def test_colors_become_components_with_unique_contiguous_ids():
    colors = np.array([[1, 1, 0, 2], [0, 0, 0, 2], [2, 0, 1, 0], [0, 2, 0, 1]], dtype=np.uint8)
    label_map = colors_to_label_map(colors)
    # Diagonal pixels of one colour are one cell, distant patches of it are two.
    assert label_map.tolist() == [[1, 1, 0, 2], [0, 0, 0, 2], [3, 0, 4, 0], [0, 3, 0, 4]]
    palette = np.array([[0, 0, 0], [255, 0, 0], [0, 0, 255]], dtype=np.uint8)
    assert np.array_equal(colors_to_label_map(palette[colors]), label_map)


def test_bad_label_maps_are_refused():
    ids = torch.zeros(1, 4, 4, dtype=torch.int64)
    with pytest.raises(TypeError, match=r"integer label map, got torch\.float32"):
        instance_edges(ids.float())
    with pytest.raises(ValueError, match="differ in batch or image size"):
        instance_mean(torch.zeros(1, 2, 4, 5), ids)
    with pytest.raises(ValueError, match=r"expected features \(B, C, H, W\)"):
        instance_mean(torch.zeros(2, 4, 4), ids)
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        instance_mean(torch.zeros(1, 2, 4, 4), ids - 1)
    with pytest.raises(ValueError, match=r"holds id 5, the table has rows for 0\.\.2"):
        paint_table(torch.zeros(1, 3, 2), ids + 5)
    with pytest.raises(TypeError, match="integer label map, got dtype float64"):
        label_map_to_boxes(np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"label map \(H, W\), got shape \(3,\)"):
        label_map_to_boxes(np.zeros(3, dtype=np.int32))
    with pytest.raises(ValueError, match="thickness must be at least 1 pixel, got 0"):
        label_map_to_contours(np.zeros((3, 3), dtype=np.int32), thickness=0)
    with pytest.raises(TypeError, match="integer colour mask, got dtype float64"):
        colors_to_label_map(np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"colour mask \(H, W\) or \(H, W, 3\), got shape \(3, 3, 4\)"):
        colors_to_label_map(np.zeros((3, 3, 4), dtype=np.uint8))
