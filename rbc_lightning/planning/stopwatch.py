"""Clock and memory of a process in which `stage=plan` tries something out."""

import math
import re
import resource
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytorch_lightning as pl
import torch
from numba.core import event

from rbc_lightning.planning.work import PlanSettings

# Numba compiles on first use and keeps the result on disk: a run pays for it once on each machine, if at all.
_compiling = event.TimingListener()
event.register("numba:compile", _compiling)


class Stopwatch(pl.Callback):
    """Times the steps of the trainings that it is given to, and ends each after so many steps or so long a time.

    Args:
        limits: how many steps, and how long.
    """

    def __init__(self, limits: PlanSettings) -> None:
        self.limits = limits
        self.ended = self._arrived = 0.0
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.began = now()
        self.on_train_start()

    def on_train_start(self, *_: object) -> None:
        """All is set up; of several trainings the last one counts."""
        self.started = now()
        self.steps: list[tuple[int, float, float]] = []
        self.held_out: dict[str, list[float]] = {"val": [], "test": []}

    def on_train_batch_start(self, *_: object) -> None:
        """A batch, or an image of validation or test, is there."""
        self._arrived = now()

    on_validation_batch_start = on_test_batch_start = on_train_batch_start  # type: ignore[assignment]  # more arguments

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        """Note the step; stop when there are enough, or the time is up."""
        self.steps.append((trainer.current_epoch, self._arrived, now()))
        if len(self.steps) > self.limits.steps or self.steps[-1][2] - self.steps[0][1] > self.limits.seconds:
            trainer.should_stop = True

    def on_validation_batch_end(self, *_: object) -> None:
        """Note the image."""
        self.held_out["val"].append(now() - self._arrived)

    def on_test_batch_end(self, *_: object) -> None:
        """Note the image."""
        self.held_out["test"].append(now() - self._arrived)

    def on_train_end(self, *_: object) -> None:
        """All is written."""
        self.ended = now()

    def numbers(self) -> dict[str, float]:
        """Seconds of a step, of the part of it between two steps, of an epoch's end, of held-out images, of what precedes."""
        # A step begins where the one before it ended: loading is part of it. The first one warms up.
        pairs = [(a, b) for a, b in zip(self.steps, self.steps[1:], strict=False) if a[0] == b[0]]
        first = self.steps[0]
        cycle = mean([b[2] - a[2] for a, b in pairs]) if pairs else first[2] - first[1]
        compute = mean([b[2] - b[1] for _, b in pairs]) if pairs else cycle
        between = self.ended - self.steps[-1][2] - sum(self.held_out["val"])
        return {
            "step": cycle,
            "gap": max(0.0, cycle - compute),
            "epoch_end": max(0.0, between),
            "build": max(0.0, self.started - self.began),
            "measured": max(1, len(pairs)),
            "warm": float(bool(pairs)),
            # Of a single image the first is all there is.
            **{name: mean(times[1:] or times) for name, times in self.held_out.items()},
        }


def peak_memory() -> dict[str, float]:
    """Largest resident memory of this process since it began or was last reset, and memory reserved on the GPU, bytes."""
    on_gpu = float(torch.cuda.max_memory_reserved()) if torch.cuda.is_available() else 0.0
    try:
        resident = 1024.0 * int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0])
    except OSError:
        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1.0 if sys.platform == "darwin" else 1024.0)
    return {"memory": resident, "gpu_memory": on_gpu}


def reset_peak() -> None:
    """Begin to measure peak memory anew."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def now() -> float:
    """Seconds on a monotonic clock, without the time in which Numba compiles."""
    if torch.cuda.is_available():
        # Kernels run asynchronously.
        torch.cuda.synchronize()
    return time.perf_counter() - (_compiling.duration if _compiling.done else 0.0)


def mean(values: Sequence[float]) -> float:
    """The mean; 0 of nothing."""
    return math.fsum(values) / len(values) if values else 0.0
