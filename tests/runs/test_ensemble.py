"""A run of several members: what decides it, what it records, that it is used as one model, and that a kill changes nothing."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from PIL import Image
from training_helpers import Killed, assert_same, die_at, read_rows, weights

from rbc_lightning.app import run
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.errors import InputError
from rbc_lightning.runs.ensemble import EnsembleSegmenter
from rbc_lightning.segmenters.segmentation import SegmentationTask

RD = "+experiment=rd"
WMH = (RD, "model=wmh_unet")
TWO = (*WMH, "model.members=2")


def recipe(directory, compose_tiny, *overrides):
    return Experiment(compose_tiny(directory, *overrides)).run()


@pytest.fixture(scope="module")
def finished(tmp_path_factory, compose_tiny):
    """A run of two members."""
    place = tmp_path_factory.mktemp("ensemble")
    return place, run(compose_tiny(place, *TWO))


def test_one_member_is_the_run_that_it_has_always_been(tmp_path, compose_tiny):
    assert recipe(tmp_path, compose_tiny, RD).key == recipe(tmp_path, compose_tiny, RD, "model.members=1").key
    assert not isinstance(recipe(tmp_path, compose_tiny, RD), EnsembleSegmenter)


def test_members_are_shared_by_runs_that_need_the_same(tmp_path, compose_tiny):
    two, three, other = (
        recipe(tmp_path, compose_tiny, *WMH, *more)
        for more in (("model.members=2",), ("model.members=3",), ("model.members=2", "seed=1"))
    )
    keys = [[member.key for member in made.members] for made in (two, three, other)]
    assert keys[0] == keys[1][:2]
    assert len({*keys[1], *keys[2]}) == 5
    assert len({two.key, three.key, other.key}) == 3
    assert "wmh_unet_x3_seed0" in three.name


def test_a_run_records_its_members_and_is_called_by_their_number(finished):
    place, result = finished
    metrics = result.metrics
    assert metrics["model"] == "wmh_unet x2"
    assert [set(member) for member in metrics["members"]] == [{"key", "seed", "val/dice"}] * 2
    assert sorted(path.name for path in place.glob("artifacts/member/*/")) == sorted(m["key"] for m in metrics["members"])
    assert "member" not in {**metrics["keys"], **metrics["artifacts"]}
    assert 0 <= metrics["val/dice"] <= 1
    assert metrics["threshold_chosen_on"] == "val"
    kept = torch.load(result.directory / "checkpoints" / "best.ckpt", weights_only=True)
    assert kept["thresholds"] == {"threshold": metrics["threshold"]}
    for number, member in enumerate(metrics["members"]):
        theirs = weights(place / "artifacts" / "member" / member["key"] / "checkpoints" / "best.ckpt")
        ours = {name: value for name, value in kept["state_dict"].items() if f".{number}." in name[:15]}
        assert_same({name.replace(f"members.{number}.", ""): value for name, value in ours.items()}, theirs)
    assert len(list(result.directory.glob("members/[01]/curves/metrics.csv"))) == 2
    # Four steps of two samples each, twice.
    assert sum(int(row["draws"]) for row in read_rows(result.directory / "drawn.csv")) == 16


def test_the_first_member_is_what_the_seed_alone_trains(finished, tmp_path, compose_tiny):
    place, result = finished
    alone = run(compose_tiny(tmp_path, *WMH))
    member = result.metrics["members"][0]
    assert alone.metrics["model"] == "wmh_unet"
    assert alone.metrics["val/dice"] == member["val/dice"]
    assert_same(
        weights(alone.directory / "checkpoints" / "best.ckpt"),
        weights(place / "artifacts" / "member" / member["key"] / "checkpoints" / "best.ckpt"),
    )


def test_a_run_of_members_predicts_and_is_reported_as_one_model(finished, compose_tiny, tiny_folder):
    place, result = finished
    images = f"predict.images={tiny_folder / 'images'}"
    predicted = run(compose_tiny(place, "stage=predict", f"predict.run={result.directory}", images, "predict.tile=null"))
    assert len(list(predicted.output.glob("labels/*.png"))) == predicted.count > 0
    with Image.open(next(predicted.output.glob("labels/*.png"))) as label_map:
        assert label_map.size == (96, 96) or min(label_map.size) > 32
    report = run(compose_tiny(place, "stage=report", "model=wmh_unet"))
    assert any("wmh_unet x2" in path.read_text() for path in report.directory.glob("*.csv"))


def test_a_killed_member_goes_on_and_ends_as_an_undisturbed_one(finished, tmp_path, compose_tiny, monkeypatch, capsys):
    # In the second epoch of the second member.
    with monkeypatch.context() as patch:
        die_at(SegmentationTask, patch, 7)
        with pytest.raises(Killed):
            run(compose_tiny(tmp_path, *TWO))
    capsys.readouterr()
    again = run(compose_tiny(tmp_path, *TWO))
    said = capsys.readouterr().out
    first, second = (member["key"] for member in finished[1].metrics["members"])
    assert f"wmh_unet x2: member 1 of 2\nReused member {first}\nwmh_unet x2: member 2 of 2\nResuming member {second}" in said
    assert "Going on after epoch 1" in said
    assert_same(*(weights(each.directory / "checkpoints" / "best.ckpt") for each in (finished[1], again)))
    assert again.metrics["members"] == finished[1].metrics["members"]


def test_a_detector_refuses_members_in_one_line(tmp_path, compose_tiny):
    with pytest.raises(InputError, match=r"^model\.members=3 with model\.name=faster_rcnn, which has no maps of probabilities"):
        run(compose_tiny(tmp_path, RD, "model=faster_rcnn", "model.members=3"))
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.slow
def test_killed_by_the_system_in_the_second_member_it_ends_with_equal_weights(tmp_path, tiny_folder, compose_tiny):
    more = (*TWO, "training.steps=40")
    places = [tmp_path / name for name in ("whole", "killed")]
    base = ["scale=tiny", "data=folder", f"data.root={tiny_folder}", "trainer.progress_bar=false", "floor=none"]
    where = [f"artifacts_dir={places[1]}/artifacts", f"runs_dir={places[1]}/runs"]
    process = subprocess.Popen([sys.executable, "-m", "rbc_lightning", *base, *where, *more], stdout=subprocess.DEVNULL)
    members = places[1] / "artifacts" / "member"
    while not (any(members.glob("*/lineage.json")) and any(members.glob("*.partial/checkpoints/last.ckpt"))):
        assert process.poll() is None, "it ended before the second member had begun"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert any(members.glob("*.partial"))
    whole, killed = (run(compose_tiny(place, *more)) for place in places)
    assert_same(*(weights(each.directory / "checkpoints" / "best.ckpt") for each in (whole, killed)))
    assert json.loads((killed.directory / "metrics.json").read_text())["members"] == whole.metrics["members"]
