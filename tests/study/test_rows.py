"""What a row says of floor, ceiling and pooled scores; its columns and answers are asked for in `test_table2.py`."""

from dataclasses import replace

import numpy as np
import pytest
from run_records import N_IMAGES, make_floor, make_groups, make_pooled, make_pooled_columns, make_run, scores_of, squares_of

from rbc_lightning.study.rows import model_row
from rbc_lightning.study.statistics import holm, paired_difference
from rbc_lightning.study.tables import QUESTIONS

COLUMNS = ("rd", "rd_aug", "rd_sd", "rd_sd_aug")


def test_a_floor_changes_nothing_of_what_columns_are_to_each_other():
    columns, floors = make_groups().runs["fcn8s"], make_floor()
    rows = {name: {"dice": np.nan} if name == "i03" else row for name, row in floors[0].per_image.items()}
    without, beside = (model_row("fcn8s", columns, given) for given in ({}, {**floors, 0: replace(floors[0], per_image=rows)}))
    assert without.floor is None
    assert beside.floor.n_images == N_IMAGES - 1
    told = f"without training (threshold): on the {N_IMAGES - 1} of {N_IMAGES} test images that it has a finite Dice of"
    assert told in beside.notes
    assert replace(beside, floor=None, notes=without.notes) == without
    assert beside.comparison("rd", "without_training") == beside.floor.comparisons["rd"]
    assert without.comparison("rd", "without_training") is None
    assert beside.comparison("rd_sd", "rd") == beside.comparisons["rd_sd", "rd"]


def test_pooled_scores_that_were_recorded_without_each_image_answer_the_questions():
    floors = {seed: make_pooled("threshold", "without_training", seed) for seed in range(3)}
    row = model_row("dcan", make_pooled_columns(COLUMNS), floors)
    assert row.answering is row.pooled
    assert (row.score, row.pooled.score) == ("AP50", "AP50 pooled")
    expected = [paired_difference(squares_of(column), squares_of(against)) for column, against in QUESTIONS]
    asked = [row.pooled.comparisons[question] for question in QUESTIONS]
    assert [c.difference.value for c in asked] == pytest.approx([difference.value for difference in expected])
    assert [c.p for c in asked] == pytest.approx(holm([difference.p_value for difference in expected]))
    assert row.answers == row.pooled.answers
    assert row.answers[0].text.startswith("RD+SD+aug against RD+aug: cannot tell, AP50 pooled")
    # Means over images are compared as before, and corrected for nothing.
    assert {c.p_holm for c in row.comparisons.values()} == {None}
    images = [np.stack([scores_of(column, seed) for seed in range(3)]) for column in QUESTIONS[0]]
    assert row.comparisons[QUESTIONS[0]].difference == paired_difference(*images)
    assert row.entries["rd"].pooled == pytest.approx(row.pooled.entries["rd"].mean) == pytest.approx(squares_of("rd").mean())
    assert row.pooled.entries["rd"].spread == pytest.approx(squares_of("rd").mean(axis=1).std(ddof=1))
    assert "and answers the questions" in row.notes[-1]
    assert row.bounds == (row.pooled.floor.text,)
    assert row.bounds[0].startswith("without training AP50 pooled 0.")
    assert (row.pooled.floor.mean, row.floor.mean) == pytest.approx((squares_of("without_training").mean(), 0.855), abs=2e-3)


def test_where_a_run_has_not_recorded_it_the_means_answer_with_a_note():
    columns = make_pooled_columns(COLUMNS)
    del columns["rd"][0].metrics["left_out"]
    row = model_row("dcan", columns, {})
    assert row.pooled is None
    assert row.answering is row
    assert row.answers[0].comparison == row.comparisons[QUESTIONS[0]]
    assert row.entries["rd"].pooled == pytest.approx(squares_of("rd").mean())
    assert row.notes[-1].endswith("so the means answer the questions")


def test_a_metric_that_single_images_do_not_have_is_pooled_alone():
    row = model_row("dcan", make_pooled_columns(COLUMNS, by_image=False), {})
    assert (row.score, row.pooled, row.n_images) == ("AP50", None, N_IMAGES)
    assert row.entries["rd"].mean == pytest.approx(squares_of("rd").mean())
    assert row.entries["rd"].pooled is None
    assert row.answers[0].comparison.difference.value == pytest.approx((squares_of("rd_sd_aug") - squares_of("rd_aug")).mean())
    columns = make_pooled_columns(COLUMNS, by_image=False)
    del columns["rd"][0].metrics["left_out"]
    with pytest.raises(ValueError, match="rd0 has no finite ap50 with each test image or group left out"):
        model_row("dcan", columns, {})


def test_pooled_scores_stand_above_a_floor_that_has_only_means():
    floors = make_floor(score="ap50")
    row = model_row("dcan", make_pooled_columns(COLUMNS), floors)
    assert row.pooled.floor is None
    assert row.bounds == (row.floor.text,)


def test_a_ceiling_is_that_of_the_means():
    agreement = {f"i{k:02d}": {"dice": 0.9} for k in range(4)}
    columns = {"rd": {seed: make_run("fcn8s", "rd", seed, agreement=agreement) for seed in range(2)}}
    row = model_row("fcn8s", columns, make_floor())
    assert (row.ceiling.mean, row.ceiling.n_images) == (pytest.approx(0.9), 4)
    assert row.bounds == (row.floor.text, row.ceiling.text)
    assert "no ceiling here" not in row.ceiling.text
    low = {**columns, "rd": {0: replace(columns["rd"][0], agreement={"i00": {"dice": 0.7}})}}
    assert model_row("fcn8s", low, make_floor()).ceiling.text.endswith("so that it is no ceiling here")
