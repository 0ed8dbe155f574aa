import pytest

from rbc_lightning.metrics.units import unit_names


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ({"a": "p", "b": "p", "c": "q"}, ("p", "p", "q")),
        # One without a group stands for itself.
        ({"a": "p", "b": "p", "c": ""}, ("p", "p", "image c")),
        ({"a": "p", "b": "p"}, ("p", "p", "image c")),
        # No two images share one.
        ({"a": "p", "b": "q", "c": "r"}, ("image a", "image b", "image c")),
        ({}, ("image a", "image b", "image c")),
    ],
)
def test_a_unit_is_a_group_or_else_an_image(groups, expected):
    assert unit_names(["a", "b", "c"], groups) == expected
