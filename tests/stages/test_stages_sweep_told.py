"""What a sweep tells: how many cells there are, where they write, and one line when it is stopped or refused."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from sweep_helpers import eventually, is_gone, one_thread, sweep

from rbc_lightning.app import main
from rbc_lightning.stages.cell import run_apart
from rbc_lightning.stages.sweep import count_cells

pytestmark = pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/")


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def has_server(pid):
    return any(b"multiprocessing.forkserver" in Path(f"/proc/{child}/cmdline").read_bytes() for child in children(pid))


@pytest.mark.skipif(sys.platform != "linux", reason="cells are started in another way elsewhere")
def test_ctrl_c_while_the_first_cell_is_prepared_prints_one_line(tmp_path):
    arguments = [*sweep(tmp_path, "model=fcn8s", "mix=rd", "seed=0", "training.steps=2000")]
    command = [sys.executable, "-m", "rbc_lightning", *arguments]
    running = subprocess.Popen(command, env=one_thread(), stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert eventually(lambda: has_server(running.pid))
    # It imports PyTorch for seconds from here on.
    time.sleep(0.3)
    begun = children(running.pid)
    os.killpg(running.pid, signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert err == "error: stopped by the user; the same command goes on where this one stopped\n"
    assert eventually(lambda: all(is_gone(pid) for pid in begun), seconds=20)


def interrupt_itself(cfg):
    os.kill(os.getpid(), signal.SIGINT)
    child = os.fork()
    if child == 0:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except KeyboardInterrupt:
            os._exit(7)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()):
        return Told("it is blocked")
    return Told(f"its child ended with {os.waitstatus_to_exitcode(status)}")


class Told:
    def __init__(self, words):
        self.words = words

    def summary(self):
        return self.words


def test_a_cell_leaves_ctrl_c_to_its_parent_and_its_own_processes_do_not(tmp_path):
    outcome = run_apart(interrupt_itself, OmegaConf.create({}), log=tmp_path / "log.txt")
    assert (outcome.status, outcome.message) == ("finished", "its child ended with 7")


def multirun(directory, params, *overrides):
    OmegaConf.save(
        {"hydra": {"sweeper": {"params": params}, "overrides": {"task": list(overrides)}}}, directory / "multirun.yaml"
    )
    return count_cells(directory)


def test_cells_are_counted_from_the_record(tmp_path):
    assert count_cells(tmp_path) is None
    assert multirun(tmp_path, {"model": "fcn8s,dcan", "seed": "0,1,2"}, "+sweep=table2") == 6
    # The command line replaces what the sweep's file says.
    assert multirun(tmp_path, {"model": "fcn8s,dcan", "seed": "0,1,2"}, "seed=4", "mix=rd,sd", "training.crop=range(1,6)") == 20
    assert multirun(tmp_path, None, "model.strides=[2,2]", "seed=0,1") == 2
    # The files that a pattern stands for are known to Hydra alone.
    assert multirun(tmp_path, None, "model=glob(*)") is None


@pytest.mark.parametrize("wrong", ["seeds=0,1", "model=fcn8s,nope"])
def test_a_refused_sweep_announces_nothing_and_leaves_no_record(wrong, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["rbc_lightning"])
    assert main([*sweep(tmp_path), wrong]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert not list(tmp_path.glob("runs/sweeps/*"))


def test_without_slurm_the_remedy_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["rbc_lightning"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main([*sweep(tmp_path, "seed=0"), "hydra/launcher=submitit_slurm"]) == 1
    err = capsys.readouterr().err
    assert "error: the launcher gave up (RuntimeError): Could not detect" in err
    assert "take hydra/launcher=joblib or hydra/launcher=submitit_local" in err
    assert not list(tmp_path.glob("runs/sweeps/*"))


def test_a_sweep_tells_its_record_once_and_numbers_its_cells(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["rbc_lightning"])
    assert main(sweep(tmp_path, "model=fcn8s", "mix=rd", "seed=0,1", "training.crop=1")) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("Sweep table2;", "Cell "))]
    assert lines[0].endswith("/cells")
    # Each at its beginning and at its end.
    assert [line.split(":")[0] for line in lines[1:]] == ["Cell 1 of 2", "Cell 1 of 2", "Cell 2 of 2", "Cell 2 of 2"]
