from collections import Counter
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rbc_lightning.data.mix import Mix, MixStream, SharedStream, large_total
from rbc_lightning.errors import InputError

CONF = Path(__file__).parents[2] / "conf" / "mix"


@pytest.mark.parametrize(
    ("words", "counts", "column"),
    [
        ({"real": "all", "synthetic": 0, "augmented": 0, "total": None}, (60, 0, 0), "rd"),
        ({"real": 0, "synthetic": "all", "augmented": 0, "total": None}, (0, 60, 0), "sd"),
        ({"real": "all", "synthetic": 0, "augmented": "rest", "total": 960}, (60, 0, 900), "rd_aug"),
        ({"real": "all", "synthetic": "rest", "augmented": 0, "total": 960}, (60, 900, 0), "rd_sd"),
        ({"real": "all", "synthetic": "rest", "augmented": "rest", "total": 960}, (60, 450, 450), "rd_sd_aug"),
        ({"real": "all", "synthetic": "rest", "augmented": "rest", "total": 961}, (60, 451, 450), "rd_sd_aug"),
        ({"real": 960, "synthetic": 0, "augmented": 0, "total": None}, (960, 0, 0), "rd_large"),
        ({"real": "rest", "synthetic": 0, "augmented": 0, "total": 960}, (960, 0, 0), "rd_large"),
        ({"real": 0, "synthetic": "rest", "augmented": 0, "total": 960}, (0, 960, 0), "sd_large"),
        ({"real": 0, "synthetic": 30, "augmented": 0, "total": None}, (0, 30, 0), "sd"),
        ({"real": 120, "synthetic": 0, "augmented": 120, "total": None}, (120, 0, 120), "rd_aug"),
        ({"real": 0, "synthetic": 10, "augmented": 5, "total": 15}, (0, 10, 5), "other"),
    ],
)
def test_the_words_of_a_mix_become_counts_and_the_counts_name_the_column(words, counts, column):
    mix = Mix.resolve(60, **words)
    assert (mix.real, mix.synthetic, mix.augmented) == counts
    assert mix.column == column
    assert mix.total == sum(counts)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"real": "all", "synthetic": "rest", "augmented": 0, "total": None}, "synthetic set to rest; expected a total"),
        (
            {"real": "all", "synthetic": "rest", "augmented": 0, "total": 30},
            r"mix.total=30 with 60 samples already fixed .* or raise scale\.large, which",
        ),
        ({"real": 10, "synthetic": 5, "augmented": 0, "total": 30}, "mix.total=30, yet the parts add up to 15"),
        ({"real": "some", "synthetic": 0, "augmented": 0, "total": None}, "mix.real='some'; expected a count"),
        ({"real": -1, "synthetic": 2, "augmented": 0, "total": None}, "mix of -1 real"),
        ({"real": 0, "synthetic": 0, "augmented": 0, "total": None}, "one sample in all"),
        (
            {"real": 1, "synthetic": 0, "augmented": 2, "total": None, "augmented_from": ["synthetic"]},
            "asks for synthetic samples, yet mix.synthetic is 0",
        ),
        ({"real": 1, "synthetic": 0, "augmented": 2, "total": None, "augmented_from": ["magic"]}, r"\['magic'\]; expected"),
    ],
)
def test_impossible_mixes_are_refused(words, message):
    with pytest.raises(InputError, match=message):
        Mix.resolve(60, **words)


@pytest.mark.parametrize(
    ("large", "per_real", "n_real", "total"),
    [
        # What phantom (4 and 5, 16 and 20, 48 and 60 images) and bbbc041seg (48 and 60) had keeps its size.
        *[(8, 1.5, n_real, 8) for n_real in (4, 5)],
        *[(160, 2, n_real, 160) for n_real in (5, 16, 20, 48, 60, 80)],
        *[(960, 16, n_real, 960) for n_real in (48, 60)],
        (8, 1.5, 15, 23),
        (160, 2, 161, 322),
        (960, 16, 61, 976),
        (8, None, 15, 8),
    ],
)
def test_large_mixes_grow_where_the_data_are_more_than_the_scale_foresees(large, per_real, n_real, total):
    assert large_total(large, per_real, n_real) == total


@pytest.mark.parametrize("per_real", [1, 0, -2, True, float("inf"), float("nan"), "two"])
def test_a_multiple_that_leaves_nothing_beside_the_real_images_is_refused(per_real):
    with pytest.raises(InputError, match=r"scale\.large_per_real=.*; expected a number above 1"):
        large_total(8, per_real, 15)


def test_a_pass_holds_exactly_the_mix_each_image_in_turn():
    stream = MixStream(Mix(real=5, synthetic=4, augmented=7), n_real=5, n_synthetic=4, seed=0)
    draws = Counter((d.source, d.index, d.augmented) for d in map(stream.__getitem__, range(16)))
    assert all(draws["real", i, False] == 1 for i in range(5))
    assert all(draws["synthetic", i, False] == 1 for i in range(4))
    assert [draws["real", i, True] for i in range(5)] == [2, 2, 1, 1, 1]


def test_a_ratio_of_1_2_1_is_followed_over_many_passes():
    stream = MixStream(Mix(real=10, synthetic=20, augmented=10), n_real=10, n_synthetic=20, seed=3)
    kinds = Counter((d.source, d.augmented) for d in map(stream.__getitem__, range(400)))
    assert kinds == {("real", False): 100, ("synthetic", False): 200, ("real", True): 100}


def test_a_mix_of_unknown_origin_is_no_size_control():
    assert Mix(real=960, synthetic=0, augmented=0).column == "rd"
    assert Mix(real=0, synthetic=960, augmented=0).column == "sd"


@pytest.mark.parametrize(
    ("ratio", "total", "counts", "column"),
    [
        ([1, 2, 1], 960, (240, 480, 240), "rd_sd_aug"),
        ([1, 2, 1], 10, (3, 5, 2), "rd_sd_aug"),  # quotas 2.5, 5, 2.5: of equal remainders the first takes one
        ([1, 1, 1], 8, (3, 3, 2), "rd_sd_aug"),
        ([0.1, 0.2, 0.1], 4, (1, 2, 1), "rd_sd_aug"),
        ([5, 3, 2], 7, (4, 2, 1), "rd_sd_aug"),  # quotas 3.5, 2.1, 1.4
        ([1, 0, 3], 60, (15, 0, 45), "rd_aug"),
        ([1, 0, 0], 61, (61, 0, 0), "rd_large"),
        ([0, 1, 0], 60, (0, 60, 0), "sd"),
        ([1e-9, 1, 0], 60, (0, 60, 0), "sd"),
    ],
)
def test_a_ratio_is_shared_out_by_largest_remainders(ratio, total, counts, column):
    mix = Mix.resolve(60, real="all", synthetic="rest", augmented="rest", total=total, ratio=ratio)
    assert (mix.real, mix.synthetic, mix.augmented) == counts
    assert mix.column == column


@given(st.lists(st.integers(0, 50), min_size=3, max_size=3).filter(any), st.integers(1, 5000))
def test_shares_of_a_ratio_are_exact_to_less_than_one_sample(ratio, total):
    mix = Mix.resolve(60, real="rest", synthetic="rest", augmented="rest", total=total, ratio=ratio, augmented_from=["real"])
    assert mix.total == total
    for count, share in zip((mix.real, mix.synthetic, mix.augmented), ratio, strict=True):
        assert abs(count - total * share / sum(ratio)) < 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"ratio": [1, 2]}, r"mix.ratio=\[1, 2\]; expected three shares real : synthetic : augmented"),
        ({"ratio": [1, -2, 1]}, "none negative and not all 0"),
        ({"ratio": [0, 0, 0]}, r"mix.ratio=\[0, 0, 0\]; expected three shares"),
        ({"ratio": [1, float("nan"), 1]}, "expected three shares"),
        ({"ratio": [1, float("inf"), 1]}, "expected three shares"),
        ({"ratio": [1, True, 1]}, "expected three shares"),
        ({"ratio": "1:2:1"}, "mix.ratio=1:2:1; expected three shares"),
        ({"ratio": 3}, "mix.ratio=3; expected three shares"),
        ({"synthetic": 5}, r"mix.ratio=\[1, 2, 1\] and mix.synthetic=5; expected a ratio .* or counts, not both"),
        ({"augmented": 0}, "mix.augmented=0; expected a ratio .* set mix.augmented=rest, or mix.ratio=null"),
        ({"real": "some"}, "mix.real='some'; expected a count"),
        ({"total": None}, r"mix.ratio=\[1, 2, 1\], mix.total=None; expected a total of at least 1"),
        ({"total": 0}, "mix.total=0; expected a total"),
    ],
)
def test_impossible_ratios_are_refused(words, message):
    fine = {"real": "all", "synthetic": "rest", "augmented": "rest", "total": 8, "ratio": [1, 2, 1]}
    assert Mix.resolve(60, **fine).total == 8
    with pytest.raises(InputError, match=message):
        Mix.resolve(60, **{**fine, **words})


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_mix_file_is_the_column_it_is_named_after(path):
    words = {}
    for part in (CONF / "parts" / "base.yaml", path):
        words |= yaml.safe_load(part.read_text().replace("${scale.large}", "960"))
    del words["defaults"]
    assert Mix.resolve(60, **words).column == path.stem
    assert (CONF.parent / "experiment" / path.name).read_text().endswith(f"override /mix: {path.stem}\n")


@given(st.integers(0, 2**32 - 1), st.integers(0, 500))
def test_a_draw_depends_on_seed_and_position_alone(seed, serial):
    mix = Mix(real=6, synthetic=5, augmented=4)
    walked = MixStream(mix, 6, 5, seed)
    for step in (3, serial + 40, 0):
        walked[step]
    assert walked[serial] == MixStream(mix, 6, 5, seed)[serial]


def test_seeds_differ_and_seed_0_is_a_seed():
    def order(seed):
        stream = MixStream(Mix(real=30, synthetic=0, augmented=0), 30, 0, seed)
        return tuple(stream[i].index for i in range(60))

    assert order(0) == order(0)
    assert len({order(seed) for seed in range(4)}) == 4
    assert order(0)[:30] != order(0)[30:]


def test_augmented_samples_may_come_from_both_pools():
    stream = MixStream(Mix(2, 2, 8, ("real", "synthetic")), n_real=2, n_synthetic=2, seed=0)
    augmented = Counter(d.source for d in map(stream.__getitem__, range(12)) if d.augmented)
    assert augmented == {"real": 4, "synthetic": 4}


def test_a_mix_needs_its_samples():
    with pytest.raises(InputError, match="asks for real samples and the train split has none"):
        MixStream(Mix(1, 0, 0), n_real=0, n_synthetic=3, seed=0)
    with pytest.raises(InputError, match="asks for synthetic samples and none were made"):
        MixStream(Mix(0, 1, 0), n_real=3, n_synthetic=0, seed=0)


def test_a_part_smaller_than_its_pool_takes_the_samples_in_turn_over_the_passes():
    stream = MixStream(Mix(real=4, synthetic=0, augmented=6, augmented_from=("real",)), n_real=10, n_synthetic=0, seed=0)
    draws = [stream[serial] for serial in range(5 * 10)]
    for augmented, each in ((False, 2), (True, 3)):
        counts = Counter(draw.index for draw in draws if draw.augmented == augmented)
        assert counts == dict.fromkeys(range(10), each)
    # In any order of asking.
    assert [stream[serial] for serial in reversed(range(50))] == draws[::-1]


def test_augmented_parts_of_two_sources_go_on_as_well():
    mix = Mix(real=3, synthetic=2, augmented=5, augmented_from=("real", "synthetic"))
    stream = MixStream(mix, n_real=3, n_synthetic=4, seed=1)
    draws = [stream[serial] for serial in range(10 * 12)]
    counts = Counter((draw.source, draw.index) for draw in draws if draw.augmented)
    # Three of five are real ones: 36 of twelve passes over three; two are synthetic: 24 over four.
    assert counts == {("real", i): 12 for i in range(3)} | {("synthetic", i): 6 for i in range(4)}


def test_some_samples_get_their_share_and_each_its_turn():
    some = [True, False, True, False, False]
    stream = SharedStream(some, 0.6, seed=3)
    draws = [stream[serial] for serial in range(30)]
    assert {(draw.source, draw.augmented) for draw in draws} == {("real", True)}
    for first in range(0, 30, 5):
        assert sum(some[draw.index] for draw in draws[first : first + 5]) == 3
    counts = Counter(draw.index for draw in draws)
    # Six passes: eighteen draws for two, twelve for three.
    assert counts == {0: 9, 2: 9, 1: 4, 3: 4, 4: 4}
    assert [stream[serial] for serial in (17, 3)] == [draws[17], draws[3]]
    assert [SharedStream(some, 0.6, seed=4)[serial] for serial in range(30)] != draws


def test_each_part_keeps_a_draw_however_small_its_share():
    for share in (0.01, 0.99):
        stream = SharedStream([True, False, False], share, seed=0)
        assert {stream[serial].index for serial in range(60)} == {0, 1, 2}


@pytest.mark.parametrize(("some", "share"), [([True, True], 0.5), ([False], 0.5), ([True, False], 0), ([True, False], 1)])
def test_a_share_of_nothing_is_refused(some, share):
    with pytest.raises(InputError, match=rf"a share of {share} of the draws among . and . samples; expected one in"):
        SharedStream(some, share, seed=0)
