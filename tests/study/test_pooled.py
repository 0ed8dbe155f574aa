import numpy as np
import pytest
from run_records import N_IMAGES, make_pooled, make_pooled_columns, make_run, scores_of, squares_of

from rbc_lightning.study.pooled import is_pooled, pooled_scores
from rbc_lightning.study.statistics import paired_difference

PATIENTS = [f"patient {k // 3}" for k in range(N_IMAGES)]


def test_of_a_mean_over_units_pseudo_values_are_the_scores_of_the_units():
    pooled = pooled_scores(make_pooled_columns(), "ap50")
    assert pooled.scores["rd"] == pytest.approx(squares_of("rd"))
    assert pooled.by_seed("rd") == pytest.approx(squares_of("rd").mean(axis=1))
    found, expected = pooled.difference("rd_aug", "rd"), paired_difference(squares_of("rd_aug"), squares_of("rd"))
    assert (found.value, found.low, found.high, found.p_value) == pytest.approx(
        (expected.value, expected.low, expected.high, expected.p_value)
    )
    assert (found.unit, found.n_units, found.n_seeds) == ("image", N_IMAGES, 3)
    assert (pooled.n_images, pooled.units, pooled.n_dropped) == (N_IMAGES, f"{N_IMAGES} test images together", 0)


def test_patients_are_units_where_they_were_left_out():
    pooled = pooled_scores(make_pooled_columns(units=PATIENTS), "ap50")
    found = pooled.difference("rd_aug", "rd")
    assert (found.unit, found.n_units) == ("group", 4)
    by_patient = [squares_of(column).reshape(3, 4, 3).mean(axis=2) for column in ("rd_aug", "rd")]
    assert found.value == pytest.approx(paired_difference(*by_patient).value)
    assert pooled.units == f"{N_IMAGES} test images together of 4 groups, which count once each"


def test_columns_share_the_seeds_that_both_have():
    runs = {**make_pooled_columns(("rd",), (0, 1)), **make_pooled_columns(("rd_aug",), (1, 2))}
    assert pooled_scores(runs, "ap50").difference("rd_aug", "rd").n_seeds == 1


@pytest.mark.parametrize("how", ["none", "other units", "undefined", "one unit"])
def test_what_cannot_be_paired_is_refused(how):
    runs = make_pooled_columns()
    left = runs["rd_aug"][1].metrics["left_out"]["ap50"]
    if how == "none":
        del runs["rd_aug"][1].metrics["left_out"]
    elif how == "other units":
        left["image other"] = left.pop("image i03")
    elif how == "undefined":
        left["image i03"] = None
    else:
        for run in (run for by_seed in runs.values() for run in by_seed.values()):
            run.metrics["left_out"]["ap50"] = {"patient 0": 0.5}
    with pytest.raises(ValueError, match="no finite ap50 with each test image or group left out"):
        pooled_scores(runs, "ap50")


def test_a_score_is_pooled_where_it_is_not_the_mean_over_images():
    values = scores_of("rd", 0)
    rounded = float(np.float32(values.mean()))
    assert not is_pooled(make_run("fcn8s", "rd", 0, headline=rounded), "dice")
    assert is_pooled(make_run("fcn8s", "rd", 0, headline=0.5), "dice")
    assert is_pooled(make_pooled("dcan", "rd", 0, by_image=False), "ap50")
    assert not is_pooled(make_run("fcn8s", "rd", 0), "never_recorded")
    # Both may be 0, or 1.
    assert is_pooled(make_run("dcan", "rd", 0, score="ap50", left_out={"ap50": {"image i00": 0.5}}), "ap50")
