import re
from dataclasses import replace

import numpy as np
import pytest
from run_records import N_IMAGES, make_groups, make_pooled_columns, make_run, scores_of

from rbc_lightning.study.choose import RunGroups
from rbc_lightning.study.statistics import holm, paired_difference
from rbc_lightning.study.table2 import build_table2 as build
from rbc_lightning.study.table2_text import to_markdown
from rbc_lightning.study.tables import COLUMNS, CONFOUNDED, QUESTIONS


def lines_of(text, start):
    return [line for line in text.splitlines() if line.startswith(start)]


def test_an_entry_is_the_mean_over_images_and_seeds_with_its_spread_over_seeds():
    (row,) = build(make_groups()).rows
    assert (row.model, row.score, row.n_images) == ("fcn8s", "Dice", N_IMAGES)
    by_seed = [scores_of("rd_sd", seed).mean() for seed in range(3)]
    entry = row.entries["rd_sd"]
    assert entry.mean == pytest.approx(np.mean(by_seed))
    assert entry.spread == pytest.approx(np.std(by_seed, ddof=1))
    assert (entry.pooled, entry.seeds, entry.optimistic) == (None, (0, 1, 2), False)


def test_every_column_is_compared_with_both_references_by_image():
    (row,) = build(make_groups()).rows
    pairs = [(c.column, c.against) for c in row.comparisons.values()]
    others = [(column, against) for against in ("rd_aug", "rd") for column in COLUMNS if column != against]
    assert pairs == list(row.comparisons) == others
    first, second = (np.stack([scores_of(column, seed) for seed in range(3)]) for column in ("sd", "rd_aug"))
    found = row.comparisons["sd", "rd_aug"]
    assert found.difference == paired_difference(first, second)
    assert ("rd", "rd") not in row.comparisons


def test_holm_corrects_the_two_questions_and_nothing_else():
    (row,) = build(make_groups()).rows
    asked = [row.comparisons[question] for question in QUESTIONS]
    assert [c.p for c in asked] == pytest.approx(holm([c.difference.p_value for c in asked]))
    others = [c for pair, c in row.comparisons.items() if pair not in QUESTIONS]
    assert len(others) == 6
    assert {c.p_holm for c in others} == {None}
    assert [c.p for c in others] == [c.difference.p_value for c in others]


def test_a_column_more_changes_no_answer():
    """A size control beside the five turned p = 0.016 into 0.088."""
    columns = ("rd", "rd_aug", "rd_sd", "rd_sd_aug")
    (few,), (many,) = (build(make_groups(columns=names)).rows for names in (columns, (*columns, "sd", "rd_large", "sd_large")))
    assert few.answers == many.answers
    assert len(many.comparisons) > len(few.comparisons)


def test_the_answers_tell_what_synthetic_data_does():
    (row,) = build(make_groups()).rows
    with_augmentation, without = row.answers
    assert with_augmentation.question == ("rd_sd_aug", "rd_aug")
    assert without.question == ("rd_sd", "rd")
    assert (with_augmentation.verdict, without.verdict) == ("cannot tell", "helps")
    assert with_augmentation.text.endswith(f"; {with_augmentation.remedy}")
    told = r"RD\+SD against RD: helps, Dice \+0\.0\d{3} \[\+0\.0\d{3}, \+0\.0\d{3}\], p < 0\.001"
    assert re.fullmatch(told, without.text)
    assert re.search(r"about \d+ seeds \(now 3\) would settle it", with_augmentation.remedy)


def test_a_model_that_synthetic_data_harms_is_told_so():
    groups = make_groups(columns=("rd_aug",))
    worse = {seed: make_run("fcn8s", "rd_sd_aug", seed, values=scores_of("rd_aug", seed + 10) - 0.05) for seed in range(3)}
    groups.runs["fcn8s"]["rd_sd_aug"] = worse
    (row,) = build(groups).rows
    assert row.answers[0].verdict == "hurts"
    assert row.answers[0].remedy == ""


def test_one_seed_gives_figures_and_no_verdict():
    table = build(make_groups(seeds=(0,)))
    (row,) = table.rows
    assert row.entries["rd"].spread is None
    assert {c.verdict for c in row.comparisons.values()} == {"cannot tell"}
    assert "train two more seeds" in row.answers[1].remedy
    assert "fcn8s: one seed only, so no spread and no verdict: RD, SD, RD+aug, RD+SD, RD+SD+aug" in to_markdown(table)


def test_missing_columns_are_said():
    table = build(make_groups(columns=("rd", "rd_sd", "sd")))
    (row,) = table.rows
    assert row.answers[0].comparison is None
    told = "run RD+SD+aug (+experiment=rd_sd_aug) and RD+aug (+experiment=rd_aug) with the same seeds"
    assert row.answers[0].text == f"RD+SD+aug against RD+aug: not run yet; {told}"
    assert row.answers[1].verdict == "helps"
    text = to_markdown(table)
    assert "- **fcn8s: not run yet.** RD+SD+aug against RD+aug: not run yet; run RD+SD+aug (" in text
    assert "fcn8s: not run: RD+aug, RD+SD+aug" in text
    assert lines_of(text, "| fcn8s, Dice |")[0].count("| - ") == 2


def test_average_precision_is_compared_by_image_and_shown_pooled_as_well():
    table = build(make_groups(models=("dcan",), score="ap50", headline=0.5))
    (row,) = table.rows
    assert (row.score, row.entries["rd"].pooled) == ("AP50", 0.5)
    text = to_markdown(table)
    assert lines_of(text, "| dcan, AP50 pooled |") == ["| dcan, AP50 pooled |" + " 0.500 |" * 5]
    assert "pooled is over the cells of all images together, as in Bailo et al. 2019" in text


def test_columns_with_other_seeds_are_told():
    groups = make_groups(columns=("rd", "rd_sd"))
    assert "differ in their seeds" not in to_markdown(build(groups))
    groups.runs["fcn8s"]["rd_sd"][7] = make_run("fcn8s", "rd_sd", 7)
    text = to_markdown(build(groups))
    assert "columns differ in their seeds and are compared on those that both have, run the missing ones" in text
    assert "(RD: 0, 1, 2; RD+SD: 0, 1, 2, 7)" in text


def test_columns_are_compared_on_the_seeds_that_both_have():
    groups = make_groups(columns=("rd", "rd_sd"))
    before = build(groups).rows[0].comparisons["rd_sd", "rd"].difference
    groups.runs["fcn8s"]["rd_sd"][7] = make_run("fcn8s", "rd_sd", 7)
    groups.runs["fcn8s"]["rd"] = dict(reversed(groups.runs["fcn8s"]["rd"].items()))
    found = build(groups).rows[0].comparisons["rd_sd", "rd"].difference
    assert (found.value, found.p_value, found.n_seeds) == pytest.approx((before.value, before.p_value, 3))
    groups.runs["fcn8s"]["rd"] = {5: make_run("fcn8s", "rd", 5)}
    assert build(groups).rows[0].comparisons == {}


def test_images_of_one_patient_count_once():
    groups = make_groups(columns=("rd", "rd_sd"))
    for by_seed in groups.runs["fcn8s"].values():
        for seed, run in by_seed.items():
            by_seed[seed] = replace(run, groups={name: f"patient {k // 4}" for k, name in enumerate(sorted(run.per_image))})
    (row,) = build(groups).rows
    found = row.comparisons["rd_sd", "rd"].difference
    assert (found.n_units, found.unit) == (N_IMAGES // 4, "group")
    assert row.units == f"{N_IMAGES} test images of {N_IMAGES // 4} groups, which count once each"
    assert row.entries["rd"].mean == pytest.approx(np.mean([scores_of("rd", seed).mean() for seed in range(3)]))


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="no runs on smears to compare"):
        build(RunGroups("smears", {}, ()))


# --- any score


def with_errors(gains=None, models=("fcn8s",), **settings):
    """Runs that count better with synthetic data, by the images of other scores."""
    gains = gains or {"rd": 0.0, "rd_aug": 0.0, "rd_sd": -0.3, "rd_sd_aug": 0.3}
    groups = make_groups(models, columns=gains, **settings)
    for model, columns in groups.runs.items():
        for column, by_seed in columns.items():
            for seed in by_seed:
                errors = 1 + gains[column] + 0.1 * (scores_of(column, seed) - 0.8)
                by_image = {"count_error": errors, "aji": scores_of(column, seed) - 0.3}
                by_seed[seed] = make_run(model, column, seed, by_image=by_image, **settings)
    return groups


def test_of_a_score_that_is_better_when_lower_less_helps():
    (row,) = build(with_errors(), score="count_error").rows
    assert (row.metric, row.score, row.higher_is_better) == ("count_error", "Counting error", False)
    first, second = row.answers
    assert (first.verdict, second.verdict) == ("hurts", "helps")
    assert first.comparison.difference.low > 0 > second.comparison.difference.high
    assert second.text.startswith("RD+SD against RD: helps, Counting error −0.2")
    assert {c.verdict for c in row.comparisons.values() if c.column == "rd_sd"} == {"helps"}
    # The figures of the paper are of another metric.
    assert row.paper == {}
    text = to_markdown(build(with_errors(), score="count_error"))
    assert lines_of(text, "| fcn8s, Counting error (lower is better) |")


def test_another_score_changes_nothing_but_the_numbers_it_stands_for():
    groups = with_errors()
    assert build(groups, score="dice") == build(groups)
    (row,) = build(groups, score="aji").rows
    assert (row.score, row.higher_is_better) == ("AJI", True)
    values = np.stack([scores_of("rd_sd", seed) - 0.3 for seed in range(3)])
    assert row.entries["rd_sd"].mean == pytest.approx(values.mean())
    assert row.entries["rd_sd"].pooled is None
    assert row.answers[1].verdict == "helps"


def test_a_model_without_the_score_is_named_and_left_out():
    groups = RunGroups("smears", {**make_groups(models=("boxes",)).runs, **with_errors().runs}, ())
    table = build(groups, score="aji")
    assert [row.model for row in table.rows] == ["fcn8s"]
    assert "boxes: left out, not all of its runs have aji by image" in table.notes
    with pytest.raises(ValueError, match="no model of which all runs on smears have pq by image; expected one of aji, count_"):
        build(groups, score="pq")


def test_runs_of_different_versions_are_noted():
    groups = make_groups(columns=("rd", "rd_aug"))
    for seed, run in groups.runs["fcn8s"]["rd"].items():
        run.metrics["version"] = "1.0" if seed else "2.0"
    assert "made by different versions: 1.0 (rd1, rd2); 2.0 (rd0)" in build(groups).notes


def test_a_score_that_single_images_do_not_have_can_be_chosen():
    columns = make_pooled_columns(COLUMNS, score="ap", by_image=False)
    groups = RunGroups("smears", {**make_groups().runs, "dcan": columns}, ())
    table = build(groups, score="ap")
    assert [row.model for row in table.rows] == ["dcan"]
    assert "fcn8s: left out, not all of its runs have ap by image" in table.notes
    with pytest.raises(ValueError, match="expected one of ap, dice"):
        build(groups, score="pq")


def test_equal_epochs_are_marked_as_confounded():
    groups = make_groups()
    assert build(groups).caution is None
    for run in groups.every():
        run.metrics["confounded"] = CONFOUNDED
    assert build(groups).caution == CONFOUNDED
    assert "**Confounded: equal passes over samples of different numbers" in to_markdown(build(groups))
