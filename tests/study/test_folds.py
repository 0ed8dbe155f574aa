"""Runs of several folds in one table: joined by column and seed, told where some are missing."""

from dataclasses import replace

import numpy as np
import pytest
from run_records import make_pooled, make_run, write_fold, write_run

from rbc_lightning.study.choose import group_runs, runs_beside
from rbc_lightning.study.collect import collect_runs, paired_scores
from rbc_lightning.study.folds import join_folds, missing_folds
from rbc_lightning.study.pooled import is_pooled, pooled_scores
from rbc_lightning.study.statistics import LEVEL, MeanSquares, paired_difference
from rbc_lightning.study.table2 import build_table2
from rbc_lightning.study.table2_text import to_csv, to_markdown

GAIN = {"rd": 0.0, "rd_aug": 0.05, "rd_sd_aug": 0.2, "without_training": -0.3}


def scores(column, seed, fold):
    """Two patients of a fold."""
    rng = np.random.default_rng([len(column), seed, fold])
    return {f"p{2 * fold + k}": 0.5 + 0.01 * k + GAIN[column] + 0.01 * rng.standard_normal() for k in range(2)}


def write_all(root, columns=tuple(GAIN), seeds=(0, 1, 2), folds=range(5), without=()):
    for column in columns:
        for seed in seeds:
            for fold in folds:
                if (column, seed, fold) not in without:
                    write_fold(root, column, seed, fold, scores(column, seed, fold))


def grouped(root):
    return group_runs(collect_runs(root).runs, "smears")


def test_a_sweep_over_folds_is_one_line_of_each_column_with_the_patients_of_all(tmp_path):
    write_all(tmp_path)
    groups = grouped(tmp_path)
    assert groups.left_out == ()
    assert len(groups.every()) == 45
    run = groups.runs["fcn8s"]["rd"][1]
    assert sorted(run.per_image) == sorted(f"p{k}" for k in range(10))
    assert [part.directory.name for part in run.parts] == [f"rd_seed1_fold{fold}" for fold in range(5)]
    assert run.whole("dice") == pytest.approx(np.mean([row["dice"] for row in run.per_image.values()]))
    table = build_table2(groups)
    (row,) = table.rows
    assert row.n_images == 10
    assert row.units == "10 test images, in 5 folds: each was tested by the models of its own"
    assert row.entries["rd_sd_aug"].seeds == (0, 1, 2)
    assert row.answers[0].word == "helps"
    assert (row.floor.n_images, row.floor.seeds) == (10, (0, 1, 2))
    assert row.floor.mean == pytest.approx(0.205, abs=0.01)
    assert not [note for note in row.notes if "fold" in note]
    assert "in 5 folds" in to_markdown(table)
    assert "fcn8s,Dice,10,rd_sd_aug" in to_csv(table)


def test_what_is_to_be_run_names_the_folds(tmp_path):
    write_all(tmp_path, columns=("rd", "rd_aug"), seeds=(0, 1))
    first, second = build_table2(grouped(tmp_path)).rows[0].answers
    assert first.remedy == "run RD+SD+aug (+experiment=rd_sd_aug) with seed=0,1 data.folds=5 data.fold=0,1,2,3,4"
    assert second.remedy.endswith("with seed=0,1 data.folds=5 data.fold=0,1,2,3,4")


def test_pairs_are_of_seed_and_patient_over_folds(tmp_path):
    write_all(tmp_path)
    paired = paired_scores(grouped(tmp_path).runs["fcn8s"], "dice")
    assert paired.folds == tuple(k // 2 for k in range(10))
    expected = [[scores("rd", seed, k // 2)[f"p{k}"] for k in range(10)] for seed in range(3)]
    assert np.allclose(paired.scores["rd"], expected)
    found = paired.difference("rd_aug", "rd")
    assert (found.n_units, found.n_seeds) == (10, 3)
    by_hand = paired_difference(paired.scores["rd_aug"], paired.scores["rd"], None, [k // 2 for k in range(10)])
    assert found == by_hand


def test_a_column_without_all_folds_is_left_out_and_told_until_they_are_there(tmp_path):
    write_all(tmp_path, without=[("rd_aug", 2, 1), ("rd_aug", 2, 3)])
    groups = grouped(tmp_path)
    assert [*groups.runs["fcn8s"]["rd_aug"]] == [0, 1]
    (line,) = groups.left_out
    assert line.startswith(
        "fcn8s, RD+aug, seed 2: 3 runs left out, other folds are missing: rd_aug_seed2_fold0 and 2 more; run data.fold=1,3"
    )
    notes = build_table2(groups).rows[0].notes
    assert any("columns differ in their seeds and are compared on those that both have" in note for note in notes)


def test_some_folds_alone_are_told_to_be_some(tmp_path):
    write_all(tmp_path, folds=(0, 3))
    (row,) = build_table2(grouped(tmp_path)).rows
    assert row.n_images == 4
    assert row.notes[0] == ("folds 0, 3 of 5 alone: the test images of the others are not in it yet (data.fold=1,2,4)")
    assert row.answers[0].word == "cannot tell"
    alone = grouped(tmp_path).runs["fcn8s"]["rd"][0].parts[0]
    assert missing_folds(alone).startswith("fold 0 of 5 alone")


def test_other_partitions_and_the_splits_of_the_data_set_stand_apart(tmp_path):
    write_all(tmp_path, columns=("rd", "rd_aug"))
    write_fold(tmp_path, "rd_sd_aug", 0, 0, scores("rd_sd_aug", 0, 0), folds=3)
    write_run(tmp_path, "plain", "rd_sd", 0)
    groups = grouped(tmp_path)
    assert list(groups.runs["fcn8s"]) == ["rd", "rd_aug"]
    told = " | ".join(groups.left_out)
    assert "(data.folds 3, here 5): rd_sd_aug_seed0_fold0; stage=report data.folds=3 takes them instead" in told
    assert "(data.folds null, here 5): plain; stage=report data.folds=null takes them instead" in told


def test_a_run_stands_beside_those_of_its_own_fold(tmp_path):
    write_all(tmp_path, columns=("rd", "rd_aug"), seeds=(0,))
    runs = collect_runs(tmp_path).runs
    run = next(run for run in runs if run.directory.name == "rd_seed0_fold3")
    assert [other.directory.name for other in runs_beside(run, runs).values()] == ["rd_seed0_fold3", "rd_aug_seed0_fold3"]


def test_keys_of_the_configuration_that_older_runs_lack_divide_nothing(tmp_path):
    from run_records import changed

    write_run(tmp_path, "older", "rd")
    write_run(tmp_path, "newer", "rd_aug", settings=changed(data__folds=None, data__fold=None, data__fold_seed=0))
    assert grouped(tmp_path).left_out == ()


def folded(run, fold, shift):
    """A run as one of a fold, its images and units renamed."""
    rename = lambda name: f"{name}_{fold}"  # noqa: E731
    left = {m: {rename(u): v + shift for u, v in of.items()} for m, of in run.metrics["left_out"].items()}
    metrics = {**run.metrics, "left_out": left, "test/ap50": run.metrics["test/ap50"] + shift}
    rows = {rename(name): row for name, row in run.per_image.items()}
    return replace(run, metrics=metrics, per_image=rows, settings={"data.fold": fold, "data.folds": 2})


def test_pooled_scores_are_those_of_each_fold_by_its_units():
    filed = {
        column: {
            seed: join_folds([folded(make_pooled("dcan", column, seed), fold, 0.1 * fold) for fold in (1, 0)])
            for seed in (0, 1)
        }
        for column in ("rd", "rd_aug")
    }
    run = filed["rd"][0]
    assert is_pooled(run, "ap50")
    assert len(run.left_out("ap50")) == 24
    assert run.whole("ap50") == pytest.approx(np.mean([part.whole("ap50") for part in run.parts]))
    pooled = pooled_scores(filed, "ap50")
    alone = pooled_scores({c: {s: of.parts[1] for s, of in some.items()} for c, some in filed.items()}, "ap50")
    assert np.allclose(pooled.scores["rd"][:, 12:], alone.scores["rd"])
    assert np.allclose(pooled.by_seed("rd"), alone.by_seed("rd") - 0.05)
    assert pooled.folds == (0,) * 12 + (1,) * 12
    assert pooled.n_images == 24
    other = {**filed, "rd_aug": {0: filed["rd_aug"][0].parts[0]}}
    with pytest.raises(ValueError, match="runs of other folds"):
        pooled_scores(other, "ap50")


def test_a_single_run_stays_as_it_is():
    run = make_run("fcn8s", "rd", 0)
    assert join_folds([run]) is run
    assert (run.as_made, run.fold_of, run.fold, missing_folds(run)) == ((run,), {}, None, None)


# --- the interval


def difference(values, folds, groups=None):
    return paired_difference(values, np.zeros_like(values), groups, folds)


def test_what_the_folds_share_widens_the_interval():
    rng = np.random.default_rng(0)
    folds = np.repeat(np.arange(5), 2)
    shared = 0.02 * rng.standard_normal(5)[folds] + 0.001 * rng.standard_normal((3, 10))
    by_fold, by_unit = difference(shared, folds), paired_difference(shared, np.zeros_like(shared))
    assert by_fold.value == pytest.approx(by_unit.value)
    assert by_fold.high - by_fold.low > 1.3 * (by_unit.high - by_unit.low)
    means = np.stack([shared[:, folds == fold].mean(axis=1) for fold in range(5)], axis=1)
    assert (by_fold.high - by_fold.low) / 2 == pytest.approx(MeanSquares.of(means).half(LEVEL))
    assert by_fold.p_value > by_unit.p_value
    assert (by_fold.n_units, by_fold.squares.n_units) == (10, 5)


def test_folds_that_happen_to_agree_narrow_nothing():
    rng = np.random.default_rng(1)
    half = rng.standard_normal(5)
    # Both patients of a fold cancel.
    values = np.stack([half, -half], axis=1).reshape(1, 10) + 0.01 * rng.standard_normal((3, 10))
    folds = np.repeat(np.arange(5), 2)
    assert difference(values, folds) == paired_difference(values, np.zeros_like(values))


def test_folds_of_unequal_size_count_by_their_units_and_groups_once():
    values = np.array([[1.0, 2.0, 3.0, 4.0, 8.0], [1.5, 2.0, 3.0, 4.5, 8.0]])
    folds = [0, 0, 0, 1, 1]
    assert difference(values, folds).value == pytest.approx(values.mean())
    # Two scans of a patient, and p of the interval agree.
    groups = np.array(["a", "a", "b", "c", "d"])
    grouped = difference(values, folds, groups)
    assert grouped.n_units == 4
    assert grouped.value == pytest.approx(np.mean([values[:, :2].mean(), *values[:, 2:].mean(axis=0)]))
    for found in (grouped, difference(values, folds)):
        assert (found.p_value <= LEVEL) == (found.low > 0 or found.high < 0)


def test_one_fold_and_a_fold_for_each_unit_are_no_folds():
    values = np.random.default_rng(2).standard_normal((3, 6))
    plain = paired_difference(values, np.zeros_like(values))
    assert difference(values, [0] * 6) == difference(values, list(range(6))) == plain


# --- another source


def test_external_images_have_a_line_of_their_own_and_no_part_in_any_verdict(tmp_path):
    for column in ("rd", "rd_aug"):
        for seed in (0, 1):
            for fold in range(5):
                changes = {"external": {"e0": 0.3 + 0.1 * seed + 0.01 * fold, "e1": 0.5}} if column == "rd" else {}
                changes = changes or {"external": {"e0": 0.2, "e1": float("nan")}}
                write_fold(tmp_path / "with", column, seed, fold, scores(column, seed, fold), **changes)
                write_fold(tmp_path / "without", column, seed, fold, scores(column, seed, fold))
    table, plain = (build_table2(grouped(tmp_path / name)) for name in ("with", "without"))
    (row,) = table.rows
    # e1 has no score in some runs; e0 was tested by the models of every fold.
    assert (row.external.n_images, row.external.means["rd_aug"]) == (1, pytest.approx(0.2))
    assert row.external.means["rd"] == pytest.approx(0.3 + 0.05 + 0.02)
    assert plain.rows[0].external is None
    assert replace(row, external=None) == plain.rows[0]
    text = to_markdown(table)
    assert "| fcn8s, external, another scanner or source (1 image): Dice | 0.370 | - | 0.200 | - | - |" in text
    assert "- External: images of another scanner or source, tested apart" in text
    assert "xternal" not in to_markdown(plain)
    header, first, *_ = to_csv(table).splitlines()
    assert dict(zip(header.split(","), first.split(","), strict=True))["n_external"] == "1"
    assert "external" not in to_csv(plain)


def test_the_external_score_has_an_interval_over_its_images_and_seeds_each_group_counting_once(tmp_path):
    drawn = np.random.default_rng(3).random((2, 6))
    for seed, values in enumerate(drawn):
        external = {f"e{k}": float(value) for k, value in enumerate(values)}
        write_run(tmp_path, f"rd{seed}", "rd", seed, external=external)
    (row,) = build_table2(grouped(tmp_path)).rows
    alone = paired_difference(drawn, np.zeros_like(drawn))
    assert row.external.means["rd"] == pytest.approx(drawn.mean())
    assert row.external.interval("rd") == pytest.approx((alone.low, alone.high))
    assert row.external.figure("rd") == f"{drawn.mean():.3f} [{alone.low:.3f}, {alone.high:.3f}]"
    assert (row.external.interval("sd"), row.external.figure("sd")) == (None, "-")
    for seed in (0, 1):
        path = tmp_path / f"rd{seed}" / "per_image_external.csv"
        path.write_text(path.read_text().replace("e0,,", "e0,p,").replace("e1,,", "e1,p,"))
    grouped_means = np.column_stack([drawn[:, :2].mean(axis=1), drawn[:, 2:]])
    (row,) = build_table2(grouped(tmp_path)).rows
    alone = paired_difference(grouped_means, np.zeros_like(grouped_means))
    assert row.external.means["rd"] == pytest.approx(grouped_means.mean())
    assert row.external.interval("rd") == pytest.approx((alone.low, alone.high))
    line = dict(zip(*(text.split(",") for text in to_csv(build_table2(grouped(tmp_path))).splitlines()[:2]), strict=True))
    assert (float(line["external_low"]), float(line["external_high"])) == pytest.approx((alone.low, alone.high))
