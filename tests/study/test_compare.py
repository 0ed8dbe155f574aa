"""What `tests/study/test_table2.py` does not ask by way of the whole table."""

import pytest
from run_records import make_groups

from rbc_lightning.study.collect import paired_scores
from rbc_lightning.study.compare import answer_questions, compare_columns, interval_text, p_text, signed_text
from rbc_lightning.study.statistics import holm
from rbc_lightning.study.tables import QUESTIONS


@pytest.fixture(scope="module")
def paired():
    return paired_scores(make_groups().runs["fcn8s"], "dice")


def test_only_the_questions_asked_are_corrected(paired):
    found = {
        questions: compare_columns(paired, questions, higher_is_better=True) for questions in (QUESTIONS, QUESTIONS[:1], ())
    }
    p_values = [found[()][question].difference.p_value for question in QUESTIONS]
    corrected = [[found[questions][question].p_holm for question in QUESTIONS] for questions in found]
    assert corrected[0] == pytest.approx(holm(p_values))
    assert corrected[1:] == [[pytest.approx(p_values[0]), None], [None, None]]
    assert all(list(one) == list(found[QUESTIONS]) for one in found.values())


def test_an_answer_without_its_columns_says_what_to_run(paired):
    first, second = answer_questions({}, {"rd_aug": False, "rd": False, "rd_sd": False}, "Dice")
    assert first.text == "RD+SD+aug against RD+aug: cannot tell, RD+SD+aug not run"
    assert second.remedy == "no seed that both were trained with: run one with the other's seeds"


def test_optimistic_weights_mark_an_answer(paired):
    comparisons = compare_columns(paired, QUESTIONS, higher_is_better=True)
    marked = answer_questions(comparisons, {"rd_sd_aug": False, "rd_aug": False, "rd_sd": True, "rd": False}, "AP50")
    assert [answer.optimistic for answer in marked] == [False, True]
    assert "AP50 +0.0" in marked[1].text


def test_figures_are_written_with_their_signs(paired):
    difference = paired.difference("sd", "rd")
    assert signed_text(-0.12346) == "−0.1235"
    assert interval_text(difference).startswith(f"{signed_text(difference.value)} [−")
    assert (p_text(0.0004), p_text(0.0456)) == ("p < 0.001", "p = 0.046")
