"""The record of a sweep: what is written about its jobs, printed at its end, and counted."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from rbc_lightning.errors import InputError
from rbc_lightning.sweeps.log import (
    Job,
    begin_sweep,
    close_sweep,
    count_jobs,
    is_begun,
    leave_no_empty_record,
    run_job,
)


@dataclass
class Made:
    directory: Path
    reused: bool = False

    def summary(self):
        return f"made {self.directory}"


def succeed_or_not(settings):
    if settings == "bad":
        raise InputError("training.crop=1; expected a whole number of at least 32")
    return Made(Path(f"runs/{settings}"), reused=settings == "there")


def multirun(directory, params, *overrides):
    directory.mkdir(exist_ok=True)
    record = {"hydra": {"sweeper": {"params": params}, "overrides": {"task": list(overrides)}}}
    (directory / "multirun.yaml").write_text(yaml.safe_dump(record))
    return count_jobs(directory)


def make_job(directory, number, value, launcher="basic"):
    return Job(number, (f"model={value}", "runs_dir=elsewhere"), "table2", directory, launcher)


def test_how_each_job_went_is_written_and_printed(tmp_path, capsys):
    directory = tmp_path / "sweep"
    multirun(directory, {"model": "new,there,bad"})
    begin_sweep("table2", directory, queued=False)
    for number, value in enumerate(("new", "there", "bad")):
        run_job(succeed_or_not, value, make_job(directory, number, value))
    records = [json.loads(path.read_text()) for path in directory.glob("records/*.json")]
    assert {record["job"]: record["status"] for record in records} == {
        "model=new": "finished",
        "model=there": "skipped",
        "model=bad": "failed",
    }
    assert is_begun()
    assert close_sweep() == 1
    assert not is_begun()
    out, err = capsys.readouterr()
    lines = [line for line in out.splitlines() if line.startswith(("Sweep", "Job"))]
    assert lines == [
        f"Sweep table2; how its jobs go is written in {directory}/records",
        "Job 1 of 3: model=new",
        "Job 1 of 3: model=new finished: runs/new",
        "Job 2 of 3: model=there",
        "Job 2 of 3: model=there skipped: runs/there",
        "Job 3 of 3: model=bad",
        "Job 3 of 3: model=bad failed: training.crop=1; expected a whole number of at least 32",
        f"Sweep of 3 jobs: 1 finished, 1 finished earlier, 1 failed; recorded in {directory}",
    ]
    assert "error: job model=bad: training.crop=1; expected a whole number of at least 32\n" in err
    assert "The same command again skips what is finished" in err


def test_the_output_of_jobs_side_by_side_goes_to_files(tmp_path, capsys):
    job = make_job(tmp_path / "sweep", 0, "bad", launcher="joblib")
    run_job(succeed_or_not, "bad", job)
    assert job.log.parent == tmp_path / "sweep" / "records"
    assert "training.crop=1" in job.log.read_text()
    assert json.loads(job.record.read_text())["message"].endswith(f"; its output: {job.log}")
    assert f"Job 1: model=bad begins; its output goes to {job.log}" in capsys.readouterr().out


def test_a_job_without_a_last_word_counts_as_failed(tmp_path, capsys):
    begin_sweep("table2", tmp_path, queued=True)
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "a.json").write_text(json.dumps({"job": "model=x", "status": "begun", "message": "no word"}))
    assert close_sweep() == 1
    out, err = capsys.readouterr()
    assert out.startswith("Sweep table2; how its jobs go is written in ")
    assert "error: job model=x: no word" in err


def test_without_a_sweep_there_is_nothing_to_close(capsys):
    assert close_sweep() == 0
    leave_no_empty_record()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("others", [(), ("notes.txt",)])
def test_a_refused_sweep_leaves_no_record_but_what_is_not_ours(tmp_path, others):
    directory = tmp_path / "sweep"
    directory.mkdir()
    for name in ("multirun.yaml", "sweep.json", *others):
        (directory / name).touch()
    begin_sweep("table2", directory, queued=False)
    leave_no_empty_record()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == list(others)
    assert directory.exists() == bool(others)
    assert not is_begun()


def test_jobs_are_counted_from_hydras_record(tmp_path):
    assert count_jobs(tmp_path) is None
    assert multirun(tmp_path, {"model": "fcn8s,dcan", "seed": "0,1,2"}, "+sweep=table2") == 6
    # The command line replaces what the sweep's file says.
    assert multirun(tmp_path, {"model": "fcn8s,dcan", "seed": "0,1,2"}, "seed=4", "mix=rd,sd", "training.crop=range(1,6)") == 20
    assert multirun(tmp_path, None, "model.strides=[2,2]", "seed=0,1") == 2
    # The files that a pattern stands for are known to Hydra alone.
    assert multirun(tmp_path, None, "model=glob(*)") is None


def test_a_job_is_named_by_what_it_is(tmp_path):
    overrides = ("+sweep=table2", "model=fcn8s", "runs_dir=here", "seed=1")
    assert Job(0, overrides, "table2", tmp_path).label == "model=fcn8s seed=1"
