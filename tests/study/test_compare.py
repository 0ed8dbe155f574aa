"""What `tests/study/test_table2.py` does not ask by way of the whole table."""

import numpy as np
import pytest
from run_records import make_groups, make_run, scores_of

from rbc_lightning.study.collect import paired_scores
from rbc_lightning.study.compare import answer_questions, compare_columns, interval_text
from rbc_lightning.study.numbers import signed_text
from rbc_lightning.study.statistics import holm
from rbc_lightning.study.tables import COLUMNS, QUESTIONS


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
    seeds = {"rd_aug": (0, 1, 2), "rd": (3, 4), "rd_sd": (0,)}
    first, second = answer_questions({}, seeds, (), "Dice")
    told = "not run yet; run RD+SD+aug (+experiment=rd_sd_aug) with seed=0,1,2"
    assert first.text == f"RD+SD+aug against RD+aug: {told}"
    assert (first.word, first.verdict) == ("not run yet", "cannot tell")
    # Both were run, without a seed in common.
    assert (second.word, second.remedy) == ("not run yet", "run RD+SD (+experiment=rd_sd) with seed=3,4")
    (first, _) = answer_questions({}, seeds, (), "Dice", "data.folds=3 data.fold=0,1")
    assert first.remedy == "run RD+SD+aug (+experiment=rd_sd_aug) with seed=0,1,2 data.folds=3 data.fold=0,1"
    neither, _ = answer_questions({}, {}, (), "Dice")
    told = "run RD+SD+aug (+experiment=rd_sd_aug) and RD+aug (+experiment=rd_aug) with the same seeds"
    assert neither.remedy == told


@pytest.mark.parametrize("gain", [0.0, 0.1])
def test_one_seed_is_told_as_such_however_small_p_is(gain):
    columns = {"rd": {0: make_run("fcn8s", "rd", 0)}}
    columns["rd_sd"] = {0: make_run("fcn8s", "rd_sd", 0, values=scores_of("rd", 0) + gain)}
    compared = compare_columns(paired_scores(columns, "dice"), QUESTIONS, higher_is_better=True)["rd_sd", "rd"]
    assert (compared.verdict, compared.word, compared.p < 0.001) == ("cannot tell", "one seed", gain > 0)


def test_optimistic_weights_mark_an_answer(paired):
    comparisons = compare_columns(paired, QUESTIONS, higher_is_better=True)
    marked = answer_questions(comparisons, dict.fromkeys(COLUMNS, (0, 1, 2)), ["rd_sd"], "AP50")
    assert [answer.optimistic for answer in marked] == [False, True]
    assert "AP50 +0.0" in marked[1].text


def test_figures_are_written_with_their_signs(paired):
    difference = paired.difference("sd", "rd")
    assert interval_text(difference).startswith(f"{signed_text(difference.value)} [−")


@pytest.mark.parametrize(("n_images", "word"), [(5, "no p"), (6, "p = 1.000")])
def test_of_too_few_images_no_p_is_told(n_images, word):
    columns = {
        column: {seed: make_run("fcn8s", column, seed, values=np.full(n_images, 0.5)) for seed in (0, 1)}
        for column in ("rd", "rd_sd")
    }
    compared = compare_columns(paired_scores(columns, "dice"), QUESTIONS, higher_is_better=True)
    assert compared["rd_sd", "rd"].p_words == word
    told = answer_questions(compared, {"rd": (0, 1), "rd_sd": (0, 1)}, (), "Dice")[1].text
    assert told.startswith(f"RD+SD against RD: cannot tell, Dice 0.0000 [0.0000, 0.0000], {word}; ")
