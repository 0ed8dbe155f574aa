import math

import pytest

from rbc_lightning.study.numbers import mean_text, number_text, p_text, signed_text


@pytest.mark.parametrize(
    ("value", "text", "signed"),
    [
        (0.12346, "0.123", "+0.1235"),
        (-0.12346, "−0.123", "−0.1235"),
        (-0.00004, "0.000", "0.0000"),
        (0.00004, "0.000", "0.0000"),
        (-0.0004, "0.000", "−0.0004"),
        (0.0, "0.000", "0.0000"),
        (-math.inf, "−inf", "−inf"),
    ],
)
def test_minus_signs_are_true_and_zero_has_none(value, text, signed):
    assert (number_text(value), signed_text(value)) == (text, signed)


@pytest.mark.parametrize(
    ("mean", "low", "high", "higher", "text"),
    [
        (0.056, -0.035, 0.146, True, "0.056 [0 (cut), 0.146]"),
        (0.969, 0.848, 1.089, True, "0.969 [0.848, 1 (cut)]"),
        (0.5, 0.0, 1.0, True, "0.500 [0.000, 1.000]"),
        # Counts may be wrong by more than all.
        (0.9, -0.1, 1.9, False, "0.900 [0 (cut), 1.900]"),
        # Scores of another kind, such as a logarithm.
        (-0.5, -1.0, 0.0, True, "−0.500 [−1.000, 0.000]"),
        (3.0, 1.0, 5.0, True, "3.000 [1.000, 5.000]"),
    ],
)
def test_intervals_of_means_are_cut_where_the_score_ends_and_that_is_said(mean, low, high, higher, text):
    assert mean_text(mean, low, high, higher_is_better=higher) == text


def test_p_values_are_told_to_three_places():
    assert (p_text(0.0004), p_text(0.0456)) == ("p < 0.001", "p = 0.046")
