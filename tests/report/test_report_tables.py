import io
import json
import os

import pytest
from rich.console import Console

from rbc_lightning.report.tables import COLUMNS, CONTROLS, outcome_table, siblings

IDENTITY = {"base": "b1", "augment": "a1", "synthetic": "s1"}
BASE = {"data": "phantom", "data_hash": "d1", "model": "fcn8s", "seed": 0, "identity": IDENTITY}


def write_run(root, name, **metrics):
    (root / name).mkdir()
    (root / name / "metrics.json").write_text(json.dumps({**BASE, **metrics}))


def text_of(table):
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_only_runs_that_differ_in_the_column_alone_stand_beside(tmp_path):
    write_run(tmp_path, "a", column="rd", **{"test/dice": 0.9})
    write_run(tmp_path, "b", column="sd", seed=1, **{"test/dice": 0.1})
    write_run(tmp_path, "c", column="sd", data_hash="other", **{"test/dice": 0.2})
    write_run(tmp_path, "d", column="sd", identity=IDENTITY | {"base": "b2"}, **{"test/dice": 0.3})
    write_run(tmp_path, "f", column="sd", identity=IDENTITY | {"synthetic": "another GAN"}, **{"test/dice": 0.5})
    write_run(tmp_path, "g", column="rd_sd", identity=IDENTITY | {"augment": None}, **{"test/dice": 0.6})
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "metrics.json").write_text("{")
    write_run(tmp_path, "e", column="sd", model="unet", **{"test/dice": 0.4})
    assert {column: run["test/dice"] for column, run in siblings(BASE, tmp_path).items()} == {"rd": 0.9, "rd_sd": 0.6}


def test_the_table_shows_this_run_its_siblings_and_the_paper_as_another_data_set(tmp_path):
    write_run(tmp_path, "a", column="rd", **{"test/dice": 0.91234})
    text = text_of(outcome_table({**BASE, "column": "rd_sd_aug", "test/dice": 0.9876}, tmp_path))
    for title in COLUMNS.values():
        assert title in text
    assert "0.912" in text
    assert "0.988" in text
    assert "another data set: not comparable" in text
    for figure in ("0.961", "0.848", "0.962", "0.948", "0.964"):
        assert figure in text


def test_a_mix_outside_the_five_columns_is_told_apart(tmp_path):
    text = text_of(outcome_table({**BASE, "column": "other", "test/dice": 0.5}, tmp_path))
    assert "0.5000, on a mix that is none of the five columns" in text


def test_a_model_the_paper_does_not_have_gets_no_row_of_its_figures(tmp_path):
    text = text_of(outcome_table({**BASE, "model": "unet", "column": "rd", "test/dice": 0.5}, tmp_path))
    assert "Bailo" not in text
    assert "0.500" in text


@pytest.mark.parametrize("column", COLUMNS)
def test_the_column_of_this_run_wins_over_an_older_sibling(tmp_path, column):
    write_run(tmp_path, "a", column=column, **{"test/dice": 0.111})
    text = text_of(outcome_table({**BASE, "column": column, "test/dice": 0.777}, tmp_path))
    assert "0.777" in text
    assert "0.111" not in text


def test_beside_a_run_on_real_images_stands_one_translator(tmp_path):
    for time, (name, column, gan) in enumerate([("a", "rd_sd", "old"), ("b", "sd", "old"), ("c", "rd_sd", "new")], start=1):
        write_run(
            tmp_path, name, column=column, identity={"base": "b1", "augment": None, "synthetic": gan}, **{"test/dice": 0.5}
        )
        os.utime(tmp_path / name / "metrics.json", (time, time))
    own = {**BASE, "column": "rd", "identity": {"base": "b1", "augment": None, "synthetic": None}}
    found = siblings(own, tmp_path)
    assert {column: run["identity"]["synthetic"] for column, run in found.items()} == {"rd_sd": "new"}


def test_mixes_by_ratio_and_plain_ones_do_not_stand_beside_each_other(tmp_path):
    write_run(tmp_path, "a", column="rd_sd", ratio=[4, 36, 0], **{"test/dice": 0.5})
    write_run(tmp_path, "b", column="rd_aug", ratio=None, **{"test/dice": 0.6})
    assert list(siblings({**BASE, "column": "rd"}, tmp_path)) == ["rd_aug"]
    assert list(siblings({**BASE, "column": "rd_sd_aug", "ratio": [4, 18, 18]}, tmp_path)) == ["rd_sd"]


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe"])
def test_a_damaged_record_is_no_finished_run(tmp_path, content):
    write_run(tmp_path, "a", column="rd", **{"test/dice": 0.9})
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "metrics.json").write_bytes(content)
    assert list(siblings({**BASE, "column": "rd_aug"}, tmp_path)) == ["rd"]


def test_runs_that_are_left_out_are_counted(tmp_path):
    write_run(tmp_path, "a", column="rd", **{"test/dice": 0.9})
    write_run(tmp_path, "b", column="rd", seed=1, **{"test/dice": 0.8})
    write_run(tmp_path, "c", column="rd", data="elsewhere", **{"test/dice": 0.8})
    own = {**BASE, "column": "rd", "test/dice": 0.9, "n_test": 20, "steps": 600}
    text = text_of(outcome_table(own, tmp_path))
    assert "1 finished runs on this data with other settings or seeds are not shown" in text
    assert "20 test images, 600 steps, one seed (0)" in text


def test_figures_of_weights_chosen_on_test_are_marked(tmp_path):
    own = {**BASE, "column": "rd", "test/dice": 0.9}
    marked = " ".join(text_of(outcome_table({**own, "optimistic": True}, tmp_path)).split())
    assert "optimistic: weights chosen on the test split" in marked
    assert "optimistic" not in text_of(outcome_table({**own, "optimistic": False}, tmp_path))


def test_the_headline_of_a_run_is_what_its_weights_were_chosen_by(tmp_path):
    own = {**BASE, "model": "dcan", "column": "rd", "test/dice": 0.9, "test/ap50": 0.7123, "headline": "test/ap50"}
    text = text_of(outcome_table(own, tmp_path))
    assert "test/ap50 of dcan" in text
    assert "0.712" in text
    assert "0.853" in text  # the paper's DCAN


@pytest.mark.parametrize("column", ["rd_large", "sd_large"])
def test_a_size_control_is_named(tmp_path, column):
    text = text_of(outcome_table({**BASE, "column": column, "test/dice": 0.5}, tmp_path))
    assert f"{CONTROLS[column]}: 0.5000" in text
