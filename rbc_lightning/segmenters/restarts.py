"""Trainings that begin again with another seed where the first weights lead nowhere, as Li et al. 2018 do in their code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from rbc_lightning.core.files import write_json
from rbc_lightning.core.progress import tell
from rbc_lightning.core.seeds import derive_seed
from rbc_lightning.errors import TrainingStopped

RESTARTS = "restarts.json"
"""Of a training's directory: epoch and loss of each attempt that was given up, in their order."""
_STATE = "RestartGuard"


@dataclass(frozen=True)
class Restart:
    """When a training begins again: an epoch, whichever it is, ends with a higher mean training loss than `above`.

    1 - Dice stays near 1 where a network answers nothing, or everything, and has no gradient left. Looked at after each
    epoch, that is `training.steps_per_epoch` steps: too few of them show nothing. A ValueError refuses values out of range.

    Args:
        above: the loss; Li et al. 2018 take 0.99. A loss in [0, 1] is never above 1.
        times: how often a training begins again; then it is given up.
    """

    above: float = 0.99
    times: int = 5

    def __post_init__(self) -> None:
        if isinstance(self.above, bool) or not self.above > 0:
            raise ValueError(f"above must be a positive loss such as 0.99, or 1 for never, got {self.above}.")
        if isinstance(self.times, bool) or not isinstance(self.times, int) or self.times < 0:
            raise ValueError(f"times must be a whole number of at least 0, got {self.times}.")


class StartAgain(Exception):
    """An attempt was given up and recorded; the caller begins again with the next seed."""


class RestartGuard(pl.Callback):
    """Stop a training at the end of an epoch whose mean loss is too high, and say so in its last checkpoint.

    Args:
        restart: the loss.
        attempt: number of this one, from 0.
    """

    def __init__(self, restart: Restart, attempt: int) -> None:
        self.restart, self.attempt = restart, attempt
        self.given_up: dict[str, float] | None = None
        self._losses: list[Tensor] = []

    @property
    def state_key(self) -> str:
        """Name of its state in checkpoints."""
        return _STATE

    def state_dict(self) -> dict[str, Any]:
        """The attempt, and where it was given up."""
        return {"attempt": self.attempt, "given_up": self.given_up}

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401 (Lightning's)
        batch: Any,  # noqa: ANN401 (likewise)
        batch_idx: int,
    ) -> None:
        """Note the loss that the step returned."""
        # Not at the start of the epoch: Lightning leaves that hook out for the first epoch of a resumed training.
        if batch_idx == 0:
            self._losses.clear()
        self._losses.append(outputs["loss"].detach().float())

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Give the training up where the mean over the epoch, over all processes, is too high."""
        if not self._losses:
            # A resumed training ends the epoch before its first step once more.
            return
        loss = float(trainer.strategy.reduce(torch.stack(self._losses).mean(), reduce_op="mean"))
        if loss > self.restart.above:
            self.given_up = {"epoch": trainer.current_epoch + 1, "loss": loss}
            trainer.should_stop = True


def read_restarts(directory: Path) -> list[dict[str, float]]:
    """Epoch and mean loss of each attempt of a training that was given up."""
    path = directory / RESTARTS
    found: list[dict[str, float]] = json.loads(path.read_text())["restarts"] if path.is_file() else []
    return found


def attempt_seed(seed: int, directory: Path) -> int:
    """The seed of the present attempt of a training: after each restart another one, derived from that of the first."""
    return derive_seed(seed, "training", len(restarts)) if (restarts := read_restarts(directory)) else seed


def guard_of(restart: Restart, directory: Path, last: Path) -> RestartGuard:
    """The guard of the present attempt; checkpoints that one given up left are removed.

    Raises:
        StartAgain: the present attempt was given up before, and is recorded now.
        TrainingStopped: as in `check_restart`.
    """
    attempt = len(read_restarts(directory))
    if (state := _state(last)) is not None and state["attempt"] < attempt:
        _remove(last)
    check_restart(restart, directory, last)
    return RestartGuard(restart, attempt)


def check_restart(restart: Restart, directory: Path, last: Path) -> None:
    """Record the attempt whose last checkpoint this is, where it was given up.

    Raises:
        StartAgain: it was.
        TrainingStopped: it was, and no further one is left.
    """
    state = _state(last)
    if state is None or state["given_up"] is None:
        return
    given_up, before = state["given_up"], read_restarts(directory)
    what = f"mean loss {given_up['loss']:.4f} of epoch {given_up['epoch']} is above {restart.above:g}"
    if len(before) == restart.times:
        again = f", as in {len(before)} attempt{'s' * (len(before) > 1)} with other seeds before" if before else ""
        raise TrainingStopped(
            f"{what}{again}; expected a lower one: take another model.task.optimizer.lr, more training.steps_per_epoch, more "
            "model.task.restart.times, or model.task.restart.above=1, which never restarts"
        )
    write_json(directory / RESTARTS, {"restarts": [*before, given_up]})
    # Killed here, the checkpoints of this attempt are known by its number.
    _remove(last)
    tell(f"Restart {len(before) + 1} of at most {restart.times}: {what}; the training begins again with the next seed")
    raise StartAgain


def _state(last: Path) -> dict[str, Any] | None:
    """What a guard left in a checkpoint."""
    if not last.is_file():
        return None
    # Mapped, not read: of all weights only the page with the state.
    content = torch.load(last, map_location="cpu", weights_only=True, mmap=True)
    state: dict[str, Any] | None = content["callbacks"].get(_STATE)
    return state


def _remove(last: Path) -> None:
    for path in last.parent.glob("*.ckpt"):
        path.unlink()
