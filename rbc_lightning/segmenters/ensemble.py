"""Several networks as one, by the mean of their probabilities."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_NET = "net."


class Ensemble(nn.Module):
    """Networks whose probabilities are averaged; its logits are those of the mean, so that tasks take it as any other network.

    Args:
        members: networks from (B, C, H, W) to logits (B, outputs, H, W), all alike.
        softmax: whether the logits are of classes that exclude each other; else each map is one of its own, a sigmoid's.
    """

    def __init__(self, members: Sequence[nn.Module], *, softmax: bool) -> None:
        super().__init__()
        self.members, self.softmax = nn.ModuleList(members), softmax

    def forward(self, image: Tensor) -> Tensor:
        """Float32 logits (B, outputs, H, W) whose sigmoid, or softmax, is the mean of the members'."""
        logits = torch.stack([member(image).float() for member in self.members])
        if self.softmax:
            return _log_mean(logits.log_softmax(2))
        return _log_mean(F.logsigmoid(logits)) - _log_mean(F.logsigmoid(-logits))


def join_weights(members: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """State of a task of an `Ensemble`, from those of tasks of its members; what is no network's is the first one's."""
    joined = {
        f"{_NET}members.{number}.{name.removeprefix(_NET)}": tensor
        for number, weights in enumerate(members)
        for name, tensor in weights.items()
        if name.startswith(_NET)
    }
    return joined | {name: tensor for name, tensor in members[0].items() if not name.startswith(_NET)}


def _log_mean(logarithms: Tensor) -> Tensor:
    """Logarithm of the mean, over the members, of what these are the logarithms of."""
    return logarithms.logsumexp(0) - math.log(len(logarithms))
