"""What a metric has to be."""

import pytest

from rbc_lightning.metrics.metric import Metric


def count(prediction, truth):
    return len(prediction.counted)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "my metric"}, "expected letters, digits and _, got 'my metric'"),
        ({"value": None}, "'own' has neither a value of an image nor a function over images"),
    ],
)
def test_a_metric_that_measures_nothing_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Metric(**{"name": "own", "title": "own", "higher_is_better": True, "per_unit": count, **arguments})
