import pytest
import torch

from rbc_lightning.translators.conditioning import generator_input, reflect_pad, seeded_noise, shrink_pair


def test_reflect_pad_by_hand_for_ids_and_beyond_the_image():
    ids = torch.tensor([[1, 2, 3]])
    assert reflect_pad(ids, 8).tolist() == [[1, 2, 3, 2, 1, 2, 3, 2]] * 8
    image = torch.arange(12.0).reshape(1, 3, 4)
    assert reflect_pad(image, 1) is image
    expected = torch.nn.functional.pad(image[None], (0, 1, 0, 2), mode="reflect")[0]
    assert torch.equal(reflect_pad(image, 5), expected)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_shrinking_keeps_channels_and_takes_the_nearest_ids(channels):
    image = torch.arange(channels * 16.0).reshape(1, channels, 4, 4)
    ids = torch.tensor([[[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]])
    small, few = shrink_pair(image, ids, 2)
    assert small.shape == (1, channels, 2, 2)
    assert few.tolist() == [[[0, 1], [2, 3]]]
    assert shrink_pair(image, ids, 1)[0] is image


def test_noise_depends_on_the_seed_of_its_image_alone():
    like = torch.zeros(2, 1, 5, 7)
    both, second = seeded_noise([3, 4], 2, like), seeded_noise([4], 2, like)
    assert both.shape == (2, 2, 5, 7)
    assert torch.equal(both[1:], second)
    assert seeded_noise([3], 0, like) is None


def test_the_input_is_condition_style_noise():
    condition, style, noise = (torch.full((1, n, 2, 2), float(n)) for n in (3, 5, 1))
    assert torch.equal(generator_input(condition, style, noise), torch.cat((condition, style, noise), dim=1))
    assert generator_input(condition, style).shape == (1, 8, 2, 2)
