import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest

from rbc_lightning.report.collect import Run, RunGroups
from rbc_lightning.report.statistics import holm, paired_bootstrap, permutation_p_value
from rbc_lightning.report.table2 import build_table2
from rbc_lightning.report.table2_text import to_csv, to_latex, to_markdown
from rbc_lightning.report.tables import COLUMNS, OPTIMISTIC

N_IMAGES = 12
GAINS = {"rd": 0.0, "sd": -0.1, "rd_aug": 0.02, "rd_sd": 0.05, "rd_sd_aug": 0.021}


def scores_of(column, seed, spread=0.002):
    """Images differ much, columns by their gains, seeds and single scores by little."""
    rng = np.random.default_rng([seed, *column.encode()])
    luck = spread * rng.standard_normal()
    return 0.8 + 0.01 * np.arange(N_IMAGES) + GAINS.get(column, 0.0) + luck + 0.002 * rng.standard_normal(N_IMAGES)


def make_run(model, column, seed, score="dice", optimistic=False, values=None, headline=None, translator="pix2pixhd"):
    values = scores_of(column, seed) if values is None else values
    metrics = {"model": model, "column": column, "seed": seed, "headline": f"test/{score}", "optimistic": optimistic}
    metrics["mix"] = {"real": 8, "synthetic": 4 if "sd" in column else 0}
    metrics[f"test/{score}"] = float(np.mean(values)) if headline is None else headline
    # Rows come in another order in every run.
    order = np.random.default_rng(seed).permutation(len(values))
    return Run(
        Path(f"{column}{seed}"),
        metrics,
        {f"i{k:02d}": {score: float(values[k])} for k in order},
        {"translator.name": translator},
        0.0,
    )


def make_groups(models=("fcn8s",), columns=COLUMNS, seeds=(0, 1, 2), left_out=(), **settings):
    runs = {
        model: {column: {seed: make_run(model, column, seed, **settings) for seed in seeds} for column in columns}
        for model in models
    }
    return RunGroups("smears", runs, tuple(left_out))


def build(groups):
    return build_table2(groups, n_resamples=499)


def lines_of(text, start):
    return [line for line in text.splitlines() if line.startswith(start)]


def test_a_cell_is_the_mean_over_images_and_seeds_with_its_spread_over_seeds():
    (row,) = build(make_groups()).rows
    assert (row.model, row.score, row.n_images) == ("fcn8s", "Dice", N_IMAGES)
    by_seed = [scores_of("rd_sd", seed).mean() for seed in range(3)]
    cell = row.cells["rd_sd"]
    assert cell.mean == pytest.approx(np.mean(by_seed))
    assert cell.spread == pytest.approx(np.std(by_seed, ddof=1))
    assert (cell.pooled, cell.seeds, cell.optimistic) == (None, (0, 1, 2), False)


def test_every_column_is_compared_with_both_references_by_image():
    (row,) = build(make_groups()).rows
    pairs = [(c.column, c.against) for c in row.comparisons]
    others = [(column, against) for against in ("rd_aug", "rd") for column in COLUMNS if column != against]
    assert pairs == others
    first, second = (np.stack([scores_of(column, seed) for seed in range(3)]) for column in ("sd", "rd_aug"))
    found = row.compared("sd", "rd_aug")
    assert found.difference == paired_bootstrap(first, second, 499)
    assert found.p_value == permutation_p_value(first, second, 499)
    assert row.compared("rd", "rd") is None


def test_holm_counts_each_pair_of_columns_once():
    (row,) = build(make_groups()).rows
    tests = {frozenset((c.column, c.against)): (c.p_value, c.p_holm) for c in row.comparisons}
    # Eight comparisons in the table, one of them looked at from both sides.
    assert len(row.comparisons) == 8
    assert len(tests) == 7
    raw, adjusted = zip(*tests.values(), strict=True)
    assert adjusted == pytest.approx(holm(raw))
    forth, back = row.compared("rd", "rd_aug"), row.compared("rd_aug", "rd")
    assert back.difference.value == pytest.approx(-forth.difference.value)
    assert (back.p_value, back.p_holm) == (forth.p_value, forth.p_holm)


def test_the_answers_tell_what_synthetic_data_does():
    (row,) = build(make_groups()).rows
    with_augmentation, without = row.answers
    assert with_augmentation.question == ("rd_sd_aug", "rd_aug")
    assert without.question == ("rd_sd", "rd")
    assert (with_augmentation.verdict, without.verdict) == ("cannot tell", "helps")
    assert with_augmentation.images is None or with_augmentation.images > N_IMAGES
    told = r"RD\+SD against RD: helps, Dice \+0\.0\d{3} \[\+0\.0\d{3}, \+0\.0\d{3}\], p = 0\.0\d\d"
    assert re.fullmatch(told, without.text)
    assert re.search("test images|train more seeds", with_augmentation.text)


def test_a_model_that_synthetic_data_harms_is_told_so():
    groups = make_groups(columns=("rd_aug",))
    worse = {seed: make_run("fcn8s", "rd_sd_aug", seed, values=scores_of("rd_aug", seed + 10) - 0.05) for seed in range(3)}
    groups.runs["fcn8s"]["rd_sd_aug"] = worse
    (row,) = build(groups).rows
    assert row.answers[0].verdict == "hurts"
    assert row.answers[0].images is None


def test_an_undecided_answer_names_the_images_that_would_settle_it():
    rng = np.random.default_rng(4)
    groups = make_groups(columns=("rd_aug",))
    noisy = {
        seed: make_run("fcn8s", "rd_sd_aug", seed, values=scores_of("rd_aug", seed) + 0.004 + shift)
        for seed, shift in zip(range(3), np.tile(0.02 * rng.standard_normal(N_IMAGES), (3, 1)), strict=True)
    }
    groups.runs["fcn8s"]["rd_sd_aug"] = noisy
    (row,) = build(groups).rows
    answer = row.answers[0]
    assert answer.verdict == "cannot tell"
    assert answer.images > N_IMAGES
    assert f"about {answer.images} test images would settle it (now {N_IMAGES})" in answer.text


def test_one_seed_gives_figures_and_no_verdict():
    table = build(make_groups(seeds=(0,)))
    (row,) = table.rows
    assert row.cells["rd"].spread is None
    assert {c.verdict for c in row.comparisons} == {"cannot tell"}
    assert row.answers[1].images is None
    assert "train two more seeds" in row.answers[1].text
    assert "fcn8s: one seed only, so no spread and no verdict: RD, SD, RD+aug, RD+SD, RD+SD+aug" in to_markdown(table)


def test_missing_columns_are_said():
    table = build(make_groups(columns=("rd", "rd_sd", "sd")))
    (row,) = table.rows
    assert row.answers[0].comparison is None
    assert row.answers[0].text == "RD+SD+aug against RD+aug: cannot tell, RD+SD+aug and RD+aug not run"
    assert row.answers[1].verdict == "helps"
    text = to_markdown(table)
    assert "fcn8s: not run: RD+aug, RD+SD+aug" in text
    assert lines_of(text, "| fcn8s, Dice |")[0].count("| - ") == 2


def test_average_precision_is_compared_by_image_and_shown_pooled_as_well():
    table = build(make_groups(models=("dcan",), score="ap50", headline=0.5))
    (row,) = table.rows
    assert (row.score, row.cells["rd"].pooled) == ("AP50", 0.5)
    text = to_markdown(table)
    assert lines_of(text, "| dcan, AP50 pooled |") == ["| dcan, AP50 pooled |" + " 0.500 |" * 5]
    assert "pooled ranks the cells of all images together" in text


def test_the_papers_figures_stand_beside_marked_as_another_data_set():
    table = build(make_groups(models=("fcn8s", "unet")))
    text = to_markdown(table)
    (paper,) = [line for line in text.splitlines() if "Bailo" in line]
    assert "fcn8s, Bailo et al. 2019 (another data set: not comparable) | 0.961 | 0.848 | 0.962 | 0.948 | 0.964 |" in paper
    assert table.rows[1].paper == {}


def test_optimistic_figures_are_marked_in_every_format():
    table = build(make_groups(optimistic=True))
    text = to_markdown(table)
    assert lines_of(text, "| fcn8s, Dice |")[0].count("†") == 5
    assert f"† {OPTIMISTIC}" in text
    assert OPTIMISTIC in table.rows[0].answers[0].text
    assert r"$\dagger$" in to_latex(table)
    assert {line["optimistic"] for line in csv.DictReader(io.StringIO(to_csv(table)))} == {"True"}
    assert "†" not in to_markdown(build(make_groups()))


def test_size_controls_get_a_column_where_they_were_run():
    assert build(make_groups()).columns == tuple(COLUMNS)
    table = build(make_groups(columns=[*COLUMNS, "rd_large"]))
    assert table.columns == (*COLUMNS, "rd_large")
    assert table.rows[0].compared("rd_large", "rd_aug") is not None
    assert "- RD large: RD repeated to the size of the large columns" in to_markdown(table)


def test_verdicts_come_first_and_left_out_runs_last():
    text = to_markdown(build(make_groups(models=("dcan", "fcn8s"), left_out=("fcn8s: left out 1 run: x",))))
    lines = text.splitlines()
    assert lines[0] == "# Table 2 on smears"
    assert [line.split("**")[1] for line in lines[2:4]] == ["dcan: cannot tell.", "fcn8s: cannot tell."]
    assert lines[-1] == "- fcn8s: left out 1 run: x"
    widths = {line.count("|") for line in lines if line.startswith("|")}
    assert widths == {len(COLUMNS) + 2}


def test_it_is_said_who_painted_the_synthetic_images():
    assert "- Synthetic images: painted by other" in to_markdown(build(make_groups(translator="other"))).splitlines()
    assert "painted by" not in to_markdown(build(make_groups(columns=("rd", "rd_aug"), translator="other")))


def test_columns_with_other_seeds_are_told():
    groups = make_groups(columns=("rd", "rd_sd"))
    assert "differ in their seeds" not in to_markdown(build(groups))
    groups.runs["fcn8s"]["rd_sd"][7] = make_run("fcn8s", "rd_sd", 7)
    assert (
        "columns differ in their seeds, run the missing ones before you trust a difference (RD: 0, 1, 2; RD+SD: 0, 1, 2, 7)"
        in (to_markdown(build(groups)))
    )


def test_too_few_test_images_are_told():
    groups = make_groups(columns=("rd_aug", "rd_sd_aug"))
    for by_seed in groups.runs["fcn8s"].values():
        for run in by_seed.values():
            for name in sorted(run.per_image)[5:]:
                del run.per_image[name]
    answer = build(groups).rows[0].answers[0]
    assert (answer.verdict, answer.images) == ("cannot tell", None)
    assert answer.text.endswith("5 test images are too few for any verdict: at least 6, better dozens")


def test_it_is_said_how_the_runs_were_trained():
    groups = make_groups()
    for columns in groups.runs["fcn8s"].values():
        for run in columns.values():
            run.metrics["steps"], run.settings["scale.name"] = 4, "tiny"
    lines = to_markdown(build(groups)).splitlines()
    assert "- scale=tiny; 4 optimiser steps a run; 8 real training images" in lines
    assert "- scale=tiny only shows that everything is wired: these figures mean nothing" in lines


def test_the_csv_holds_every_number_unrounded():
    table = build(make_groups(columns=("rd", "rd_sd")))
    found = {line["column"]: line for line in csv.DictReader(io.StringIO(to_csv(table)))}
    assert list(found) == list(COLUMNS)
    cell, comparison = table.rows[0].cells["rd_sd"], table.rows[0].compared("rd_sd", "rd")
    line = found["rd_sd"]
    assert (float(line["mean"]), float(line["spread"]), line["n_seeds"]) == (cell.mean, cell.spread, "3")
    assert float(line["low_against_rd"]) == comparison.difference.low
    assert float(line["p_holm_against_rd"]) == comparison.p_holm
    assert (line["verdict_against_rd"], line["verdict_against_rd_aug"], line["paper"]) == ("helps", "", "0.948")
    assert found["sd"]["mean"] == found["rd"]["difference_against_rd"] == ""


def test_the_latex_is_escaped_and_balanced():
    groups = make_groups(models=("faster_rcnn",), left_out=("50 % & more_less #1 {x} \\y",))
    text = to_latex(build(groups))
    assert r"faster\_rcnn" in text
    assert r"50 \% \& more\_less \#1 \{x\} \textbackslash{}y" in text
    assert r"0.781 & 0.852 & 0.985 & 0.986 & 0.993 \\" in text
    for word in ("table", "tabular"):
        assert text.count(rf"\begin{{{word}}}") == text.count(rf"\end{{{word}}}") == 3
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 3
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {line.count(" & ") for line in rows} == {len(COLUMNS)}
    bare = re.sub(r"\\[%&#_{}$]", "", text.split("\n", 1)[1])
    assert not re.search("[%#_±†−]", bare)
    assert "$-$0." in text


def test_the_same_runs_give_the_same_table_whatever_their_order():
    groups = make_groups()
    turned = {
        model: {column: dict(sorted(by_seed.items())) for column, by_seed in reversed(columns.items())}
        for model, columns in groups.runs.items()
    }
    again = build(RunGroups("smears", turned, ()))
    assert to_csv(again) == to_csv(build(groups))


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="no runs on smears to compare"):
        build(RunGroups("smears", {}, ()))
