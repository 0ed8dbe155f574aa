"""`logger=wandb` on whole chains: what is recorded offline, and that no failure of it ends a training."""

import json
import time
from pathlib import Path

import pytest
import wandb
from omegaconf import OmegaConf
from training_helpers import Killed, die_at, read_rows
from wandb_records import history_of, of_type, read_back, recordings, summary_of, without_login

from rbc_lightning.app import run
from rbc_lightning.segmenters.segmentation import SegmentationTask

pytestmark = pytest.mark.usefixtures("no_login")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    yield tmp_path_factory.mktemp("loggers")
    wandb.teardown()


@pytest.fixture(scope="module")
def trained(place, compose_tiny):
    """One run of real and synthetic samples, recorded offline."""
    with pytest.MonkeyPatch.context() as patch:
        (place / "home").mkdir()
        without_login(patch, place / "home")
        return run(compose_tiny(place, "+experiment=rd_sd", "logger=wandb"))


@pytest.fixture(scope="module")
def records(trained):
    (path,) = recordings(trained.directory)
    return read_back(path)


def test_the_run_says_what_it_is(trained, records):
    (begun,) = of_type(records, "run")
    assert (begun["project"], begun["job_type"], begun["tags"]) == ("rbc_lightning", "train", ["rd_sd", "fcn8s"])
    assert begun["display_name"] == trained.directory.name
    # No job of a sweep.
    assert "run_group" not in begun
    recorded = begun["config"]["update"]
    assert (recorded.pop("column"), recorded.pop("entry"), recorded.pop("dataset")) == ("rd_sd", "fcn8s RD+SD", "folder")
    recorded.pop("_wandb")
    # Compared as JSON, which knows one kind of number.
    config = OmegaConf.to_container(OmegaConf.load(trained.directory / "config.yaml"))
    assert json.loads(json.dumps(recorded)) == json.loads(json.dumps(config))


def test_the_summary_holds_every_metric_of_the_run(trained, records):
    metrics = json.loads((trained.directory / "metrics.json").read_text())
    summary = summary_of(records)
    scores = {key: value for key, value in metrics.items() if key.startswith(("test/", "val/"))}
    assert {"test/dice", "test/ap50", "val/dice"} <= scores.keys()
    assert {key: summary[key] for key in scores} == scores
    assert [summary[f"mix/{part}"] for part in ("real", "synthetic", "augmented", "total")] == [4, 4, 0, 8]
    assert (summary["column"], summary["seed"], summary["headline"]) == ("rd_sd", 0, "test/dice")


def test_the_curves_are_those_of_the_csv_by_step(trained, records):
    rows = read_rows(trained.directory / "curves" / "metrics.csv")
    for key in ("val/dice", "train/loss"):
        written = [(int(row["step"]), float(row[key])) for row in rows if row[key]]
        assert len(written) == (2 if key == "val/dice" else 4)
        assert history_of(records, key) == written
    axes = {metric.get("glob_name"): metric.get("step_metric") for metric in of_type(records, "metric")}
    assert axes["*"] == "trainer/global_step"


@pytest.mark.parametrize(
    ("name", "columns", "rows", "images"),
    [
        ("predictions", ["sample_id", "image", "truth", "prediction", "dice"], 2, 3),
        ("synthetic", ["sample_id", "label_map", "image", "cells"], 4, 2),
    ],
)
def test_tables_of_images_are_there_with_their_files(trained, records, name, columns, rows, images):
    (artifact,) = [each for each in of_type(records, "artifact") if each["name"].endswith(f"-{name}")]
    files = {entry["path"]: Path(entry["local_path"]) for entry in artifact["manifest"]["contents"]}
    # All of it in the run directory, where `wandb sync` will look for it.
    assert all(path.is_file() and trained.directory in path.parents for path in files.values())
    table = json.loads(files[f"{name}.table.json"].read_text())
    assert table["columns"][: len(columns)] == columns
    assert len(table["data"]) == rows
    for row in table["data"]:
        pictures = [cell for cell in row if isinstance(cell, dict)]
        assert [picture["_type"] for picture in pictures] == ["image-file"] * images
        assert all(picture["path"] in files and (picture["width"], picture["height"]) == (128, 96) for picture in pictures)
    if name == "predictions":
        scores = {row["sample_id"]: float(row["dice"]) for row in read_rows(trained.directory / "per_image.csv")}
        shown = [(row[0], row[table["columns"].index("dice")]) for row in table["data"]]
        # From the worst to the best.
        assert shown == sorted(scores.items(), key=lambda pair: pair[1])


def test_a_translator_on_the_way_records_its_losses(place, trained):
    (directory,) = place.glob("artifacts/gan_stage1/*[!k]")
    (path,) = recordings(directory)
    gan = read_back(path)
    assert of_type(gan, "run")[0]["job_type"] == "translator_stage1"
    # Two epochs of four images, one after the other.
    for key in ("train/g_feature", "train/d_real"):
        assert [step for step, _ in history_of(gan, key)] == list(range(8))


def test_stages_without_a_training_show_their_pictures(place, trained, compose_tiny):
    quick = ("logger=wandb", "translator.quality.enabled=false")
    painted = run(compose_tiny(place, "stage=translator", *quick))
    (path,) = recordings(painted.directory)
    seen = read_back(path)
    sheets = {key.split(".")[0] for key in summary_of(seen) if key.startswith("sheets/")}
    assert sheets == {f"sheets/{figure.stem}" for figure in painted.figures}
    for entry in of_type(seen, "files"):
        assert all((path.parent / "files" / file["path"]).is_file() for file in entry["files"])
    made = run(compose_tiny(place, "stage=synthesize", *quick))
    (path,) = recordings(made.manifest.parent)
    (artifact,) = of_type(read_back(path), "artifact")
    assert artifact["name"].endswith("-synthetic")


def test_nothing_is_left_in_the_home_or_beside_the_artifacts(place, trained):
    assert not [path for path in (place / "home").rglob("*") if "wandb" in path.name]
    assert not list(place.glob("artifacts/*/*.partial"))


def test_a_resumed_run_goes_on_with_the_same_run(tmp_path, compose_tiny, monkeypatch, capsys):
    cfg = compose_tiny(tmp_path, "+experiment=rd", "logger=wandb")
    with monkeypatch.context() as patch:
        die_at(SegmentationTask, patch, 3)
        with pytest.raises(Killed):
            run(cfg)
    # Directories bear the second of their beginning.
    time.sleep(1.1)
    resumed = run(cfg)
    first, second = (read_back(path) for path in recordings(resumed.directory))
    ids = [of_type(part, "run")[0]["run_id"] for part in (first, second)]
    assert ids[0] == ids[1]
    assert of_type(second, "run")[0]["resume"] is True
    assert [of_type(part, "exit")[0].get("exit_code", 0) for part in (first, second)] == [1, 0]
    # Two steps made and kept before the end of the first attempt, and the other two.
    assert [len(history_of(part, "train/loss")) for part in (first, second)] == [2, 2]
    (sync,) = [line for line in capsys.readouterr().out.splitlines() if "wandb sync" in line][1:]
    assert sync.endswith("wandb sync " + " ".join(str(path.parent) for path in recordings(resumed.directory)))


@pytest.mark.parametrize("error", [wandb.errors.CommError("no route"), wandb.errors.UsageError("bad project")])
def test_a_run_that_cannot_begin_ends_no_training(place, trained, compose_tiny, monkeypatch, capsys, error):
    def refuse(*args, **kwargs):
        raise error

    monkeypatch.setattr(wandb, "init", refuse)
    result = run(compose_tiny(place, "+experiment=rd_sd", "logger=wandb", "rerun=true", f"runs_dir={place}/refused"))
    scores = {key: value for key, value in trained.metrics.items() if key.startswith(("test/", "val/"))}
    assert {key: result.metrics[key] for key in scores} == scores
    assert f"no Weights & Biases run ({type(error).__name__}: {error}); the run itself goes on" in capsys.readouterr().out
