"""Runs on data of classes: their measures beside the answer "background", and S2's table."""

import csv
import io

import pytest
from run_records import METRICS, make_groups, write_fold, write_run

from rbc_lightning.study.choose import group_runs
from rbc_lightning.study.classes import EVERYWHERE, class_measures, class_names, of_scans, to_csv
from rbc_lightning.study.collect import collect_runs
from rbc_lightning.study.table2 import build_table2
from rbc_lightning.study.table2_text import to_latex, to_markdown

MEANS = ("accuracy", "mean_iou", "mean_iou_background", "mean_dice", "mean_dice_background")
TITLES = {
    "accuracy": "accuracy",
    "mean_iou": "mean IoU",
    "mean_iou_background": "mean IoU with background",
    "mean_dice": "mean Dice",
    "mean_dice_background": "mean Dice with background",
    "dice_lesion": "Dice of lesion",
    "dice_ventricle": "Dice of ventricle",
}
ABOUT = {**METRICS, **{name: {"title": title, "higher_is_better": True} for name, title in TITLES.items()}}
NOTHING = {"accuracy": 0.99, "mean_iou": 0.0, "mean_iou_background": 0.33, "mean_dice": 0.0, "mean_dice_background": 0.332}


def class_run(root, column, seed, fold, gain):
    """A run on two patients of a fold, a scan each."""
    scans = {f"scan_{2 * fold + k}": 0.6 + 0.01 * k + gain + 0.002 * seed for k in range(2)}
    by_image = {name: {scan: value - 0.1 for scan, value in scans.items()} for name in TITLES if name != "mean_dice"}
    by_image |= {f"nothing_{name}": dict.fromkeys(scans, value) for name, value in NOTHING.items()}
    write_fold(root, column, seed, fold, scans, headline="test/mean_dice", by_image=by_image, metrics=ABOUT)


@pytest.fixture
def table(tmp_path):
    for column, gain in (("rd", 0.0), ("rd_aug", 0.1), ("without_training", -0.3)):
        for seed in (0, 1):
            for fold in range(5):
                class_run(tmp_path, column, seed, fold, gain)
    return build_table2(group_runs(collect_runs(tmp_path).runs, "smears"))


def test_each_measure_stands_beside_the_answer_background_on_the_same_scans(table):
    assert [m.name for m in table.classes] == [*MEANS, "dice_lesion", "dice_ventricle"]
    by_name = {m.name: m for m in table.classes}
    assert by_name["mean_dice"].means == {"rd": pytest.approx(0.606), "rd_aug": pytest.approx(0.706)}
    assert by_name["mean_dice"].nothing == 0
    assert by_name["accuracy"].nothing == pytest.approx(0.99)
    assert by_name["dice_lesion"].nothing is None
    assert class_names(table.classes) == ("lesion", "ventricle")
    text = to_markdown(table)
    assert f"|  | {EVERYWHERE} | RD | SD | RD+aug |" in text
    assert "| fcn8s, mean IoU with background | 0.330 | 0.506 ± 0.001 | - | 0.606 ± 0.001 |" in text
    assert f"| fcn8s, {EVERYWHERE}: mean Dice 0.000 |" in text
    assert EVERYWHERE in to_latex(table)
    lines = list(csv.DictReader(io.StringIO(to_csv(table.classes, "mri"))))
    assert len(lines) == 14
    assert lines[0]["background_everywhere"] == "0.99"


def test_the_papers_table_stands_beside_with_its_reservations(table):
    text = to_markdown(table)
    assert "**Novoselov and Smirnov 2024, Table 1 (another data set, BraTS 2020: not comparable)**" in text
    assert "| Dice | 0.27 | 0.25 | 0.25 | 0.71 | 0.60 | 0.66 |" in text
    assert "confounded" in text
    assert "Their column without fits a network that answers background everywhere" in text


def test_rows_are_scans_and_patients_in_every_text(table):
    text = to_markdown(table)
    assert "10 test scans, in 5 folds" in text
    assert "test image" not in text
    assert "scans or patients" in text
    (row,) = table.rows
    assert "images" not in " ".join((*row.told, *row.notes, row.units))
    assert of_scans("or source (2 images)") == "or source (2 scans)"
    assert of_scans("5 groups of test images of 9 test images") == "5 patients of 9 test scans"


def test_data_of_cells_have_none_of_it(tmp_path):
    for column in ("rd", "rd_aug"):
        write_run(tmp_path, column, column)
    table = build_table2(group_runs(collect_runs(tmp_path).runs, "smears"))
    assert table.classes == ()
    assert table.rows[0].nothing is None
    assert "Novoselov" not in to_markdown(table)
    assert list(class_measures("fcn8s", make_groups().runs["fcn8s"])) == []


def test_of_one_class_its_own_dice_is_shown_once(tmp_path):
    scans = {"a": 0.5, "b": 0.6}
    by_image = {f"nothing_{name}": dict.fromkeys(scans, value) for name, value in NOTHING.items()}
    write_run(
        tmp_path, "one", "rd", images=scans, by_image=by_image | {"mean_dice": scans, "dice_lesion": scans}, metrics=ABOUT
    )
    table = build_table2(group_runs(collect_runs(tmp_path).runs, "smears"))
    text = to_markdown(table)
    assert "| fcn8s, mean Dice | 0.000 | 0.550 |" in text
    assert "Dice of lesion" not in text
    assert "- There is one class, lesion: means over classes are its own scores" in text
    # The numbers are in the CSV, and the page knows the class by its name.
    assert "dice_lesion" in to_csv(table.classes, "mri")
    assert class_names(table.classes) == ("lesion",)


def test_of_one_class_the_headline_is_dice_and_nothing_is_that_of_its_mean(tmp_path):
    scans = {"a": 0.5, "b": 0.6}
    by_image = {f"nothing_{name}": dict.fromkeys(scans, value) for name, value in NOTHING.items()}
    write_run(tmp_path, "one", "rd", images=scans, by_image=by_image)
    (row,) = build_table2(group_runs(collect_runs(tmp_path).runs, "smears")).rows
    assert (row.metric, row.nothing) == ("dice", 0.0)
