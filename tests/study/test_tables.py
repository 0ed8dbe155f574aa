import pytest

from rbc_lightning.study.tables import COLUMNS, CONTROLS, PAPER, QUESTIONS, REFERENCES, TITLES, published, sentence


@pytest.mark.parametrize("model", PAPER)
def test_published_figures_stand_beside_the_metric_that_was_published(model):
    metric, figures = PAPER[model]
    assert published(model, metric) == dict(zip(COLUMNS, figures, strict=True))
    assert published(model, "aji") == published("unet", metric) == {}


def test_every_column_that_is_compared_has_a_title():
    assert {*REFERENCES, *(column for question in QUESTIONS for column in question)} <= {*COLUMNS}
    assert list(TITLES) == [*COLUMNS, *CONTROLS]


def test_a_phrase_becomes_a_sentence():
    assert (sentence("two annotators"), sentence("RD+SD"), sentence("")) == ("Two annotators.", "RD+SD.", "")
