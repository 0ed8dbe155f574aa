import io

import pytest
from rich.console import Console
from run_records import write_floor, write_run

from rbc_lightning.study.outcome import outcome_table
from rbc_lightning.study.tables import COLUMNS, CONTROLS


def text_of(root, name="own"):
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(outcome_table(root / name))
    return console.export_text()


def test_the_table_shows_this_run_those_beside_it_and_the_paper_as_another_data_set(tmp_path):
    write_run(tmp_path, "a", "rd", **{"test/dice": 0.91234})
    write_run(tmp_path, "own", "rd_sd_aug", **{"test/dice": 0.9876})
    text = text_of(tmp_path)
    for title in COLUMNS.values():
        assert title in text
    assert "0.912" in text
    assert "0.988" in text
    assert "another data set: not comparable" in text
    for figure in ("0.961", "0.848", "0.962", "0.948", "0.964"):
        assert figure in text


def test_a_mix_outside_the_five_columns_is_named(tmp_path):
    write_run(tmp_path, "own", "other", **{"test/dice": 0.5})
    assert "0.5000, on a mix that is none of the five columns" in text_of(tmp_path)


def test_a_model_the_paper_does_not_have_gets_no_row_of_its_figures(tmp_path):
    write_run(tmp_path, "own", "rd", model="unet", **{"test/dice": 0.5})
    text = text_of(tmp_path)
    assert "Bailo" not in text
    assert "0.500" in text


@pytest.mark.parametrize("column", COLUMNS)
def test_this_run_stands_in_its_column_whatever_else_was_run(tmp_path, column):
    write_run(tmp_path, "own", column, **{"test/dice": 0.777})
    write_run(tmp_path, "newer", column, **{"test/dice": 0.111})
    text = text_of(tmp_path)
    assert "0.777" in text
    assert "0.111" not in text


def test_runs_that_are_not_shown_are_counted(tmp_path):
    write_run(tmp_path, "own", "rd", n_test=20, steps=600)
    write_run(tmp_path, "b", "rd", 1)
    write_run(tmp_path, "c", "rd", data="elsewhere")
    text = text_of(tmp_path)
    assert "1 finished runs on this data with other settings or seeds are not shown" in text
    assert "20 test images, 600 steps, one seed (0)" in text


def test_runs_of_different_versions_are_noted(tmp_path):
    write_run(tmp_path, "a", "rd_aug", version="1.0")
    write_run(tmp_path, "own", "rd", version="2.0")
    assert "made by different versions: 1.0 (a); 2.0 (own)" in text_of(tmp_path)


def test_figures_of_weights_chosen_on_test_are_marked(tmp_path):
    write_run(tmp_path, "own", "rd", optimistic=True)
    write_run(tmp_path, "fair", "rd", 1, optimistic=False)
    assert "optimistic: weights chosen on the test split" in " ".join(text_of(tmp_path).split())
    assert "optimistic" not in text_of(tmp_path, "fair")


def test_the_headline_of_a_run_is_what_its_weights_were_chosen_by(tmp_path):
    write_run(tmp_path, "own", "rd", model="dcan", headline="test/ap50", **{"test/ap50": 0.7123, "test/dice": 0.9})
    text = text_of(tmp_path)
    assert "test/ap50 of dcan" in text
    assert "0.712" in text
    assert "0.853" in text  # the paper's DCAN


@pytest.mark.parametrize("column", ["rd_large", "sd_large"])
def test_a_size_control_is_named(tmp_path, column):
    write_run(tmp_path, "own", column, **{"test/dice": 0.5})
    assert f"{CONTROLS[column]}: 0.5000" in text_of(tmp_path)


def test_a_run_without_its_files_is_refused(tmp_path):
    write_run(tmp_path, "own", "rd")
    (tmp_path / "own" / "per_image.csv").unlink()
    with pytest.raises(ValueError, match="own: no record of a finished run; rerun=true makes it again"):
        outcome_table(tmp_path / "own")


def test_the_floor_of_the_same_splits_stands_below_the_table(tmp_path):
    write_run(tmp_path, "own", "rd")
    write_floor(tmp_path, "other_seed", 1, **{"test/dice": 0.5})
    assert "without training" not in text_of(tmp_path)
    write_floor(tmp_path, "floor", **{"test/dice": 0.94912})
    text = text_of(tmp_path)
    assert "without training: 0.949" in text
    assert "not shown" not in text
    write_run(tmp_path, "mix", "other")
    assert "none of the five columns; without training: 0.949" in text_of(tmp_path, "mix")


def test_a_run_without_training_is_its_own_floor(tmp_path):
    write_floor(tmp_path, "own", **{"test/dice": 0.94912})
    text = text_of(tmp_path)
    assert "without training: 0.949" in text
    assert "none of the five columns" not in text


def test_scores_of_classes_stand_beside_those_of_finding_nothing(tmp_path):
    scores = {"test/dice": 0.4, "test/accuracy": 0.9, "test/nothing_accuracy": 0.95, "test/nothing_mean_dice": 0.0}
    write_run(tmp_path, "own", "rd", **scores, **{"test/mean_dice": 0.3})
    text = " ".join(text_of(tmp_path).split())
    assert 'accuracy 0.900 (0.950), mean_dice 0.300 (0.000); in brackets what the answer "background" everywhere scores' in text
    write_run(tmp_path, "smears", "rd", **{"test/dice": 0.4})
    assert "background" not in text_of(tmp_path, "smears")
