import io

import pytest
from rich.console import Console
from run_records import SETTINGS, write_floor, write_fold, write_run

from rbc_lightning.study.outcome import outcome_table
from rbc_lightning.study.tables import COLUMNS, CONTROLS


def text_of(root, name="own"):
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(outcome_table(root / name))
    return "".join(f"{line.rstrip()}\n" for line in console.export_text().splitlines())


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
    assert "1 finished run on this data with other settings or seeds is not shown" in " ".join(text.split())
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
    assert "without training (threshold): Dice 0.949\n" in text
    assert "not shown" not in text
    write_run(tmp_path, "mix", "other")
    own, floor = text_of(tmp_path, "mix").splitlines()[-2:]
    assert own.strip().endswith("on a mix that is none of the five columns")
    assert floor.strip() == "without training (threshold): Dice 0.949"


def test_a_run_without_training_is_its_own_floor(tmp_path):
    write_floor(tmp_path, "own", **{"test/dice": 0.94912})
    text = text_of(tmp_path)
    assert "without training (threshold): Dice 0.949" in text
    assert "none of the five columns" not in text


def test_scores_of_classes_stand_beside_those_of_finding_nothing(tmp_path):
    scores = {"test/dice": 0.4, "test/accuracy": 0.9, "test/nothing_accuracy": 0.95, "test/nothing_mean_dice": 0.0}
    write_run(tmp_path, "own", "rd", **scores, **{"test/mean_dice": 0.3})
    write_floor(tmp_path, "floor", **{"test/dice": 0.2})
    assert [line.strip() for line in text_of(tmp_path).splitlines()[-3:]] == [
        "without training (threshold): Dice 0.200",
        "this run: accuracy 0.900, mean_dice 0.300",
        "background everywhere: accuracy 0.950, mean_dice 0.000",
    ]
    write_run(tmp_path, "smears", "rd", **{"test/dice": 0.4})
    assert "background" not in text_of(tmp_path, "smears")


def test_of_several_classes_each_has_its_dice(tmp_path):
    scores = {"test/mean_dice": 0.3, "test/nothing_mean_dice": 0.0, "test/dice_lesion": 0.1, "test/dice_ventricles": 0.5}
    images = {"dice_lesion": dict.fromkeys("xy", 0.1), "dice_ventricles": dict.fromkeys("xy", 0.5)}
    write_run(tmp_path, "own", "rd", by_image=images, **scores)
    assert "this run: mean_dice 0.300, dice_lesion 0.100, dice_ventricles 0.500\n" in text_of(tmp_path)


def test_a_fold_is_named_and_runs_of_other_folds_are_counted_apart(tmp_path):
    for fold in range(3):
        write_fold(tmp_path, "rd", 0, fold, {f"x{fold}": 0.9}, n_test=1)
    write_fold(tmp_path, "rd", 1, 0, {"x0": 0.9})
    text = " ".join(text_of(tmp_path, "rd_seed0_fold0").split())
    assert "1 test image, ? steps, one seed (0), fold 1 of 5 (data.fold=0)" in text
    assert "2 finished runs of other folds are not shown; stage=report joins the folds" in text
    assert "1 finished run on this data with other settings or seeds is not shown" in text
    write_run(tmp_path, "plain", "rd")
    assert "fold" not in text_of(tmp_path, "plain").splitlines()[0]


def test_that_figures_of_the_tiny_scale_mean_nothing_stands_in_the_title(tmp_path):
    write_run(tmp_path, "own", "rd", settings=SETTINGS | {"scale": {"name": "tiny"}})
    assert text_of(tmp_path).splitlines()[1].strip().startswith("Figures of scale=tiny mean nothing")
    write_run(tmp_path, "demo", "rd", settings=SETTINGS | {"scale": {"name": "demo"}})
    assert "mean nothing" not in text_of(tmp_path, "demo")


def test_external_images_have_a_line_of_their_own(tmp_path):
    write_run(tmp_path, "own", "rd", external={"e0": 0.1, "e1": 0.3}, **{"external/dice": 0.2})
    line = "external, another scanner or source (2 images), apart from the test: Dice 0.200\n"
    assert line in text_of(tmp_path)
    write_run(tmp_path, "b", "rd", 1)
    assert "external" not in text_of(tmp_path, "b")
