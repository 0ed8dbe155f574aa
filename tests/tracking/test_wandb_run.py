"""A run of Weights & Biases: no failure of it ends a training, and an upload that is left to do is printed."""

import pytest
import wandb
from wandb_records import history_of, read_back, recordings

from rbc_lightning.tracking.wandb_run import start_run

pytestmark = pytest.mark.usefixtures("no_login")

ABOUT = {"project": "mine", "job_type": "train", "tags": ["rd"], "config": {"seed": 0}}


def start(tmp_path):
    return start_run(ABOUT, tmp_path / "run", mode="auto", service=tmp_path / ".wandb")


@pytest.mark.parametrize("error", [wandb.errors.CommError("no route"), wandb.errors.UsageError("bad project")])
def test_a_run_that_cannot_begin_is_one_line(tmp_path, monkeypatch, capsys, error):
    def refuse(*args, **kwargs):
        raise error

    monkeypatch.setattr(wandb, "init", refuse)
    assert start(tmp_path) is None
    assert f"no Weights & Biases run ({type(error).__name__}: {error}); the run itself goes on" in capsys.readouterr().out


def test_a_run_that_breaks_half_way_is_left_alone(tmp_path, capsys):
    logger, calls = start(tmp_path), []

    def fail(run):
        calls.append(run)
        raise BrokenPipeError("the service is gone")

    for _ in range(2):
        logger.attempt("the summary", fail)
    logger.log_metrics({"val/dice": 0.5}, step=0)
    logger.close()
    said = capsys.readouterr().out
    assert len(calls) == 1
    assert said.count("has failed and is left alone from here on (the summary: BrokenPipeError: the service is gone)") == 1
    assert not history_of(read_back(recordings(tmp_path / "run")[0]), "val/dice")
    (path,) = recordings(tmp_path / "run")
    assert said.splitlines()[-1].endswith(f"recorded offline; upload it with: wandb sync {path.parent}")


def test_everything_lies_in_the_run_directory_and_nothing_in_the_home(tmp_path):
    start(tmp_path).close()
    assert {path.name for path in tmp_path.iterdir()} <= {"home", "run", ".wandb"}
    assert not [path for path in (tmp_path / "home").rglob("*") if "wandb" in path.name]
