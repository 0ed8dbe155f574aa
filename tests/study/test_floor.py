from dataclasses import replace

import numpy as np
import pytest
from run_records import N_IMAGES, make_floor, make_groups, make_pooled, make_pooled_columns, make_run, scores_of, squares_of
from scipy import stats

from rbc_lightning.study.collect import paired_scores
from rbc_lightning.study.floor import AS_WELL, floor_below
from rbc_lightning.study.pooled import pooled_scores
from rbc_lightning.study.statistics import paired_difference

SENTENCE = "a threshold does as well: this data set cannot show what training data are worth"


def floor_of(columns, floors, scores=paired_scores, score="dice", higher=True):
    return floor_below(columns, floors, lambda filed: scores(filed, score), "Dice", higher_is_better=higher)


def columns_at(means, scatter=0.02, floor=0.9, seeds=(0, 1, 2)):
    """Columns with these means, and a floor whose images scatter about its own."""
    of_image = floor + scatter * np.linspace(-1, 1, N_IMAGES)
    columns = {
        column: {seed: make_run("fcn8s", column, seed, values=of_image - floor + mean) for seed in seeds}
        for column, mean in means.items()
    }
    return columns, {seed: make_run("threshold", "without_training", seed, values=of_image) for seed in seeds}


def test_its_interval_is_that_of_a_mean_over_images():
    columns, floors = columns_at({"rd": 0.95})
    found = floor_of(columns, floors)
    values = 0.9 + 0.02 * np.linspace(-1, 1, N_IMAGES)
    half = stats.t.isf(0.025, N_IMAGES - 1) * values.std(ddof=1) / np.sqrt(N_IMAGES)
    assert (found.mean, found.low, found.high) == pytest.approx((0.9, 0.9 - half, 0.9 + half))
    assert (found.model, found.n_images, found.seeds, found.spread) == ("threshold", N_IMAGES, (0, 1, 2), pytest.approx(0))
    assert found.title == "without training (threshold)"
    assert found.figure == f"0.900 [{0.9 - half:.3f}, {0.9 + half:.3f}]"


def test_every_column_is_compared_with_it_seed_by_seed_and_image_by_image():
    columns, floors = make_groups().runs["fcn8s"], make_floor()
    found = floor_of(columns, floors)
    assert list(found.comparisons) == list(columns)
    first = np.stack([scores_of("rd_sd", seed) for seed in range(3)])
    second = np.stack([[floors[seed].per_image[f"i{k:02d}"]["dice"] for k in range(N_IMAGES)] for seed in range(3)])
    comparison = found.comparisons["rd_sd"]
    assert comparison.difference == paired_difference(first, second)
    assert (comparison.against, comparison.p_holm, comparison.verdict) == ("without_training", None, "helps")
    assert found.comparisons["sd"].verdict == "hurts"


def test_where_no_column_clears_its_interval_the_data_cannot_show_what_training_data_are_worth():
    assert AS_WELL == SENTENCE
    columns, floors = columns_at({"rd": 0.903, "rd_aug": 0.899, "rd_large": 0.99})
    found = floor_of(columns, floors)
    # The size control is none of the five.
    assert found.text == f"without training Dice {found.figure}; {SENTENCE}"
    columns, floors = columns_at({"rd": 0.903, "sd": 0.7})
    assert floor_of(columns, floors).text.endswith(f"; {SENTENCE} (SD: worse than without)")


def test_where_some_columns_lie_within_its_interval_they_are_named():
    columns, floors = columns_at({"rd": 0.95, "rd_aug": 0.905, "rd_sd": 0.9, "sd": 0.8})
    told = "a threshold does as well as training on RD+aug, RD+SD and better than training on SD"
    assert floor_of(columns, floors).text.endswith(f"; {told}")
    columns, floors = columns_at({"rd": 0.7, "sd": 0.6})
    # Trainings that fall short say nothing of the data.
    assert floor_of(columns, floors).text.endswith("; a threshold does better than training on RD, SD")
    columns, floors = columns_at({"rd": 0.95, "rd_aug": 0.96})
    found = floor_of(columns, floors)
    assert found.text == f"without training Dice {found.figure}"


def scattered(difference):
    """A column whose difference with the floor scatters over images: its paired interval holds 0 where the mean is small."""
    columns, floors = columns_at({"sd": 0.9}, scatter=0.002)
    signs = np.where(np.arange(N_IMAGES) % 2, 1, -1)
    for seed, run in columns["sd"].items():
        values = [run.per_image[f"i{k:02d}"]["dice"] + difference + 0.05 * signs[k] for k in range(N_IMAGES)]
        columns["sd"][seed] = make_run("fcn8s", "sd", seed, values=np.array(values))
    return columns, floors


def test_better_than_training_is_said_where_the_paired_interval_leaves_out_0_alone():
    found = floor_of(*scattered(-0.01))
    assert found.low - found.mean > -0.01
    assert found.comparisons["sd"].difference.low < 0 < found.comparisons["sd"].difference.high
    assert found.text.endswith("; a threshold does as well as training on SD")
    assert floor_of(*scattered(-0.1)).text.endswith("; a threshold does better than training on SD")
    assert floor_of(*scattered(0.01), higher=False).text.endswith("; a threshold does as well as training on SD")
    columns, floors = scattered(-0.01)
    columns["rd"] = floors
    assert floor_of(columns, floors).text.endswith(f"; {SENTENCE}")
    # Of a column that shares no seed with the floor nothing is known.
    columns, floors = columns_at({"sd": 0.7})
    found = floor_of(columns, {7: floors[0]})
    assert found.text == f"without training Dice {found.figure}"


def test_above_a_perfect_floor_nothing_is_left_to_gain():
    columns, floors = columns_at({"rd": 1.0, "sd": 0.5}, scatter=0.0, floor=1.0)
    told = f"{SENTENCE} (SD: worse than without); nothing is left to gain on this data set"
    assert floor_of(columns, floors).text == f"without training Dice 1.000 [1.000, 1.000]; {told}"
    assert not floor_of(columns, floors, higher=False).text.endswith("this data set")
    once = {seed: make_run("fcn8s", "sd", seed, values=1 - np.eye(N_IMAGES)[0]) for seed in range(3)}
    told = "a threshold does as well as training on SD; nothing is left to gain on this data set"
    assert floor_of({"sd": once}, floors).text.endswith(f"]; {told}")


def test_of_a_score_that_is_better_when_lower_less_is_clear_of_it():
    columns, floors = columns_at({"rd": 0.85, "sd": 0.97})
    assert floor_of(columns, floors, higher=False).text.endswith("; a threshold does better than training on SD")
    columns, floors = columns_at({"rd": 0.97, "sd": 0.9})
    assert floor_of(columns, floors, higher=False).text.endswith(f"; {SENTENCE} (RD: worse than without)")


def test_an_image_that_it_has_no_score_of_is_left_out_here_alone():
    columns, floors = columns_at({"rd": 0.95, "rd_aug": 0.96})
    rows = {name: {"dice": np.nan} if name == "i03" else row for name, row in floors[1].per_image.items()}
    floors[1] = replace(floors[1], per_image=rows)
    found = floor_of(columns, floors)
    assert (found.n_images, found.comparisons["rd"].difference.n_units) == (N_IMAGES - 1, N_IMAGES - 1)


def test_without_a_run_or_its_score_there_is_none():
    columns, floors = columns_at({"rd": 0.95})
    assert floor_of(columns, {}) is None
    assert floor_of(columns, floors, score="aji") is None
    assert floor_of(columns, floors, scores=pooled_scores, score="ap50") is None


def test_columns_are_compared_with_it_on_the_seeds_that_both_have():
    columns, floors = columns_at({"rd": 0.95})
    del floors[1], floors[2]
    found = floor_of(columns, floors)
    assert (found.comparisons["rd"].difference.n_seeds, found.comparisons["rd"].verdict) == (1, "cannot tell")
    assert floor_of(columns, {7: floors[0]}).comparisons == {}


def test_pooled_scores_are_compared_with_its_pooled_one():
    floors = {seed: make_pooled("threshold", "without_training", seed) for seed in range(3)}
    found = floor_of(make_pooled_columns(), floors, scores=pooled_scores, score="ap50")
    squares = squares_of("without_training")
    assert found.mean == pytest.approx(squares.mean())
    expected = paired_difference(squares_of("rd"), squares)
    assert found.comparisons["rd"].difference.low == pytest.approx(expected.low)
    whole = paired_difference(squares, np.zeros((3, N_IMAGES)))
    assert (found.low, found.high) == pytest.approx((whole.low, whole.high))


@pytest.mark.parametrize("higher", [True, False])
def test_of_fewer_than_six_units_nothing_is_said_of_the_data(higher):
    columns, floors = columns_at({"rd": 0.9, "sd": 0.2})

    def first(runs, count, group=None):
        names = [f"i{k:02d}" for k in range(count)]
        groups = {name: f"g{k // 2}" for k, name in enumerate(names)} if group else {}
        return {s: replace(run, per_image={n: run.per_image[n] for n in names}, groups=groups) for s, run in runs.items()}

    for count, group, told in ((5, None, "test images (5)"), (10, "pairs", "groups of test images (5)")):
        some = {column: first(runs, count, group) for column, runs in columns.items()}
        text = floor_of(some, first(floors, count, group), higher=higher).text
        assert text.endswith(f"]; too few {told} to tell whether a threshold does as well: at least 6")
    some = {column: first(runs, 6) for column, runs in columns.items()}
    assert "too few" not in floor_of(some, first(floors, 6), higher=higher).text
    perfect = {0: replace(floors[0], per_image={"a": {"dice": 1.0}, "b": {"dice": 1.0}})}
    assert "nothing is left to gain" not in floor_of({"rd": perfect}, perfect).text


def test_an_interval_that_reaches_0_carries_no_sentence():
    columns, floors = columns_at({"rd": 0.05, "rd_aug": 0.3}, scatter=0.2, floor=0.05)
    assert floor_of(columns, floors).low < 0
    assert floor_of(columns, floors).text.endswith(
        "]; its interval reaches 0: too wide to tell whether a threshold does as well"
    )
    columns, floors = columns_at({"rd": 0.3}, scatter=0.2, floor=0.05)
    found = floor_of(columns, floors)
    assert found.text == f"without training Dice {found.figure}"
