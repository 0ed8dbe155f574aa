"""What makes the optimiser of a task, and the schedule of its learning rate: factories, which `_target_` names.

Anything that is called alike will do: `{_target_: torch.optim.SGD, _partial_: true, lr: 0.1}`, or
`{_target_: torch.optim.lr_scheduler.CosineAnnealingLR, _partial_: true}` for a cosine to zero.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

MakeOptimizer = Callable[[list[nn.Parameter]], Optimizer]
"""Called with the trainable parameters of the network."""
MakeSchedule = Callable[[Optimizer, int], LRScheduler]
"""Called with the optimiser and the number of steps of the training; stepped once per optimiser step."""


@dataclass(frozen=True)
class AdamW:
    """torch.optim.AdamW, with weight decay for weights of more than one dimension alone: biases and norms have none.

    A ValueError refuses arguments out of range.

    Args:
        lr: Learning rate; the peak, where a schedule raises and lowers it.
        weight_decay: Decoupled.
    """

    lr: float = 1e-3
    weight_decay: float = 1e-4

    def __post_init__(self) -> None:
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise ValueError(f"lr must be positive, got {self.lr}.")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay must not be negative, got {self.weight_decay}.")

    def __call__(self, parameters: list[nn.Parameter]) -> Optimizer:
        """The optimiser, with two groups of parameters."""
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.lr)


@dataclass(frozen=True)
class OneCycle:
    """torch's OneCycleLR: the learning rate rises to that of the optimiser, then falls to zero by a cosine.

    Args:
        warmup: Part of the steps in which it rises, in (0, 1).
        cycle_momentum: Whether momentum, or the first beta, runs from 0.95 to 0.85 and back meanwhile.

    Raises:
        ValueError: If `warmup` is out of its range.
    """

    warmup: float = 0.15
    cycle_momentum: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.warmup < 1:
            raise ValueError(f"warmup must lie strictly between 0 and 1, got {self.warmup}.")

    def __call__(self, optimizer: Optimizer, total_steps: int) -> LRScheduler:
        """The schedule of an optimiser over so many steps."""
        peaks = [group["lr"] for group in optimizer.param_groups]
        return OneCycleLR(optimizer, peaks, total_steps, pct_start=self.warmup, cycle_momentum=self.cycle_momentum)


ADAMW, ONE_CYCLE = AdamW(), OneCycle()


def check_factory(name: str, factory: Any, *arguments: str) -> None:  # noqa: ANN401 (whatever was given)
    """Refuse what was given as `name` but cannot be called with these arguments alone, which are given in words.

    Raises:
        ValueError: It cannot, such as a partial with a setting of another name.
    """
    expected = f"a function of {' and '.join(arguments)}"
    if not callable(factory):
        raise ValueError(f"{name} must be {expected}, got {factory!r}: name one by _target_.")
    try:
        inspect.signature(factory).bind(*arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be {expected}, which {factory!r} is not: {error}.") from error
