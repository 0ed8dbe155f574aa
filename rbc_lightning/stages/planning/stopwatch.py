"""Clock and memory of a process in which `stage=plan` tries something out."""

import math
import re
import resource
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl
import torch
from numba.core import event

# Numba compiles on first use and keeps the result on disk: a run pays for it once on each machine, if at all.
_compiling = event.TimingListener()
event.register("numba:compile", _compiling)


@dataclass(frozen=True)
class Limits:
    """How much is timed: units after the one that warms up, seconds after which no other begins, threads (None: as it is)."""

    steps: int
    seconds: float
    threads: int | None = None


class Stopwatch(pl.Callback):
    """Times the steps of every training of its process, and stops one that takes too long."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.steps: list[tuple[int, float, float]] = []
        self.held_out: dict[str, list[float]] = {"val": [], "test": []}
        self.ended = self._began = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002 (Lightning's)
        """Forget the training before."""
        self.steps.clear()

    def on_train_batch_start(self, *_: object) -> None:
        """The batch is there."""
        self._began = now()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        """Note the step; stop when the time is up."""
        self.steps.append((trainer.current_epoch, self._began, now()))
        if self.steps[-1][2] - self.steps[0][1] > self.limits.seconds:
            trainer.should_stop = True

    def on_validation_batch_start(self, *_: object) -> None:
        """An image is there."""
        self._began = now()

    def on_validation_batch_end(self, *_: object) -> None:
        """Note the image."""
        self.held_out["val"].append(now() - self._began)

    def on_test_batch_start(self, *_: object) -> None:
        """An image is there."""
        self._began = now()

    def on_test_batch_end(self, *_: object) -> None:
        """Note the image."""
        self.held_out["test"].append(now() - self._began)

    def on_train_end(self, *_: object) -> None:
        """All is written."""
        self.ended = now()

    @property
    def seconds(self) -> float:
        """From the first step of the last training to its end."""
        return self.ended - self.steps[0][1]

    def numbers(self) -> dict[str, float]:
        """Seconds of a step, of the part of it between two steps, of an epoch's end and of held-out images."""
        # A step begins where the one before it ended: loading is part of it. The first one warms up.
        pairs = [(a, b) for a, b in zip(self.steps, self.steps[1:], strict=False) if a[0] == b[0]]
        first = self.steps[0]
        cycle = mean([b[2] - a[2] for a, b in pairs]) if pairs else first[2] - first[1]
        compute = mean([b[2] - b[1] for _, b in pairs]) if pairs else cycle
        # Of a single image the first is all there is.
        held_out = {name: mean(times[1:] or times) for name, times in self.held_out.items()}
        between = self.ended - self.steps[-1][2] - sum(self.held_out["val"])
        return {
            "step": cycle,
            "gap": max(0.0, cycle - compute),
            "epoch_end": max(0.0, between),
            "measured": max(1, len(pairs)),
            "warm": float(bool(pairs)),
            **held_out,
        }


def watch_trainings(limits: Limits) -> Stopwatch:
    """Have every training of this process timed, whoever starts it: the process does nothing else."""
    watch = Stopwatch(limits)
    pl.LightningModule.configure_callbacks = lambda _: [watch]  # type: ignore[method-assign,assignment]  # see above
    return watch


def peak_memory() -> float:
    """Largest resident memory of this process since it began or was last reset, bytes."""
    with suppress(OSError):
        status = Path("/proc/self/status").read_text()
        return 1024.0 * int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else 1024 * peak)


def go_first() -> None:
    """Where memory runs short, it is this process that the kernel ends, not somebody's training."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def reset_peak() -> None:
    """Begin to look for the largest memory anew."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_gpu_memory() -> float:
    """Most memory reserved on the GPU, bytes; 0 without one."""
    return float(torch.cuda.max_memory_reserved()) if torch.cuda.is_available() else 0.0


def now() -> float:
    """Seconds on a clock that never goes back, and that stands still while Numba compiles."""
    if torch.cuda.is_available():
        # What was asked of a GPU is done only now.
        torch.cuda.synchronize()
    return time.perf_counter() - (_compiling.duration if _compiling.done else 0.0)


def mean(values: Sequence[float]) -> float:
    """The mean; 0 of nothing."""
    return math.fsum(values) / len(values) if values else 0.0
