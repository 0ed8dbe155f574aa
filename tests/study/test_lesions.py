"""Measures of whole scans in tables: means beside what is not defined, over folds too, and lesions by size."""

import csv
import io

import numpy as np
import pytest
from run_records import METRICS, write_fold, write_run

from rbc_lightning.errors import InputError
from rbc_lightning.study.choose import group_runs
from rbc_lightning.study.collect import collect_runs
from rbc_lightning.study.folds import join_folds
from rbc_lightning.study.lesions import check_limits, lesion_lines, size_ranges, sizes_csv
from rbc_lightning.study.run_record import read_metrics, read_run
from rbc_lightning.study.table2 import build_table2
from rbc_lightning.study.table2_text import to_markdown

NAN = float("nan")
TITLES = {"h95": "H95, mm", "h95_worst": "H95 worst", "avd": "AVD, %", "lesion_recall": "recall", "lesion_f1": "F1"}
LOWER = ("h95", "h95_worst", "avd")
ABOUT = METRICS | {name: {"title": title, "higher_is_better": name not in LOWER} for name, title in TITLES.items()}
LESIONS = "sample_id,group,ml,found\ns0,a,0.05,0\ns0,a,0.2,1\ns1,b,2.5,1\ns1,b,0.1,0\n"


def measured(h95):
    scans = [f"s{number}" for number in range(len(h95))]
    values = {name: dict.fromkeys(scans, 0.5) for name in TITLES}
    return values | {
        "h95": dict(zip(scans, h95, strict=True)),
        "h95_worst": dict(zip(scans, np.nan_to_num(h95, nan=99), strict=True)),
    }


def lesion_run(root, name, column, h95, seed=0, **more):
    scans = {f"s{number}": 0.6 for number in range(len(h95))}
    defined = [value for value in h95 if value == value]
    whole = {"test/h95": float(np.mean(defined))} if defined else {}
    write_run(root, name, column, seed, images=scans, by_image=measured(h95), metrics=ABOUT, **whole, **more)
    (root / name / "lesions.csv").write_text(LESIONS)
    return read_run(root / name, read_metrics(root / name))


def test_the_closing_table_tells_what_is_not_defined(tmp_path):
    run = lesion_run(tmp_path, "a", "rd", [4.0, NAN, 6.0])
    assert run.undefined("h95") == 1
    scans, sizes = lesion_lines(run, (0.1, 1.0))
    assert "H95, mm 5.000 (1 of 3 not defined)" in scans
    assert sizes == "true lesions found: below 0.1 ml 0 of 1, 0.1 to 1 ml 1 of 2, from 1 ml 1 of 1"
    none = lesion_run(tmp_path, "b", "rd", [NAN, NAN], ignored=["rim"])
    first = next(lesion_lines(none))
    assert "H95, mm - (2 of 2 not defined)" in first
    assert "predictions under rim not counted" in first


def test_a_table_compares_columns_on_the_scans_that_all_have(tmp_path):
    for seed in (0, 1):
        lesion_run(tmp_path, f"rd{seed}", "rd", [4.0, NAN, 6.0], seed)
        lesion_run(tmp_path, f"aug{seed}", "rd_aug", [3.0, 1.0, 4.0], seed)
    table = build_table2(group_runs(collect_runs(tmp_path).runs, "smears"))
    h95 = next(m for m in table.lesions if m.name == "h95")
    assert h95.means == {"rd": pytest.approx(5.0), "rd_aug": pytest.approx(3.5)}
    assert (h95.undefined, h95.n_scored, h95.left_out) == ({"rd": 2, "rd_aug": 0}, {"rd": 6, "rd_aug": 6}, 1)
    text = to_markdown(table)
    assert "| fcn8s, H95, mm | 5.000 ± 0.000 (2 of 6 not defined) | - | 3.500 ± 0.000 |" in text
    assert "1 test scans are in no mean of H95, mm" in text
    # Two seeds of two columns, 4 lesions each.
    assert "| fcn8s, 0.1 to 0.3 ml | 50 % (2 of 4) | - | 50 % (2 of 4) |" in text
    lines = list(csv.DictReader(io.StringIO(sizes_csv(table.sizes, "mri"))))
    assert lines[-1]["to_ml"] == ""
    assert sum(int(line["n_true"]) for line in lines) == 16
    of_h95 = build_table2(group_runs(collect_runs(tmp_path).runs, "smears"), "h95").rows[0]
    assert not of_h95.higher_is_better
    assert any("1 test images are left out" in note or "1 test scans are left out" in note for note in of_h95.notes)


def test_a_run_without_a_record_of_lesions_has_no_ranges(tmp_path):
    run = lesion_run(tmp_path, "a", "rd", [4.0])
    (tmp_path / "a" / "lesions.csv").unlink()
    assert size_ranges("fcn8s", {"rd": {0: run}}) == []


def test_folds_join_means_of_what_is_defined_and_sums_of_what_is_not(tmp_path):
    """One fold has two scans of which one is defined, the next none, the last two."""
    for fold, values in enumerate(([2.0, NAN], [NAN], [5.0, 8.0])):
        scans = {f"s{fold}{k}": 0.5 for k in range(len(values))}
        by_image = {"h95": dict(zip(scans, values, strict=True))}
        defined = [value for value in values if value == value]
        whole = {"test/h95": float(np.mean(defined))} if defined else {}
        counted = {"test/undefined_h95": len(values) - len(defined)}
        write_fold(tmp_path, "rd", 0, fold, scans, by_image=by_image, **whole, **counted)
    joined = join_folds(collect_runs(tmp_path).runs)
    assert joined.whole("h95") == pytest.approx(5.0)
    assert joined.whole("undefined_h95") == joined.undefined("h95") == 2


@pytest.mark.parametrize("limits", [None, [], [1, 0.5], [0, 1], ["a"], 3, [1, 1]])
def test_limits_that_are_no_ascending_numbers_are_refused(limits):
    with pytest.raises(InputError, match="expected ascending numbers of ml above 0"):
        check_limits(limits)


def test_of_several_classes_dice_is_that_of_the_lesions(tmp_path):
    scans = ("s0", "s1")
    dice = {"dice_lesion": dict.fromkeys(scans, 0.4), "dice_rim": dict.fromkeys(scans, 0.1)}
    write_run(tmp_path, "a", "rd", images=dict.fromkeys(scans, 0.9), by_image=measured([1.0, 2.0]) | dice, metrics=ABOUT)
    table = build_table2(group_runs(collect_runs(tmp_path).runs, "smears"))
    assert {m.name: m.means["rd"] for m in table.lesions if "dice" in m.name} == {"dice_lesion": 0.4}
