import dataclasses
import json
import math

import pytest

from rbc_lightning.evaluation.result import Quality, QualitySamples

NUMBERS = [field.name for field in dataclasses.fields(Quality) if field.name not in ("samples", "n_images", "n_styles")]
SAMPLES = QualitySamples(
    sample_ids=("a", "b"),
    dice=(0.5, 0.7),
    dice_real=(0.9, 0.8),
    **dict.fromkeys(("background", "cells", "background_real", "cells_real"), ((1.0, 2.0),)),
    **dict.fromkeys(("background_train", "cells_train"), ((1.0, 2.0),)),
    nearest_cell=(),
    nearest_cell_real=(1.25,),
)


def quality(**values):
    return Quality(**{**dict.fromkeys(NUMBERS, 1.0), "n_images": 2, "n_styles": 4, "samples": SAMPLES, **values})


def test_diversity_is_a_share_of_that_of_real_images_and_at_most_1():
    one = quality(dice=0.8, color_diversity=5, color_diversity_train=20, texture_diversity=3, texture_diversity_real=2)
    # A quarter in colour, full marks in texture.
    assert one.diversity == pytest.approx((0.25 + 1) / 2)
    assert one.score == pytest.approx(0.8 * 0.625)


def test_a_share_that_could_not_be_measured_is_left_out():
    nan = math.nan
    assert quality(color_diversity=nan, texture_diversity=0.5).diversity == 0.5
    assert quality(color_diversity=0.5, texture_diversity_real=nan).diversity == 0.5
    assert quality(color_diversity=0.5, color_diversity_train=0.0, texture_diversity=0.25).diversity == 0.25
    assert quality(color_diversity=nan, texture_diversity=nan).diversity == 1


def test_what_is_written_is_read_back_with_none_for_nan():
    one = quality(kid=math.nan)
    content = json.loads(one.to_json(), parse_constant=pytest.fail)
    assert content["kid"] is None
    assert content["score"] == one.score
    assert content["samples"]["background"] == [[1.0, 2.0]]
    read = Quality.from_dict(content)
    assert math.isnan(read.kid)
    assert dataclasses.replace(read, kid=0.0) == dataclasses.replace(one, kid=0.0)
