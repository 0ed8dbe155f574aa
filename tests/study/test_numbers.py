import math

import pytest

from rbc_lightning.study.numbers import number_text, p_text, signed_text


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


def test_p_values_are_told_to_three_places():
    assert (p_text(0.0004), p_text(0.0456)) == ("p < 0.001", "p = 0.046")
