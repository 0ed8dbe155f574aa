"""Optimisers and schedules: groups of parameters, learning rates over a run, what is refused."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from rbc_lightning.segmenters.optimizers import AdamW, OneCycle, check_factory


def rates(schedule, optimizer, steps=20):
    """Learning rate and first beta of every step."""
    scheduler, found = schedule(optimizer, steps), []
    for _ in range(steps):
        group = optimizer.param_groups[-1]
        found.append((group["lr"], group["betas"][0] if "betas" in group else group["momentum"]))
        optimizer.step()
        scheduler.step()
    return zip(*found, strict=True)


def parameters():
    return list(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).parameters())


def test_weight_decay_spares_biases_and_norms():
    optimizer = AdamW(lr=0.02, weight_decay=0.3)(parameters())
    decayed, spared = optimizer.param_groups
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.3, 0.0)
    assert [parameter.ndim for parameter in decayed["params"]] == [4]
    assert [parameter.ndim for parameter in spared["params"]] == [1, 1, 1]
    assert type(optimizer) is torch.optim.AdamW
    assert {group["lr"] for group in optimizer.param_groups} == {0.02}


def test_one_cycle_rises_to_the_peak_of_each_group_and_falls_to_zero():
    optimizer = AdamW(lr=0.1)(parameters())
    cycle, betas = rates(OneCycle(), optimizer)
    assert cycle[0] == pytest.approx(0.1 / 25)
    assert max(cycle) == pytest.approx(0.1)
    assert cycle.index(max(cycle)) == 2
    assert cycle[-1] < 1e-6
    # Torch's cycle moves the first beta against the learning rate.
    assert (betas[0], min(betas)) == pytest.approx((0.95, 0.85))
    late, _ = rates(OneCycle(warmup=0.5), AdamW(lr=0.1)(parameters()))
    assert late.index(max(late)) == 9


def test_momentum_can_be_left_as_it_is():
    sgd = torch.optim.SGD(parameters(), lr=0.1, momentum=0.9)
    cycle, momenta = rates(OneCycle(cycle_momentum=False), sgd)
    assert max(cycle) == pytest.approx(0.1)
    assert set(momenta) == {0.9}


def test_a_cosine_of_torch_spans_the_run():
    cosine, _ = rates(partial(CosineAnnealingLR), AdamW(lr=0.1)(parameters()))
    assert [cosine[0], cosine[10]] == pytest.approx([0.1, 0.05])
    assert cosine[-1] < 0.002


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AdamW(lr=0.0), "lr must be positive, got 0.0"),
        (lambda: AdamW(lr=float("nan")), "lr must be positive, got nan"),
        (lambda: AdamW(weight_decay=-1.0), "weight_decay must not be negative, got -1.0"),
        (lambda: OneCycle(warmup=1.0), "warmup must lie strictly between 0 and 1, got 1.0"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_what_cannot_be_called_is_refused_before_a_training():
    check_factory("optimizer", partial(torch.optim.SGD, lr=0.1), "parameters")
    check_factory("schedule", partial(CosineAnnealingLR), "optimiser", "number of steps")
    with pytest.raises(
        ValueError, match="schedule must be a function of optimiser and number of steps, got 'cosine': name one"
    ):
        check_factory("schedule", "cosine", "optimiser", "number of steps")
    with pytest.raises(ValueError, match=r"optimizer must be a function of parameters, which .*SGD.* is not: .*learning_rate"):
        check_factory("optimizer", partial(torch.optim.SGD, learning_rate=0.1), "parameters")
