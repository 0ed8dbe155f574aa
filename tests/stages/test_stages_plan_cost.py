"""The arithmetic of plans, from given times: steps, epochs, waiting cells; and what becomes of a probe that fails."""

import os
import signal
import time

import numba
import pytest
import torch
from omegaconf import OmegaConf

from rbc_lightning.errors import InputError
from rbc_lightning.stages.planning.cost import Cost, Loading, step_seconds, training_seconds
from rbc_lightning.stages.planning.probes import measure
from rbc_lightning.stages.planning.schedule import Place, place_of, wall_seconds
from rbc_lightning.stages.planning.stopwatch import Limits, Stopwatch, now
from rbc_lightning.stages.planning.tables import gigabytes, hours
from rbc_lightning.stages.planning.work import CellWork, Work

TRAINING = {"val": 3.0, "test": 4.0, "epoch_end": 1.0, "build": 10.0}
LOADING = {"decode": 0.1, "crop": 0.05, "augment": 0.2}


def test_loader_processes_work_while_a_step_computes():
    timing = {"step": 1.0, "gap": 0.4}
    # 0.3 s of the gap were loading, 0.1 s bookkeeping.
    assert step_seconds(timing, load=2.0, trial_load=0.3, workers=0) == pytest.approx(0.7 + 2.0)
    assert step_seconds(timing, load=2.0, trial_load=0.3, workers=2) == pytest.approx(1.0)
    assert step_seconds(timing, load=2.0, trial_load=0.3, workers=4) == pytest.approx(0.7)
    # Never more than the gap itself.
    assert step_seconds(timing, load=0.0, trial_load=0.9, workers=0) == pytest.approx(0.6)


def test_only_what_is_not_kept_is_decoded_again():
    shares = {"real": 0.5, "synthetic": 0.25, "augmented": 0.25}
    load = Loading(4, 0, shares, {"real": 1.0, "synthetic": 0.2})
    assert load.seconds(LOADING) == pytest.approx(4 * (0.25 * 0.8 * 0.1 + 0.05 + 0.25 * 0.2))
    both = 4 * ((0.25 * 0.8 + 0.25 * 0.4) * 0.1 + 0.05 + 0.25 * 0.2)
    assert load.seconds(LOADING, ("real", "synthetic")) == pytest.approx(both)


def test_a_begun_epoch_ends_with_a_validation():
    assert training_seconds(TRAINING, steps=5, step=2.0, per_epoch=2, n_val=3, n_test=1) == 10 + 3 * (9 + 1) + 4 + 10


def works(*named):
    return tuple(Work(kind, key, kind, units, 0, OmegaConf.create(), None) for kind, key, units in named)


def test_cells_wait_for_what_another_builds_and_never_build_it_again():
    gan, ten, thirty, *runs = works(
        ("gan", "g", 1), ("synthetic", "s", 10), ("synthetic", "s", 30), *(("train", f"run{i}", 1) for i in range(3))
    )
    cells = (CellWork("a", (gan, ten), runs[0]), CellWork("b", (gan, thirty), runs[1]), CellWork("c", (), runs[2]))
    costs = {"g": Cost(gan, seconds=100.0), "s": Cost(thirty, seconds=60.0)} | {w.key: Cost(w, seconds=10.0) for w in runs}
    assert wall_seconds(cells, costs, places=1) == 190.0
    # a: 100 + 20 + 10. b waits until 120, adds twenty pairs, trains: 170. c is done at 140 in the place of a.
    assert wall_seconds(cells, costs, places=2) == 170.0
    assert wall_seconds(cells, costs, places=45) == 170.0


def test_launchers_have_so_many_places(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert place_of("basic", {}, on_gpu=False) == Place("basic", 1)
    assert place_of("joblib", {"n_jobs": -1}, on_gpu=False) == Place("joblib", 8, threads=1)
    assert place_of("joblib", {"n_jobs": -3}, on_gpu=False) == Place("joblib", 6, threads=1)
    assert place_of("joblib", {"n_jobs": 3}, on_gpu=True) == Place("joblib", 2)
    assert place_of("submitit_local", {}, on_gpu=False) == Place("submitit_local", 8, threads=1)
    assert place_of("submitit_slurm", {"array_parallelism": 16}, on_gpu=True) == Place("submitit_slurm", 16)


def test_a_step_lasts_from_the_end_of_the_one_before():
    watch = Stopwatch(Limits(3, 60))
    # Epoch, when the batch was there, when the step was done.
    watch.steps = [(0, 10.0, 15.0), (0, 15.5, 16.5), (0, 16.7, 18.5), (1, 30.0, 31.0)]
    watch.held_out["val"] = [2.0, 1.0]
    watch.ended = 36.0
    numbers = watch.numbers()
    # 15.0 to 18.5 for two steps, of which 0.5 and 0.2 before the batch; from one epoch to the next is no step.
    assert (numbers["step"], numbers["gap"], numbers["measured"]) == (pytest.approx(1.75), pytest.approx(0.35), 2)
    assert (numbers["val"], numbers["test"]) == (1.0, 0.0)
    assert numbers["epoch_end"] == pytest.approx(36.0 - 31.0 - 3.0)
    watch.steps = [(0, 10.0, 15.0)]
    assert (watch.numbers()["step"], watch.numbers()["warm"]) == (5.0, 0.0)


def test_compilation_takes_no_time():
    @numba.njit
    def double(x):
        return 2 * x

    started, clock = now(), time.perf_counter()
    assert double(1) == 2
    whole = time.perf_counter() - clock
    # What is left is the call itself.
    assert now() - started < whole / 5


def kill(cfg, limits):
    os.kill(os.getpid(), signal.SIGKILL)


def run_out(cfg, limits):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")


def refuse(cfg, limits):
    raise InputError("model.net: width must be positive")


def refuse_memory(cfg, limits):
    raise InputError("model: [Errno 12] Cannot allocate memory; check the settings model.*")


def test_what_does_not_fit_is_a_line_and_no_crash(tmp_path, compose_tiny):
    limits, log, cfg = Limits(1, 1.0), tmp_path / "log.txt", compose_tiny(tmp_path)
    for probe, problem in (
        (kill, "does not fit into the memory of this machine (its process ended without a word: killed by signal SIGKILL"),
        (run_out, "does not fit into the memory of this machine (OutOfMemoryError: CUDA out of memory"),
        (refuse_memory, "does not fit into the memory of this machine (model: [Errno 12] Cannot allocate memory"),
        (refuse, "model.net: width must be positive"),
    ):
        timing = measure(probe, cfg, log=log, limits=limits)
        assert timing.problem.startswith(problem)
        assert timing.refused == (probe is refuse)


def test_times_and_sizes_are_said_as_people_say_them():
    assert [hours(value) for value in (0, 0.055, 9.94, 9.96, 40, 720, 12240, 5.4e6)] == [
        "0 s",
        "0.1 s",
        "9.9 s",
        "10 s",
        "40 s",
        "12 min",
        "3.4 h",
        "1,500 h",
    ]
    assert [gigabytes(value) for value in (512e6, 3.44e9)] == ["512 MB", "3.4 GB"]
