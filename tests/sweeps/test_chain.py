"""Whole sweeps from the command line: no job can stop the others, and an interrupted one is one line."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from sweep_helpers import eventually, finished, is_gone, one_thread, sweep

from rbc_lightning.app import main, run
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.errors import InputError

pytestmark = pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/")


def test_everything_upstream_sees_the_chosen_real_images_alone(tmp_path, compose_made):
    everything = run(compose_made(tmp_path, "stage=synthesize", "synthetic.count=1"))
    fewer = run(compose_made(tmp_path, "stage=synthesize", "synthetic.count=1", "data.n_real_images=2"))
    sources = [Manifest.load(result.manifest).samples[0].lineage.trained_on for result in (everything, fewer)]
    assert [len(names) for names in sources] == [4, 2]
    assert set(sources[1]) < set(sources[0])
    for kind in ("shape_bank", "gan_stage1", "translator", "synthetic"):
        assert len([path for path in (tmp_path / "artifacts" / kind).iterdir() if path.is_dir()]) == 2


def test_things_made_elsewhere_are_refused_where_real_images_are_counted(tmp_path, compose_tiny):
    for key in ("translator", "synthetic"):
        with pytest.raises(InputError, match=rf"data.n_real_images=2 with {key}.path=given, which may have seen more"):
            run(compose_tiny(tmp_path, "data.n_real_images=2", f"{key}.path=given"))


def test_one_bad_job_is_reported_and_the_others_are_finished_once(tmp_path, monkeypatch, capfd, tiny_folder):
    monkeypatch.setattr(sys, "argv", ["rbc_lightning"])
    folder = ("data=folder", f"data.root={tiny_folder}")
    arguments = sweep(tmp_path, "model=fcn8s", "mix=rd,rd_aug", "seed=0", "training.crop=64,1", *folder)
    assert main(arguments) == 1
    done = finished(tmp_path)
    assert [name.rsplit("_", 1)[0] for name in sorted(done)] == ["folder_rd_aug_fcn8s_seed0", "folder_rd_fcn8s_seed0"]
    out, err = capfd.readouterr()
    assert "Sweep of 4 jobs: 2 finished, 2 failed; recorded in " in out
    lines = [line for line in err.splitlines() if line.startswith("error: job ")]
    assert len(lines) == 2
    assert "mix=rd seed=0" in lines[1]
    assert "training.crop=1; expected a whole number of at least 32" in lines[1]
    assert main(arguments) == 1
    assert finished(tmp_path) == done
    assert "Sweep of 4 jobs: 2 finished earlier, 2 failed" in capfd.readouterr().out


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def has_server(pid):
    return any(b"multiprocessing.forkserver" in Path(f"/proc/{child}/cmdline").read_bytes() for child in children(pid))


@pytest.mark.skipif(sys.platform != "linux", reason="jobs are started in another way elsewhere")
def test_ctrl_c_while_the_first_job_is_prepared_prints_one_line(tmp_path):
    arguments = [*sweep(tmp_path, "model=fcn8s", "mix=rd", "seed=0", "training.steps=2000")]
    command = [sys.executable, "-m", "rbc_lightning", *arguments]
    # Whatever started pytest in the background may have told it to ignore the signal.
    obey = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    options = {"stderr": subprocess.PIPE, "text": True, "start_new_session": True, "preexec_fn": obey}
    with subprocess.Popen(command, env=one_thread(), **options) as running:
        try:
            assert eventually(lambda: has_server(running.pid))
            # It imports PyTorch for seconds from here on.
            time.sleep(0.3)
            begun = children(running.pid)
            os.killpg(running.pid, signal.SIGINT)
            _, err = running.communicate(timeout=60)
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)
    assert running.returncode == 130
    assert err == "error: stopped by the user; the same command goes on where this one stopped\n"
    assert eventually(lambda: all(is_gone(pid) for pid in begun), seconds=20)


@pytest.mark.parametrize("wrong", ["seeds=0,1", "model=fcn8s,nope"])
def test_a_refused_sweep_announces_nothing_and_leaves_no_record(wrong, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["rbc_lightning"])
    assert main([*sweep(tmp_path), wrong]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert not list(tmp_path.glob("runs/sweeps/*"))


def test_without_slurm_the_remedy_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["rbc_lightning"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main([*sweep(tmp_path, "seed=0"), "hydra/launcher=submitit_slurm"]) == 1
    err = capsys.readouterr().err
    assert "error: the launcher gave up (RuntimeError): Could not detect" in err
    assert "take hydra/launcher=joblib or hydra/launcher=submitit_local" in err
    assert not list(tmp_path.glob("runs/sweeps/*"))


def test_a_sweep_names_its_record_once_and_numbers_its_jobs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["rbc_lightning"])
    assert main(sweep(tmp_path, "model=fcn8s", "mix=rd", "seed=0,1", "training.crop=1")) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("Sweep table2;", "Job "))]
    assert lines[0].endswith("/records")
    # Each at its beginning and at its end.
    assert [line.split(":")[0] for line in lines[1:]] == ["Job 1 of 2", "Job 1 of 2", "Job 2 of 2", "Job 2 of 2"]
