"""Places of a machine: each job has one to itself; and what launchers have to say."""

import multiprocessing
import os
import time

import pytest
from filelock import FileLock, Timeout

from rbc_lightning.errors import InputError
from rbc_lightning.sweeps.places import first_free, launcher_failure, own_place, visible_devices


def hold(directory, places, held):
    with first_free(directory, places) as place:
        held.put((place, os.getpid()))
        time.sleep(120)


def test_each_job_has_a_place_to_itself_and_a_dead_ones_is_free(tmp_path):
    context = multiprocessing.get_context("fork")
    held = context.Queue()
    holders = [context.Process(target=hold, args=(tmp_path, ["0", "1"], held)) for _ in range(2)]
    for holder in holders:
        holder.start()
    pid_of = dict(held.get(timeout=20) for _ in holders)
    assert set(pid_of) == {"0", "1"}
    killed = next(place for place, pid in pid_of.items() if pid == holders[0].pid)
    holders[0].kill()
    holders[0].join()
    # Only one of the two can be had, that of the killed one.
    with first_free(tmp_path, ["0", "1"]) as place:
        assert place == killed
        for path in tmp_path.glob("*.lock"):
            with pytest.raises(Timeout):
                FileLock(path, timeout=0).acquire()
    holders[1].kill()
    holders[1].join()


def test_a_job_gets_one_gpu_where_several_run_side_by_side(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    with own_place("joblib", 1, tmp_path) as first, own_place("joblib", 1, tmp_path) as second:
        assert {first, second} == {"3", "5"}
    for launcher, devices in (("basic", 1), ("submitit_slurm", 2), ("joblib", None)):
        with own_place(launcher, devices, tmp_path) as place:
            assert place is None
    message = r"trainer\.devices=-1 with hydra/launcher=joblib, which gives each job one GPU"
    with pytest.raises(InputError, match=message), own_place("joblib", -1, tmp_path):
        pass


def test_devices_are_those_that_the_process_may_see(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 5")
    assert visible_devices() == ["3", "5"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_devices() == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: One (UUID: a)'\necho 'GPU 1: Two (UUID: b)'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert visible_devices() == ["0", "1"]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        # As Hydra words it.
        (
            RuntimeError("Unknown plugin class : 'hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher'"),
            "this hydra/launcher needs the package hydra-joblib-launcher: install it (pip install hydra-joblib-launcher), or "
            "take hydra/launcher=basic",
        ),
        (
            RuntimeError("Could not detect 'srun'"),
            "the launcher gave up (RuntimeError): Could not detect 'srun'; on one machine without SLURM take "
            "hydra/launcher=joblib or hydra/launcher=submitit_local",
        ),
        (OSError("disk full"), "the launcher gave up (OSError): disk full"),
    ],
)
def test_a_launcher_that_fails_is_one_line_with_its_remedy(error, line):
    assert launcher_failure(error) == line
