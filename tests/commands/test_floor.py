"""The run without training beside every trained one."""

import json
import threading

import pytest
from omegaconf import OmegaConf

from rbc_lightning.app import compose, run
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.commands.floor import floor_of
from rbc_lightning.errors import InputError

FLOOR = "floor=threshold"
QUICK = ("training.steps=2", "training.steps_per_epoch=2")


def floors(place):
    return sorted(path.parent for path in place.glob("runs/*_without_training_*/metrics.json"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, compose_tiny):
    """A training and what stands beside it."""
    place = tmp_path_factory.mktemp("beside")
    return place, run(compose_tiny(place, "+experiment=rd", FLOOR, *QUICK))


def test_a_training_makes_its_floor_which_is_the_run_of_model_threshold(finished, compose_tiny, capsys):
    place, trained = finished
    (directory,) = floors(place)
    before = (directory / "metrics.json").stat().st_mtime_ns
    again = run(compose_tiny(place, "+experiment=rd", "model=threshold"))
    assert (again.directory, again.reused) == (directory, True)
    assert (directory / "metrics.json").stat().st_mtime_ns == before
    kept = OmegaConf.load(directory / "config.yaml")
    assert (kept.model.name, kept.model.task._target_.rpartition(".")[2]) == ("threshold", "ThresholdTask")
    metrics = json.loads((directory / "metrics.json").read_text())
    assert (metrics["data_hash"], metrics["seed"]) == (trained.metrics["data_hash"], trained.metrics["seed"])
    assert "model=threshold" in metrics["command"]
    assert not any("members" in word for word in metrics["command"])


def test_a_finished_training_makes_a_missing_floor_and_leaves_one_that_is_there(finished, compose_tiny, capsys):
    place, _ = finished
    (directory,) = floors(place)
    (directory / "metrics.json").unlink()
    again = run(compose_tiny(place, "+experiment=rd", FLOOR, *QUICK))
    assert (again.reused, floors(place)) == (True, [directory])
    made = (directory / "metrics.json").stat().st_mtime_ns
    said = capsys.readouterr().out
    run(compose_tiny(place, "+experiment=rd", FLOOR, *QUICK, "rerun=true"))
    assert (directory / "metrics.json").stat().st_mtime_ns == made
    value = json.loads((directory / "metrics.json").read_text())["test/dice"]
    assert f"without training (threshold): Dice {value:.3f}" in said


def test_a_report_has_it_as_its_floor(finished, compose_tiny):
    place, _ = finished
    report = run(compose_tiny(place, "stage=report", "report.gallery=0"))
    text = (report.directory / "table2.md").read_text()
    assert "without training (threshold): Dice 0.9" in text
    assert "none of the columns" not in text
    assert len(report.runs) == 1


@pytest.mark.parametrize("overrides", [("floor=none",), ("model=threshold", FLOOR)])
def test_there_is_none_where_it_is_not_wanted_or_the_run_is_one(overrides, tmp_path, compose_tiny):
    assert floor_of(Experiment(compose_tiny(tmp_path, "+experiment=rd", *overrides))) is None


def test_it_is_made_beside_every_experiment_by_default():
    assert compose().floor.name == "threshold"
    whole = OmegaConf.to_container(compose().floor) | {"members": 1}
    assert whole == OmegaConf.to_container(compose(["model=threshold"]).model)


@pytest.mark.parametrize("protocol", ["held_out", "paper"])
def test_every_protocol_and_mix_shares_the_floor_of_its_splits(protocol, tmp_path, compose_tiny):
    given = (f"protocol={protocol}", FLOOR, "translator.quality.enabled=false", "translator.choose=last")
    found = [floor_of(Experiment(compose_tiny(tmp_path, f"+experiment={name}", *given))) for name in ("rd", "rd_sd_aug")]
    assert found[0].run().name == found[1].run().name
    assert found[0].run().labels.data == "folder"


def test_the_paper_protocol_has_a_floor_too(tmp_path, compose_tiny):
    result = run(compose_tiny(tmp_path, "+experiment=rd", "protocol=paper", FLOOR, *QUICK))
    (directory,) = floors(tmp_path)
    metrics = json.loads((directory / "metrics.json").read_text())
    assert metrics["optimistic"] is False
    assert metrics["data_hash"] == result.metrics["data_hash"]


def test_two_jobs_at_once_make_it_once(tmp_path, compose_tiny, monkeypatch):
    from rbc_lightning.commands import train
    from rbc_lightning.runs.untrained import UntrainedSegmenter

    built, original = [], UntrainedSegmenter.build

    def build(self, directory, store):
        built.append(directory)
        original(self, directory, store)

    monkeypatch.setattr(UntrainedSegmenter, "build", build)
    experiments = [Experiment(compose_tiny(tmp_path, f"+experiment={name}", FLOOR)) for name in ("rd", "rd_aug")]
    jobs = [threading.Thread(target=train._make_floor, args=(floor_of(experiment),)) for experiment in experiments]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert built == floors(tmp_path)


def test_data_that_it_cannot_be_measured_on_end_no_training(tmp_path, compose_tiny, monkeypatch, capsys):
    from rbc_lightning.runs.untrained import UntrainedSegmenter

    def refuse(self, directory, store):
        raise InputError("no cell size")

    monkeypatch.setattr(UntrainedSegmenter, "build", refuse)
    result = run(compose_tiny(tmp_path, "+experiment=rd", FLOOR, *QUICK))
    assert (result.directory / "metrics.json").is_file()
    assert "note: no floor beside this run, floor=none asks for none: no cell size" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+floor.task.treshold=1", r"floor\.task"),
        ("floor.name=a/b", r"name=a/b"),
    ],
)
def test_a_mistake_is_told_before_anything_is_made(override, message, tmp_path, compose_tiny):
    with pytest.raises(InputError, match=message):
        run(compose_tiny(tmp_path, "+experiment=rd", FLOOR, override))
    assert not list(tmp_path.glob("runs/*"))


def test_a_floor_that_would_be_trained_is_refused(tmp_path, compose_tiny):
    cfg = compose_tiny(tmp_path, "+experiment=rd", FLOOR)
    cfg.floor = cfg.model
    with pytest.raises(InputError, match=r"floor\.name=fcn8s is a model that is trained; expected one that learns nothing"):
        run(cfg)
    assert not list(tmp_path.glob("runs/*"))


def test_a_data_set_names_a_floor_of_its_own(tmp_path, tiny_folder):
    (tmp_path / "data").mkdir()
    (tmp_path / "floor").mkdir()
    (tmp_path / "data" / "scans.yaml").write_text(
        "defaults:\n  - folder\n  - override /floor@_global_.floor: global\nname: scans\n"
    )
    (tmp_path / "floor" / "global.yaml").write_text("defaults:\n  - /model@_here_: threshold\n  - _self_\nname: global\n")
    chosen = [f"hydra.searchpath=[file://{tmp_path}]", "data=scans", f"data.root={tiny_folder}"]
    assert compose(chosen).floor.name == "global"
    assert compose([*chosen, "floor=none"]).floor.name is None


def test_a_plan_counts_no_floor(tmp_path, compose_tiny, capsys):
    result = run(compose_tiny(tmp_path, "stage=plan", "+experiment=rd", FLOOR, "plan.steps=1"))
    assert not list(tmp_path.glob("runs/*_without_training_*"))
    assert "threshold" not in result.summary()
