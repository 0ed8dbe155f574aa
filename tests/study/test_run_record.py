import csv
import math

import pytest
from run_records import METRICS, SETTINGS, changed, write_run

from rbc_lightning import __version__
from rbc_lightning.errors import InputError
from rbc_lightning.study.collect import collect_runs
from rbc_lightning.study.run_record import check_tested, flat, is_older, machine, read_metrics, read_run


def read(root, name="a"):
    return read_run(root / name, read_metrics(root / name))


def test_a_run_holds_its_scores_and_its_flat_settings(tmp_path):
    write_run(tmp_path, "a", "rd_aug", 3, settings=changed(model__task__learning_rate=0.1))
    run = read(tmp_path)
    assert (run.model, run.data, run.column, run.seed, run.score) == ("fcn8s", "smears", "rd_aug", 3, "dice")
    assert run.per_image == {"x": {"dice": 0.9, "n_true": 7}, "y": {"dice": 0.8, "n_true": 7}}
    assert run.settings["data.validation_fraction"] == 0.2
    assert run.settings["model.task.learning_rate"] == 0.1


def test_titles_and_directions_are_those_that_the_run_recorded(tmp_path):
    write_run(tmp_path, "a", "rd", by_image={"aji": {"x": 0.5, "y": float("nan")}})
    run = read(tmp_path)
    assert [run.title(name) for name in ("dice", "count_error", "unheard_of")] == ["Dice", "Counting error", "unheard_of"]
    assert [run.higher_is_better(name) for name in ("dice", "count_error", "unheard_of")] == [True, False, True]
    # A score that is no number is one that was asked for.
    assert [run.has(name) for name in ("dice", "aji", "count_error")] == [True, True, False]
    write_run(tmp_path, "b", "rd", metrics={**METRICS, "dice": {"title": "F1"}})
    assert read(tmp_path, "b").title("dice") == "F1"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mix": {"real": 4}}, "lacks mix.synthetic, mix.augmented"),
        ({"identity": {"base": "b"}}, "lacks identity.augmented, identity.synthetic"),
        ({"recipe": {"base": {}}}, "lacks recipe.augmented, recipe.synthetic"),
        ({"seed": None}, "lacks a seed"),
        ({"headline": "test/iou"}, "lacks test/iou"),
        ({"headline": "test/iou", "test/iou": 0.5}, "has no iou for each test image"),
    ],
)
def test_a_record_without_what_a_table_asks_for_is_refused(tmp_path, change, message):
    write_run(tmp_path, "a", "rd")
    with pytest.raises(ValueError, match=message):
        read_run(tmp_path / "a", {**read_metrics(tmp_path / "a"), **change})


def test_a_damaged_record_is_refused_with_the_way_out(tmp_path):
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(InputError, match=r"metrics\.json: damaged .* the same command writes it again"):
        read_metrics(tmp_path)


def test_only_todays_layout_is_no_older_one():
    assert not is_older({"layout": 2})
    assert is_older({})
    assert is_older({"layout": 1})


def test_nested_settings_become_dotted_names():
    assert dict(flat({"a": {"b": 1, "c": {"d": [2]}}, "e": {}})) == {"a.b": 1, "a.c.d": [2], "e": {}}


def test_other_data_than_a_run_was_tested_on_are_refused(tmp_path):
    write_run(tmp_path, "a", "rd", 1)
    (run,) = collect_runs(tmp_path).runs
    check_tested(run, "/data", ["y", "x"], "d1")
    with pytest.raises(InputError, match=r"/data has other test images than a was tested on \(1 of 2 are there\)"):
        check_tested(run, "/data", ["x", "z"], "d1")
    with pytest.raises(InputError, match="/data has changed since a was tested on it"):
        check_tested(run, "/data", ["x", "y"], "d2")


def test_the_machine_is_told_by_hardware_and_versions():
    found = machine()
    assert found["rbc_lightning"] == __version__
    assert all(found.values())


def test_the_made_up_records_have_a_row_for_each_image(tmp_path):
    write_run(tmp_path, "a", "rd", images={"p": 0.1, "q": 0.2, "r": 0.3}, by_image={"aji": dict.fromkeys("pqr", 0.5)})
    with (tmp_path / "a" / "per_image.csv").open() as handle:
        assert [(row["sample_id"], row["dice"], row["aji"]) for row in csv.DictReader(handle)][1] == ("q", "0.2", "0.5")


def test_the_agreement_of_two_annotations_is_read_where_it_was_recorded(tmp_path):
    write_run(tmp_path, "a", "rd", agreement={"x": 0.97})
    write_run(tmp_path, "b", "rd")
    found = {name: read_run(tmp_path / name, read_metrics(tmp_path / name)) for name in "ab"}
    assert found["a"].agreement == {"x": {"dice": 0.97}}
    assert found["b"].agreement == {}


def test_scores_over_all_images_but_those_of_a_unit_are_read_from_the_record(tmp_path):
    write_run(tmp_path, "a", "rd", left_out={"ap50": {"patient 1": 0.8, "image y": None}}, **{"test/ap50": 0.9})
    run = read_run(tmp_path / "a", read_metrics(tmp_path / "a"))
    assert run.left_out("ap50") == {"patient 1": 0.8, "image y": pytest.approx(math.nan, nan_ok=True)}
    assert run.left_out("dice") == {}
    assert (run.whole("ap50"), math.isnan(run.whole("pq"))) == (0.9, True)


@pytest.mark.parametrize(
    ("column", "pairs", "generator"),
    [
        ("rd", {}, None),
        ("rd_sd", {}, "pix2pixhd"),
        ("rd_sd", {"_target_": "rbc_lightning.pairs.translated.TranslatedPairs"}, "pix2pixhd"),
        ("rd_sd", {"_target_": "rbc_lightning.pairs.gan.recipe.GanPairs", "name": "wgan_gp"}, "wgan_gp"),
        ("rd_sd", {"_target_": "rbc_lightning.pairs.lesion_paste.LesionPastePairs"}, "lesion_paste"),
    ],
)
def test_what_made_the_synthetic_samples_has_a_name(tmp_path, column, pairs, generator):
    write_run(tmp_path, "a", column, settings={**SETTINGS, "pairs": pairs})
    assert read(tmp_path).generator == generator
