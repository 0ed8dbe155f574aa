"""The clock of trials: what counts as a step, when one is ended, and that compiling takes no time."""

import time
from types import SimpleNamespace

import numba
import pytest

from rbc_lightning.planning.stopwatch import Stopwatch, mean, now, peak_memory
from rbc_lightning.planning.work import PlanSettings


def test_a_step_lasts_from_the_end_of_the_one_before():
    watch = Stopwatch(PlanSettings("train", 3, 60))
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


@pytest.mark.parametrize(("limits", "steps"), [((2, 60), 3), ((9, 1e-9), 1)])
def test_a_training_is_ended_by_steps_or_by_time(limits, steps):
    watch, trainer = Stopwatch(PlanSettings("train", *limits)), SimpleNamespace(current_epoch=0, should_stop=False)
    while not trainer.should_stop:
        watch.on_train_batch_start()
        time.sleep(0.001)
        watch.on_train_batch_end(trainer)
    assert len(watch.steps) == steps
    watch.on_train_start()
    assert watch.steps == []


def test_compilation_takes_no_time():
    @numba.njit
    def double(x):
        return 2 * x

    started, clock = now(), time.perf_counter()
    assert double(1) == 2
    whole = time.perf_counter() - clock
    # What is left is the call itself.
    assert now() - started < whole / 5


def test_memory_is_that_of_this_process_and_the_mean_of_nothing_is_nothing():
    assert 1e7 < peak_memory()["memory"] < 1e11
    assert (mean([]), mean([1.0, 2.0])) == (0.0, 1.5)
