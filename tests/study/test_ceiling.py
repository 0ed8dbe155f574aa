from dataclasses import replace

import numpy as np
import pytest
from run_records import make_groups, make_run

from rbc_lightning.study.ceiling import ceiling_above


def columns_with(agreement, means=(("rd", 0.9), ("rd_aug", 0.95))):
    """Runs whose second image was annotated once alone."""
    return {
        column: {
            seed: make_run("fcn8s", column, seed, values=np.array([mean - 0.01, 0.2, mean + 0.01]), agreement=agreement)
            for seed in range(2)
        }
        for column, mean in means
    }


def above(columns, floors=None, *, higher=True, pooled=False):
    return ceiling_above(columns, floors or {}, "dice", higher_is_better=higher, pooled=pooled)


def test_it_is_the_mean_over_the_images_that_have_two_annotations():
    columns = columns_with({"i00": {"dice": 0.94}, "i02": {"dice": 0.98}})
    found = above(columns)
    assert (found.mean, found.n_images, found.figure) == (pytest.approx(0.96), 2, "Dice 0.960 (2 images)")
    assert (found.title, found.text) == ("two annotators agree", "two annotators agree on Dice 0.960 (2 images)")


def test_columns_that_reach_it_on_these_images_are_named():
    columns = columns_with({"i00": {"dice": 0.92}, "i02": {"dice": 0.96}})
    told = "two annotators agree on Dice 0.940 (2 images); RD+aug reaches that: what lies above may be one annotator's habits"
    assert above(columns).text == told
    columns = columns_with({"i00": {"dice": 0.8}, "i02": {"dice": 0.84}})
    assert "; RD, RD+aug reach that: what lies above" in above(columns).text


def test_of_a_score_that_is_better_when_lower_two_annotators_differ_by_it():
    columns = columns_with({"i00": {"dice": 0.92}, "i02": {"dice": 0.96}})
    found = above(columns, higher=False)
    assert (found.title, found.figure) == ("two annotators differ", "Dice 0.940 (2 images)")
    told = "two annotators differ in Dice by 0.940 (2 images); RD reaches that: what lies below may be one annotator's habits"
    assert found.text == told


def test_beside_a_pooled_score_it_is_said_to_be_a_mean():
    found = above(columns_with({"i00": {"dice": 0.94}, "i02": {"dice": 0.98}}), pooled=True)
    assert found.figure == "Dice 0.960, mean of 2 images"
    assert found.text == "two annotators agree on Dice 0.960, mean of 2 images"


@pytest.mark.parametrize("means", [(("rd", 0.9), ("rd_aug", 0.95)), (("rd", 0.8),)])
def test_a_second_annotation_that_a_threshold_reaches_is_no_ceiling(means):
    columns = columns_with({"i00": {"dice": 0.92}, "i02": {"dice": 0.93}}, means)
    # It has no score of the last image.
    values = np.array([0.93, 0.1, np.nan])
    floors = {0: make_run("threshold", "without_training", 0, values=values)}
    assert above(columns, floors).text == (
        "two annotators agree on Dice 0.925 (2 images); a threshold reaches that: the second annotation is looser than the "
        "first, so that it is no ceiling here"
    )
    for worse in (0.91, np.nan):
        floors = {0: make_run("threshold", "without_training", 0, values=np.array([worse, 0.1, np.nan]))}
        assert above(columns, floors) == above(columns)


def test_images_of_one_patient_count_once():
    columns = columns_with({"i00": {"dice": 0.9}, "i01": {"dice": 0.8}, "i02": {"dice": 0.6}})
    groups = {"i00": "a", "i01": "a", "i02": "b"}
    columns = {name: {seed: replace(run, groups=groups) for seed, run in runs.items()} for name, runs in columns.items()}
    assert above(columns).mean == pytest.approx((0.85 + 0.6) / 2)


@pytest.mark.parametrize("agreement", [{}, {"i00": {"ap50": 0.9}}, {"i00": {"dice": np.nan}}, {"elsewhere": {"dice": 0.9}}])
def test_without_two_annotations_there_is_none(agreement):
    assert above(columns_with(agreement)) is None
    assert above(make_groups().runs["fcn8s"]) is None
