import numpy as np
import pytest
import torch
from torch import nn

from rbc_lightning.translators.image_pool import ImagePool


def _image(value):
    """One image that carries its number."""
    return torch.full((1, 2, 3, 4), float(value))


def _numbers(images):
    assert (images == images[:, :1, :1, :1]).all()
    return images[:, 0, 0, 0].int().tolist()


def _run(pool, steps, seeds=None):
    return [_numbers(pool(_image(step), [step if seeds is None else seeds[step]]))[0] for step in steps]


def test_filling_returns_what_came():
    pool = ImagePool(4)
    assert _run(pool, range(4)) == [0, 1, 2, 3]
    assert _numbers(pool.get_extra_state()) == [0, 1, 2, 3]


def test_every_image_is_shown_now_or_kept_and_nothing_is_lost():
    pool = ImagePool(5)
    shown = _run(pool, range(400))
    # what was shown and what is left are all images, each once: a swap loses none and copies none
    not_swapped = [step for step in range(5, 400) if shown[step] == step]
    stored = _numbers(pool.get_extra_state())
    swapped_out = [number for step, number in enumerate(shown) if step >= 5 and number != step]
    assert sorted(not_swapped + swapped_out + stored) == list(range(400))
    assert all(number < step for step, number in enumerate(shown) if step >= 5 and number != step)
    # half are swapped: 197 +- 10
    assert len(swapped_out) == pytest.approx(197, abs=40)


def test_the_place_is_drawn_from_the_whole_pool():
    places = []
    for seed in range(600):
        pool = ImagePool(3)
        _run(pool, range(3))
        (shown,) = _numbers(pool(_image(9), [seed]))
        stored = _numbers(pool.get_extra_state())
        if shown == 9:
            assert stored == [0, 1, 2]
        else:
            assert stored[shown] == 9
            places.append(shown)
    counts = np.bincount(places, minlength=3)
    assert counts.sum() == pytest.approx(300, abs=60)
    assert counts.min() > 60


def test_the_draw_depends_on_the_images_seed_alone():
    seeds = np.random.default_rng(0).integers(2**32, size=40).tolist()
    one_by_one = _run(ImagePool(3), range(40), seeds)
    pool = ImagePool(3)
    batched = [
        number
        for start in range(0, 40, 4)
        for number in _numbers(pool(torch.cat([_image(start + k) for k in range(4)]), seeds[start : start + 4]))
    ]
    assert batched == one_by_one
    assert _run(ImagePool(3), range(40), [seed + 1 for seed in seeds]) != one_by_one


@pytest.mark.parametrize("stopped_at", [0, 2, 30])
def test_resuming_is_exact_through_a_file_of_tensors(tmp_path, stopped_at):
    undisturbed = _run(ImagePool(4), range(60))
    first, fresh = nn.ModuleDict({"pool": ImagePool(4)}), nn.ModuleDict({"pool": ImagePool(4)})
    before = _run(first["pool"], range(stopped_at))
    torch.save(first.state_dict(), tmp_path / "checkpoint.pt")
    fresh.load_state_dict(torch.load(tmp_path / "checkpoint.pt", weights_only=True), strict=True)
    assert before + _run(fresh["pool"], range(stopped_at, 60)) == undisturbed


def test_a_loaded_pool_does_not_share_memory_with_the_state():
    source, target = ImagePool(1), ImagePool(1)
    _run(source, range(1))
    state = source.state_dict()
    target.load_state_dict(state)
    state["_extra_state"].fill_(7)
    assert _numbers(target.get_extra_state()) == [0]
    assert _numbers(source.get_extra_state()) == [0]


def test_what_comes_out_is_detached_and_later_changes_do_not_reach_the_pool():
    pool = ImagePool(1)
    for step in range(12):
        image = _image(step).requires_grad_()
        out = pool(image, [step])
        assert not out.requires_grad
        with torch.no_grad():
            image.fill_(-1)
        out.fill_(-1)
        assert _numbers(pool.get_extra_state())[0] in range(step + 1)
    assert _numbers(pool.get_extra_state()) != [0]


def test_size_zero_is_off():
    pool = ImagePool(0)
    image = _image(1)
    assert pool(image, [0]) is image
    assert pool.get_extra_state().numel() == 0
    pool.load_state_dict(pool.state_dict())


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="at least 0, got -1"):
        ImagePool(-1)
    pool = ImagePool(2)
    with pytest.raises(ValueError, match=r"B seeds, got \(1, 2, 3, 4\) and 2 seeds"):
        pool(_image(0), [1, 2])
    _run(pool, range(2))
    with pytest.raises(ValueError, match=r"holds images of shape \(2, 3, 4\), got \(2, 3, 5\); train on crops of one size"):
        pool(torch.zeros(1, 2, 3, 5), [0])
    with pytest.raises(ValueError, match="holds 2 images, this one at most 1"):
        ImagePool(1).load_state_dict(pool.state_dict())
