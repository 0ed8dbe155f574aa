"""The processes that share a training: which one this is, and what they tell each other. One process needs no special case."""

from typing import Any

import torch.distributed as dist
from torch import nn


def rank_and_size() -> tuple[int, int]:
    """Number of this process, from 0, and how many share the training; (0, 1) outside of one that is shared."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_available() and dist.is_initialized() else (0, 1)


def gather(value: Any) -> list[Any]:  # noqa: ANN401 (whatever can be pickled)
    """The values of all processes, in their order, in each of them; all have to ask."""
    _, size = rank_and_size()
    values = [value] * size
    if size > 1:
        dist.all_gather_object(values, value)
    return values


def share_buffers(module: nn.Module) -> None:
    """Give every process the buffers of the first, such as the statistics of batch norm; all have to ask."""
    if rank_and_size()[1] > 1:
        for buffer in module.buffers():
            dist.broadcast(buffer, 0)
