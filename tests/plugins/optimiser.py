"""An optimiser: steps of one size along the sign of the gradient."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import Optimizer


class SignDescent(Optimizer):
    """theta -> theta - lr * sign(gradient)."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.add_(parameter.grad.sign(), alpha=-group["lr"])
        return loss
