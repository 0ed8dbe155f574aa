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


def test_it_is_the_mean_over_the_images_that_have_two_annotations():
    columns = columns_with({"i00": {"dice": 0.94}, "i02": {"dice": 0.98}})
    found = ceiling_above(columns, "dice", higher_is_better=True)
    assert (found.mean, found.n_images, found.figure) == (pytest.approx(0.96), 2, "0.960 (2 images)")
    assert found.text == "two annotators agree on 0.960 (2 images)"


def test_columns_that_are_not_below_it_on_these_images_are_named():
    columns = columns_with({"i00": {"dice": 0.92}, "i02": {"dice": 0.96}})
    text = ceiling_above(columns, "dice", higher_is_better=True).text
    assert text == "two annotators agree on 0.940 (2 images); not below it: RD+aug: these data cannot show more"
    assert "not below it: RD: these" in ceiling_above(columns, "dice", higher_is_better=False).text


def test_images_of_one_patient_count_once():
    columns = columns_with({"i00": {"dice": 0.9}, "i01": {"dice": 0.8}, "i02": {"dice": 0.6}})
    groups = {"i00": "a", "i01": "a", "i02": "b"}
    columns = {name: {seed: replace(run, groups=groups) for seed, run in runs.items()} for name, runs in columns.items()}
    assert ceiling_above(columns, "dice", higher_is_better=True).mean == pytest.approx((0.85 + 0.6) / 2)


@pytest.mark.parametrize("agreement", [{}, {"i00": {"ap50": 0.9}}, {"i00": {"dice": np.nan}}, {"elsewhere": {"dice": 0.9}}])
def test_without_two_annotations_there_is_none(agreement):
    assert ceiling_above(columns_with(agreement), "dice", higher_is_better=True) is None
    assert ceiling_above(make_groups().runs["fcn8s"], "dice", higher_is_better=True) is None
