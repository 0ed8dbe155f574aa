"""A run without training: what decides it, what it records, and that every stage takes it."""

import json

import pytest
import yaml
from PIL import Image
from training_helpers import read_rows

from rbc_lightning.app import main, run
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.errors import InputError
from rbc_lightning.runs.untrained import UntrainedSegmenter
from rbc_lightning.study.collect import collect_runs

FLOOR = "model=threshold"


@pytest.fixture(scope="module")
def finished(tmp_path_factory, compose_tiny):
    """A run of the threshold beside one of FCN-8s."""
    place = tmp_path_factory.mktemp("floor")
    trained = run(compose_tiny(place, "+experiment=rd"))
    return place, trained, run(compose_tiny(place, "+experiment=rd", FLOOR))


def recipe(tmp_path, compose_tiny, *overrides):
    return Experiment(compose_tiny(tmp_path, FLOOR, *overrides)).run()


@pytest.mark.parametrize(
    "overrides",
    [
        ("+experiment=rd_sd_aug", "translator=pix2pix", "synthetic.mode=online"),
        ("+experiment=rd", "training.steps=2", "training.batch_size=1", "training.crop=null", "training.ema_decay=0.9"),
        ("+experiment=rd_aug", "augment=strong"),
        ("+experiment=rd", "trainer=ddp_cpu", "trainer.precision=32-true"),
        # Fewer samples than the training images alone: no mix is made.
        ("+experiment=rd_aug", "mix.total=1"),
        ("+experiment=rd", "scale=demo", "model.name=otsu"),
    ],
)
def test_what_has_no_effect_makes_no_other_run(tmp_path, compose_tiny, overrides):
    base = recipe(tmp_path, compose_tiny, "+experiment=rd")
    assert isinstance(base, UntrainedSegmenter)
    other = recipe(tmp_path, compose_tiny, *overrides)
    assert other.key == base.key
    assert list(other.upstream()) == []
    assert other.parts() == base.parts()
    if "model.name=otsu" not in overrides:
        assert other.name == base.name


@pytest.mark.parametrize("overrides", [("model.task.min_area=5",), ("seed=1",), ("data.n_real_images=2",)])
def test_model_and_data_decide(tmp_path, compose_tiny, overrides):
    base = recipe(tmp_path, compose_tiny, "+experiment=rd")
    assert recipe(tmp_path, compose_tiny, "+experiment=rd", *overrides).key != base.key


def test_it_leaves_the_directory_of_a_run(finished):
    _, trained, result = finished
    directory = result.directory
    assert directory.name.startswith("folder_without_training_threshold_seed0_")
    metrics = json.loads((directory / "metrics.json").read_text(), parse_constant=pytest.fail)
    told = {name: metrics[name] for name in ("column", "headline", "steps", "selected_on", "optimistic", "n_test")}
    assert told == {
        "column": "without_training",
        "headline": "test/dice",
        "steps": 0,
        "selected_on": None,
        "optimistic": False,
        "n_test": 2,
    }
    assert set(metrics["mix"].values()) == {0}
    assert not [name for name in metrics if name.startswith("val/")]
    # Discs on an even ground.
    assert (metrics["test/dice"] > 0.98, metrics["test/ap50"], metrics["test/count_error"]) == (True, 1.0, 0.0)
    assert {name for name in trained.metrics if name.startswith("test/")} == {n for n in metrics if n.startswith("test/")}
    # Two slides of one image each: without one, the score of the other.
    for record in (metrics, trained.metrics):
        assert list(record["left_out"]) == ["ap", "ap50", "ap50_11_point", "dice_pooled"]
        assert all(list(units) == ["image smear_05", "image smear_06"] for units in record["left_out"].values())
    rows = read_rows(directory / "per_image.csv")
    assert metrics["left_out"]["ap50"] == {"image smear_05": float(rows[1]["ap50"]), "image smear_06": float(rows[0]["ap50"])}
    assert [row["sample_id"] for row in rows] == ["smear_05", "smear_06"]
    assert list(rows[0]) == list(read_rows(trained.directory / "per_image.csv")[0])
    assert read_rows(directory / "drawn.csv") == []
    assert not (directory / "checkpoints").exists()
    kept = yaml.safe_load((directory / "config.yaml").read_text())["model"]
    assert (kept["task"]["objects"], kept["task"]["cell_size"]) == ("dark", pytest.approx(22, abs=0.3))
    with Image.open(directory / "figures" / "run.png") as figure:
        assert min(figure.size) > 100


def test_every_column_finds_it_finished(finished, compose_tiny):
    place, _, result = finished
    again = run(compose_tiny(place, "+experiment=rd_sd_aug", FLOOR))
    assert (again.reused, again.directory) == (True, result.directory)
    assert not list(place.glob("artifacts/[!.]*"))


def test_it_predicts_what_it_was_tested_with(finished, compose_tiny, tiny_folder, tmp_path):
    _, _, result = finished
    where = (f"predict.run={result.directory}", f"predict.images={tiny_folder}/images", f"predict.output={tmp_path}/out")
    found = run(compose_tiny(tmp_path, "stage=predict", *where))
    assert (found.count, found.cells, found.has_label_maps) == (7, 63, True)
    cells = read_rows(tmp_path / "out" / "cells.csv")
    for row in read_rows(result.directory / "per_image.csv"):
        assert sum(cell["image"] == f"{row['sample_id']}.png" for cell in cells) == float(row["n_found"])
    with pytest.raises(InputError, match=r"no checkpoint of a training"):
        run(compose_tiny(tmp_path, "stage=predict", *where, f"predict.checkpoint={result.directory}/config.yaml"))


def test_a_report_is_made_beside_it(finished, compose_tiny, capsys):
    place, trained, result = finished
    collected = collect_runs(place / "runs")
    assert {found.directory for found in collected.runs} == {trained.directory, result.directory}
    assert collected.notes == ()
    report = run(compose_tiny(place, "stage=report", "report.gallery=0"))
    assert [found.directory for found in report.runs] == [trained.directory]
    assert (report.directory / "report.html").is_file()


def test_a_plan_has_nothing_to_time(tmp_path, compose_tiny, tiny_folder, capsys):
    base = ["scale=tiny", "data=folder", f"data.root={tiny_folder}", f"artifacts_dir={tmp_path}/a", f"runs_dir={tmp_path}/runs"]
    assert main([*base, "stage=plan", "mix=rd", FLOOR]) == 0
    assert "Nothing is left to do" in capsys.readouterr().out
