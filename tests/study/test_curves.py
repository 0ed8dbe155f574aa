import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from run_records import changed, write_run

from rbc_lightning.study.collect import collect_runs
from rbc_lightning.study.curves import gain_curves, to_csv
from rbc_lightning.study.statistics import paired_difference


def write_point(root, column, seed, images, *, synthetic, augmented, ratio=True):
    mix = {"real": 10, "synthetic": synthetic, "augmented": augmented}
    name = f"{column}_{synthetic}_{seed}"
    write_run(root, name, column, seed, images=images, mix=mix, ratio=[10, synthetic, augmented] if ratio else None)


def test_a_gain_is_the_paired_difference_with_the_mix_without_synthetic_samples(tmp_path):
    reference = [{"x": 0.90, "y": 0.80, "z": 0.70}, {"x": 0.92, "y": 0.80, "z": 0.72}]
    half = [{"z": 0.75, "x": 0.91, "y": 0.84}, {"x": 0.95, "y": 0.82, "z": 0.75}]
    for seed in (0, 1):
        write_point(tmp_path, "rd_aug", seed, reference[seed], synthetic=0, augmented=10)
        write_point(tmp_path, "rd_sd_aug", seed, half[seed], synthetic=5, augmented=5)
    (curve,) = gain_curves("ratio", collect_runs(tmp_path).runs, "smears")
    assert (curve.sweep, curve.data, curve.model, curve.score, curve.n_images) == ("ratio", "smears", "fcn8s", "Dice", 3)
    start, middle = curve.points
    assert (start.x, middle.x) == (0.0, 0.25)
    assert start.gains == {}
    # Means of the seeds: 0.8 and 0.81333; 0.83333 and 0.84.
    assert start.entries["rd_aug"].mean == pytest.approx((0.8 + 2.44 / 3) / 2)
    assert middle.entries["rd_sd_aug"].spread == pytest.approx((0.84 - 2.5 / 3) / np.sqrt(2))
    ((pair, gain),) = middle.gains.items()
    assert (pair, gain.n_seeds) == (("rd_sd_aug", "rd_aug"), 2)
    assert gain.value == pytest.approx((5.02 - 4.84) / 6)
    one, other = ([[seed[name] for name in "xyz"] for seed in scores] for scores in (half, reference))
    assert gain == paired_difference(one, other)


def test_with_one_seed_the_interval_does_not_tell_of_seeds(tmp_path):
    write_point(tmp_path, "rd_aug", 0, {"x": 0.9, "y": 0.8}, synthetic=0, augmented=10)
    write_point(tmp_path, "rd_sd", 0, {"x": 0.8, "y": 0.6}, synthetic=10, augmented=0)
    (curve,) = gain_curves("ratio", collect_runs(tmp_path).runs, "smears")
    (gain,) = curve.points[1].gains.values()
    assert gain.value == pytest.approx(-0.15)
    assert gain.n_seeds == 1
    assert curve.points[1].entries["rd_sd"].spread is None


def test_without_its_reference_a_ratio_has_means_and_no_gains(tmp_path):
    write_point(tmp_path, "rd_sd", 0, {"x": 0.8, "y": 0.6}, synthetic=10, augmented=0)
    (curve,) = gain_curves("ratio", collect_runs(tmp_path).runs, "smears")
    assert [point.gains for point in curve.points] == [{}]
    assert curve.notes == ("no gains: the mix without synthetic samples was not run",)
    assert gain_curves("ratio", [], "smears") == ()


def write_count(root, count, column, value, seed=0, **facts):
    images = {"x": value, "y": value - 0.1, "z": value - 0.3}
    mix = {"real": count or 48, "synthetic": 2 * ("sd" in column), "augmented": 2 * ("aug" in column)}
    settings = changed(data__n_real_images=count)
    write_run(
        root,
        f"{column}{count}_{seed}",
        column,
        seed,
        images=images,
        mix=mix,
        settings=settings,
        data_hash=f"{count}{seed}",
        **facts,
    )


def test_at_each_number_of_real_images_the_columns_are_compared_with_each_other(tmp_path):
    values = {5: {"rd": 0.70, "rd_aug": 0.74, "rd_sd_aug": 0.79}, None: {"rd": 0.9, "rd_aug": 0.92, "rd_sd_aug": 0.91}}
    for count, columns in values.items():
        for column, value in columns.items():
            write_count(tmp_path, count, column, value)
    (curve,) = gain_curves("real_images", collect_runs(tmp_path).runs, "smears")
    assert (curve.everything, [point.x for point in curve.points]) == (48, [5, 48])
    for point, columns in zip(curve.points, values.values(), strict=True):
        means = {column: score.mean for column, score in point.entries.items()}
        assert means == pytest.approx({column: value - 0.4 / 3 for column, value in columns.items()})
    found = [{against: gain.value for (_, against), gain in point.gains.items()} for point in curve.points]
    assert found[0] == pytest.approx({"rd_aug": 0.05, "rd": 0.09})
    assert found[1] == pytest.approx({"rd_aug": -0.01, "rd": 0.01})


def test_validation_images_are_counted_on_the_axis_since_they_are_annotated_too(tmp_path):
    for count in (5, None):
        for seed, n_val in ((0, 11), (1, 13)):
            write_count(tmp_path, count, "rd", 0.8, seed, n_val=n_val)
            write_count(tmp_path, count, "rd_sd_aug", 0.85, seed, n_val=n_val)
    (curve,) = gain_curves("real_images", collect_runs(tmp_path).runs, "smears")
    assert (curve.everything, [point.x for point in curve.points]) == (60, [17, 60])
    assert [set(point.gains) for point in curve.points] == [{("rd_sd_aug", "rd")}] * 2
    assert "real images count the 12 of validation, which weights are chosen on, beside those trained on" in curve.notes


def test_patients_are_counted_with_those_of_validation(tmp_path):
    for count in (2, None):
        for column, value in (("rd_aug", 0.7), ("rd_sd_aug", 0.75)):
            settings, groups = changed(data__n_real_patients=count), {"train": count or 6, "val": 1}
            images = {"x": value, "y": value - 0.1}
            write_run(tmp_path, f"{column}{count}", column, images=images, settings=settings, groups=groups)
    (curve,) = gain_curves("real_patients", collect_runs(tmp_path).runs, "smears")
    assert (curve.everything, [point.x for point in curve.points]) == (7, [3, 7])
    assert curve.points[0].gains["rd_sd_aug", "rd_aug"].value == pytest.approx(0.05)
    assert "patients count the 1 of validation, which weights are chosen on, beside those trained on" in curve.notes
    assert "3 patients: RD not run" in curve.notes


@pytest.mark.parametrize("facts", [{}, {"n_val": 0}])
def test_without_validation_only_what_is_trained_on_counts(tmp_path, facts):
    write_count(tmp_path, 5, "rd", 0.8, **facts)
    (curve,) = gain_curves("real_images", collect_runs(tmp_path).runs, "smears")
    assert [point.x for point in curve.points] == [5]
    assert not any("validation" in note for note in curve.notes)


def test_what_was_not_run_or_has_no_score_is_told(tmp_path):
    write_count(tmp_path, 5, "rd", 0.7)
    write_count(tmp_path, 5, "rd_sd_aug", float("nan"))
    (curve,) = gain_curves("real_images", collect_runs(tmp_path).runs, "smears")
    assert curve.points == ()
    assert "no test image with a finite dice" in curve.notes[0]
    write_count(tmp_path, 10, "rd", 0.7)
    runs = [run for run in collect_runs(tmp_path).runs if run.column == "rd"]
    runs[0] = replace(runs[0], per_image={**runs[0].per_image, "x": {"dice": float("nan"), "n_true": 7.0}})
    (curve,) = gain_curves("real_images", runs, "smears")
    assert curve.n_images == 2
    assert curve.notes[0] == "5 real images: RD+SD+aug, RD+aug not run"
    assert curve.notes[2] == "1 test images are left out: without a finite Dice in some run"


def test_the_csv_holds_unrounded_numbers_of_both_sweeps(tmp_path):
    for seed in (0, 1):
        write_point(tmp_path, "rd_aug", seed, {"x": 0.9, "y": 0.8 + seed / 7}, synthetic=0, augmented=20)
        write_point(tmp_path, "rd_sd", seed, {"x": 0.8, "y": 0.6}, synthetic=20, augmented=0)
    write_count(tmp_path, 5, "rd_sd_aug", 0.9)
    write_count(tmp_path, 5, "rd", 0.8)
    runs = collect_runs(tmp_path).runs
    curves = (*gain_curves("ratio", runs, "smears"), *gain_curves("real_images", runs, "smears"))
    rows = list(csv.DictReader(io.StringIO(to_csv(curves))))
    assert [(row["sweep"], float(row["x"]), row["column"]) for row in rows] == [
        ("ratio", 0.0, "rd_aug"),
        ("ratio", 2 / 3, "rd_sd"),
        ("real_images", 5.0, "rd"),
        ("real_images", 5.0, "rd_sd_aug"),
    ]
    difference = curves[0].points[1].gains["rd_sd", "rd_aug"]
    told = [float(rows[1][f"{name}_against_rd_aug"]) for name in ("gain", "low", "high")]
    assert told == [difference.value, difference.low, difference.high]
    assert rows[1]["tells_of_seeds_against_rd_aug"] == "True"
    assert float(rows[0]["mean"]) == curves[0].points[0].entries["rd_aug"].mean
    assert (rows[0]["gain_against_rd_aug"], rows[3]["gain_against_rd_aug"], rows[3]["spread"]) == ("", "", "")
    assert float(rows[3]["gain_against_rd"]) == pytest.approx(0.1)
    assert rows[3]["tells_of_seeds_against_rd"] == "False"
    assert to_csv([]).startswith("sweep,data,model,score,n_images,x,column,")


def test_any_score_that_the_runs_have_can_be_compared(tmp_path):
    errors = {("rd_aug", 0): 0.4, ("rd_sd_aug", 5): 0.1}
    for (column, synthetic), error in errors.items():
        mix = {"real": 10, "synthetic": synthetic, "augmented": 10 - synthetic}
        by_image = {"count_error": {"x": error, "y": error + 0.1}}
        write_run(tmp_path, column, column, mix=mix, ratio=[1], by_image=by_image)
    runs = collect_runs(tmp_path).runs
    (curve,) = gain_curves("ratio", runs, "smears", score="count_error")
    assert (curve.score, curve.higher_is_better) == ("Counting error", False)
    assert curve.points[1].gains["rd_sd_aug", "rd_aug"].value == pytest.approx(-0.3)
    (absent,) = gain_curves("ratio", runs, "smears", score="aji")
    assert (absent.points, absent.score) == ((), "AJI")
    assert "no test image with a finite aji" in absent.notes[0]


def test_runs_of_different_versions_are_noted(tmp_path):
    for seed, version in ((0, "1.0"), (1, "2.0")):
        mix = {"real": 10, "synthetic": 0, "augmented": 10}
        write_run(tmp_path, version, "rd_aug", seed, mix=mix, ratio=[1], version=version)
    (curve,) = gain_curves("ratio", collect_runs(tmp_path).runs, "smears")
    assert "made by different versions: 1.0 (1.0); 2.0 (2.0)" in curve.notes
