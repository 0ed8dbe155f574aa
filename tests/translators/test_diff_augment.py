import numpy as np
import pytest
import torch

from rbc_lightning.translators.diff_augment import Augmentations, augment, draw_augmentations, parse_policy

FULL = "color,translation,cutout"


def _batch(n=2, height=16, width=24, seed=0):
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(n, 3, height, width, generator=generator, dtype=torch.float64) * 2 - 1
    return image, torch.ones(n, 2, height, width, dtype=torch.float64)


def _given(words, size, brightness=0.0, saturation=1.0, contrast=1.0, shift=(0, 0), hole=(0, 0)):
    one = [np.array([value], dtype=np.float64) for value in (brightness, saturation, contrast)]
    return Augmentations(words, size, *one, np.array([shift]), np.array([hole]))


def test_colour_by_hand():
    # one pixel dark red, one light gray
    image = torch.tensor([[[[0.2, 0.6]], [[0.1, 0.6]], [[0.0, 0.6]]]], dtype=torch.float64)
    condition = torch.ones(1, 2, 1, 2, dtype=torch.float64)
    recolored, kept = augment(_given(("color",), (1, 2), 0.1, 2.0, 0.5), image, condition)
    # brightness: .3 .2 .1 | .7; saturation 2 about .2 and .7: .4 .2 0 | .7; contrast .5 about .45
    expected = [[[[0.425, 0.575]], [[0.325, 0.575]], [[0.225, 0.575]]]]
    np.testing.assert_allclose(recolored.numpy(), expected, atol=1e-12)
    assert kept is condition


@pytest.mark.parametrize("shift", [(2, 3), (-1, 2), (2, -3), (-2, -1), (0, 0)])
def test_translation_is_a_roll_with_zeros_coming_in(shift):
    image, condition = _batch(1)
    down, right = shift
    expected = np.roll(image.numpy(), shift, axis=(2, 3))
    rows, columns = np.mgrid[:16, :24]
    outside = (rows - down < 0) | (rows - down >= 16) | (columns - right < 0) | (columns - right >= 24)
    expected[..., outside] = 0
    moved, moved_condition = augment(_given(("translation",), (16, 24), shift=shift), image, condition)
    np.testing.assert_array_equal(moved.numpy(), expected)
    np.testing.assert_array_equal(moved_condition.numpy()[0, 1], ~outside)


@pytest.mark.parametrize(
    ("size", "center", "rows", "columns"),
    [
        ((8, 12), (4, 6), slice(2, 6), slice(3, 9)),
        ((8, 12), (0, 12), slice(0, 2), slice(9, 12)),
        # holes of odd size: 3 rows of 6, 5 columns of 10
        ((6, 10), (2, 9), slice(1, 4), slice(7, 10)),
    ],
)
def test_cutout_blanks_image_and_condition_in_half_the_size(size, center, rows, columns):
    image, condition = _batch(1, *size)
    cut, cut_condition = augment(_given(("cutout",), size, hole=center), image, condition)
    expected = image.clone()
    expected[:, :, rows, columns] = 0
    assert torch.equal(cut, expected)
    hole = cut_condition[0, 0] == 0
    assert hole.sum() == hole[rows, columns].numel()
    assert hole[rows, columns].all()


def test_words_are_applied_in_their_order():
    image, condition = _batch(1)
    brighter = {"size": (16, 24), "brightness": 0.25, "hole": (8, 12)}
    first, _ = augment(_given(("color", "cutout"), **brighter), image, condition)
    last, _ = augment(_given(("cutout", "color"), **brighter), image, condition)
    assert first[0, 0, 8, 12] == 0
    assert last[0, 0, 8, 12] == 0.25


def test_the_draws_fill_their_ranges_evenly():
    drawn = draw_augmentations(range(4000), FULL, 16, 20)
    for values, low, high in ((drawn.brightness, -0.5, 0.5), (drawn.saturation, 0, 2), (drawn.contrast, 0.5, 1.5)):
        assert low <= values.min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < values.max() < high
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.03 * (high - low))
    # 16 / 8 and 20 / 8 pixels; an even hole (8) has 17 centres, one of 10 has 21
    for values, low, high in (
        (drawn.shift[:, 0], -2, 2),
        (drawn.shift[:, 1], -2, 2),
        (drawn.hole[:, 0], 0, 16),
        (drawn.hole[:, 1], 0, 20),
    ):
        counts = np.bincount(values - low, minlength=high - low + 1)
        assert len(counts) == high - low + 1
        assert counts.min() > 0.6 * 4000 / len(counts)
    odd = draw_augmentations(range(2000), FULL, 6, 10).hole
    assert odd.max(axis=0).tolist() == [5, 9]
    assert abs(np.corrcoef(drawn.brightness, drawn.contrast)[0, 1]) < 0.06


def test_the_same_seeds_give_the_same_images_and_others_do_not():
    image, condition = _batch()
    first, second, other = (
        augment(draw_augmentations(seeds, FULL, 16, 24), image, condition)[0] for seeds in ([0, 7], [0, 7], [1, 7])
    )
    assert torch.equal(first, second)
    assert not torch.equal(first[0], other[0])
    assert torch.equal(first[1], other[1])


def test_an_image_comes_out_the_same_in_any_batch():
    image, condition = _batch(3)
    whole = augment(draw_augmentations([5, 6, 7], FULL, 16, 24), image, condition)
    for index, seed in enumerate((5, 6, 7)):
        part = slice(index, index + 1)
        alone = augment(draw_augmentations([seed], FULL, 16, 24), image[part], condition[part])
        assert torch.equal(alone[0][0], whole[0][index])
        assert torch.equal(alone[1][0], whole[1][index])


def test_dropping_a_word_leaves_the_other_draws_as_they_were():
    full, less = draw_augmentations([3], FULL, 64, 64), draw_augmentations([3], "cutout", 64, 64)
    assert less.words == ("cutout",)
    np.testing.assert_array_equal(full.hole, less.hole)


def test_the_draws_are_not_those_of_the_noise_with_the_same_seed():
    drawn = draw_augmentations([3], FULL, 64, 64)
    assert drawn.brightness[0] + 0.5 != np.random.default_rng(3).random()


def test_gradients_are_right_for_image_and_condition():
    image, condition = (x[:, :, :8, :8].clone().requires_grad_() for x in _batch())
    parameters = draw_augmentations([1, 2], FULL, 8, 8)
    assert torch.autograd.gradcheck(lambda *inputs: augment(parameters, *inputs), (image, condition))


def test_an_empty_policy_changes_nothing():
    image, condition = _batch()
    result = augment(draw_augmentations([0, 1], "", 16, 24), image, condition)
    assert result[0] is image
    assert result[1] is condition


def test_dtypes_stay():
    image, condition = (x.float() for x in _batch())
    result = augment(draw_augmentations([0, 1], FULL, 16, 24), image, condition.bool())
    assert result[0].dtype == torch.float32
    assert result[1].dtype == torch.bool


def test_bad_arguments_are_refused():
    assert parse_policy(" color , cutout") == ("color", "cutout")
    with pytest.raises(ValueError, match=r"unknown augmentation 'colour' in policy .* color, translation, cutout"):
        draw_augmentations([0], "colour,cutout", 8, 8)
    with pytest.raises(ValueError, match="names an augmentation twice"):
        parse_policy("color,color")
    image, condition = _batch()
    with pytest.raises(ValueError, match=r"= \(1, 16, 24\), got image of shape \(2, 3, 16, 24\)"):
        augment(draw_augmentations([0], FULL, 16, 24), image, condition)
    with pytest.raises(ValueError, match=r"got condition of shape \(2, 2, 16, 20\)"):
        augment(draw_augmentations([0, 1], FULL, 16, 24), image, condition[..., :20])
