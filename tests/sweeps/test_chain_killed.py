"""Sweeps that are killed, pre-empted and called again."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sweep_helpers import command, eventually, finished, is_gone, one_thread, sweep, table_of

pytestmark = pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The whole grid, run to its end."""
    directory = tmp_path_factory.mktemp("undisturbed")
    subprocess.run(command(directory, "joblib"), check=True, env=one_thread())
    return directory


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_a_grid_killed_half_way_ends_as_an_undisturbed_one(tmp_path, undisturbed, launcher):
    killed = subprocess.Popen(command(tmp_path, launcher), env=one_thread(), start_new_session=True)
    assert eventually(lambda: len(finished(tmp_path)) >= 15 or killed.poll() is not None, seconds=1800)
    # All its processes at once, as when a machine loses its power.
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    before = finished(tmp_path)
    assert 15 <= len(before) < 30
    subprocess.run(command(tmp_path, launcher), check=True, env=one_thread())
    after = finished(tmp_path)
    assert len(after) == 30
    assert before.items() <= after.items()
    assert after.keys() == finished(undisturbed).keys()
    for name in after:
        ours, theirs = (json.loads((root / "runs" / name / "metrics.json").read_text()) for root in (tmp_path, undisturbed))
        scores = [{key: value for key, value in metrics.items() if key.startswith("test/")} for metrics in (ours, theirs)]
        assert scores[0] == scores[1]
        assert (tmp_path / "runs" / name / "per_image.csv").read_bytes() == (
            undisturbed / "runs" / name / "per_image.csv"
        ).read_bytes()
    assert table_of(tmp_path) == table_of(undisturbed)
    # One translator and one set of pairs for each seed, whichever jobs asked for it.
    for kind in ("gan_stage1", "translator", "synthetic"):
        assert len(list((tmp_path / "artifacts" / kind).glob("*/lineage.json"))) == 2


def long_job(directory, launcher):
    """A sweep of one job that takes long enough to be disturbed: some hundred short epochs."""
    steps = ("training.steps=200", "training.steps_per_epoch=2")
    job = sweep(directory, "model=fcn8s", "mix=rd", "seed=0", *steps, f"hydra/launcher={launcher}")
    return subprocess.Popen([sys.executable, "-m", "rbc_lightning", *job], env=one_thread(), stderr=subprocess.PIPE, text=True)


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def descendants(pid):
    return [each for child in children(pid) for each in (child, *descendants(child))]


@pytest.mark.slow
def test_a_preempted_job_is_queued_again_and_goes_on(tmp_path):
    running = long_job(tmp_path, "submitit_local")
    assert eventually(lambda: list(tmp_path.glob("runs/*/checkpoints/last.ckpt")))
    # Hydra's process, submitit's controller, the job.
    ((job,),) = (children(controller) for controller in children(running.pid))
    os.kill(job, signal.SIGUSR2)
    assert running.wait(300) == 0
    (log,) = tmp_path.glob("runs/sweeps/*/records/*.log")
    assert "Resuming fcn8s on RD" in log.read_text()
    assert "Going on after epoch" in log.read_text()
    assert len(finished(tmp_path)) == 1


@pytest.mark.slow
def test_no_job_goes_on_without_the_process_that_the_user_started(tmp_path):
    running = long_job(tmp_path, "joblib")
    assert eventually(lambda: list(tmp_path.glob("runs/*/checkpoints/last.ckpt")))
    (busy,) = (worker for worker in children(running.pid) if descendants(worker))
    others = [busy, *descendants(busy)]
    assert len(others) >= 3
    running.kill()
    running.wait()
    assert eventually(lambda: all(is_gone(pid) for pid in others), seconds=30)
    assert not finished(tmp_path)


@pytest.mark.slow
def test_a_worker_that_is_killed_is_one_line(tmp_path):
    running = long_job(tmp_path, "joblib")
    assert eventually(lambda: list(tmp_path.glob("runs/*/checkpoints/last.ckpt")))
    for worker in children(running.pid):
        if "popen_loky_posix" in Path(f"/proc/{worker}/cmdline").read_text():
            os.kill(worker, signal.SIGKILL)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 1
    assert err.count("\n") == 3, err
    assert "error: job model=fcn8s mix=rd seed=0" in err
    assert "error: the launcher gave up (TerminatedWorkerError): " in err
