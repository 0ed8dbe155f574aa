"""Runs of other targets beside those of a table: what the look-alike of lesions as a class gains."""

import numpy as np
import pytest
from run_records import METRICS, RECIPE, SETTINGS, changed, write_run

from rbc_lightning.study.alike import alike_rows
from rbc_lightning.study.choose import group_runs
from rbc_lightning.study.collect import collect_runs
from rbc_lightning.study.table2 import build_table2
from rbc_lightning.study.table2_text import to_markdown

SCANS = [f"s{number}" for number in range(8)]
ABOUT = METRICS | {"dice_lesion": {"title": "Dice of lesion", "higher_is_better": True}}


def write(root, name, column, seed, gain=0.0, classes=("lesion",), translator="a", recipe=RECIPE):
    rng = np.random.default_rng([seed, len(name)])
    lesions = dict(zip(SCANS, 0.4 + gain + 0.02 * np.arange(8) + 0.001 * rng.standard_normal(8), strict=True))
    scores = {f"dice_{each}": lesions for each in classes} | {"nothing_mean_dice": dict.fromkeys(SCANS, 0.0)}
    targets = {"targets": list(classes)} if len(classes) > 1 else {}
    settings = changed(SETTINGS | {"data": SETTINGS["data"] | targets}, translator__name=translator)
    recipe = changed(recipe, synthetic__translator__name=translator)
    about = {"metrics": ABOUT, "data_hash": f"d{seed}{classes}", "images": lesions, "by_image": scores}
    write_run(root, f"{name}_{seed}", column, seed, settings=settings, recipe=recipe, **about)


def rows(root):
    runs = collect_runs(root).runs
    of_lesions = [run for run in runs if run.settings.get("data.targets") is None]
    return list(alike_rows(group_runs(of_lesions, "smears"), runs))


def test_the_same_column_with_other_targets_is_compared_by_the_lesions(tmp_path):
    for seed in (0, 1, 2):
        write(tmp_path, "rd", "rd", seed)
        write(tmp_path, "aug", "rd_aug", seed)
        write(tmp_path, "alike", "rd", seed, gain=0.1, classes=("lesion", "rim"))
    (row,) = rows(tmp_path)
    assert (row.row, row.targets, row.title, set(row.comparisons)) == ("fcn8s", "[lesion,rim]", "Dice of lesion", {"rd"})
    found = row.comparisons["rd"]
    assert found.difference.value == pytest.approx(0.1, abs=0.002)
    assert (found.word, found.p_holm) == ("helps", None)
    runs = collect_runs(tmp_path).runs
    text = to_markdown(build_table2(group_runs(runs, "smears"), others=runs))
    (line,) = (line for line in text.splitlines() if line.startswith("| fcn8s, RD, Dice of lesion | [lesion,rim] | +0."))
    assert line.endswith("‡ | helps |")


def test_of_several_generators_what_they_share_is_told_once(tmp_path):
    for classes, name in ((("lesion",), ""), (("lesion", "rim"), "alike_")):
        write(tmp_path, f"{name}rd", "rd", 0, classes=classes)
        for generator in ("a", "b"):
            write(tmp_path, f"{name}sd_{generator}", "rd_sd", 0, classes=classes, translator=generator)
    assert [(row.row, set(row.comparisons)) for row in rows(tmp_path)] == [
        ("fcn8s", {"rd"}),
        ("fcn8s, a", {"rd_sd"}),
        ("fcn8s, b", {"rd_sd"}),
    ]


def test_runs_that_differ_in_more_than_their_targets_are_not_compared(tmp_path):
    write(tmp_path, "rd", "rd", 0)
    write(tmp_path, "short", "rd", 0, classes=("lesion", "rim"), recipe=changed(RECIPE, base__training__steps=300))
    assert rows(tmp_path) == []
