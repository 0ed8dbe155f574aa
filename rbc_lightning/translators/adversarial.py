"""The training step that all GAN translators share: generator, then discriminator, from one forward pass of each network."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from rbc_lightning.errors import TrainingStopped
from rbc_lightning.translators.pix2pixhd.layers import check_range

_FLAT = 5e-3  # standard deviation over pixels, in [-1, 1] units, below which an image counts as one flat colour
_SAME = 5e-3  # mean absolute difference of generated images, in these units, below which they count as one
_PINNED = 1e-5  # loss of the discriminator below which the generator gets nothing to learn from


@dataclass(frozen=True)
class Generated:
    """What the generator made of a batch.

    Attributes:
        images: (N, C, H, W) in [-1, 1], with their graph.
        n_images: the first so many are counted and watched for collapse; the rest are second images of pairs.
        given: what `AdversarialTask.losses` needs beside them.
    """

    images: Tensor
    n_images: int
    given: Any = None


def averaged(network: nn.Module, decay: float, *, buffers: bool = False) -> AveragedModel:
    """A running mean of a network's weights, to be moved by `update_parameters`; its `module` is the network to be used.

    Args:
        network: at its start.
        decay: share of the old mean in the new one.
        buffers: take the mean of those as well, such as the statistics of batch norm.
    """
    # torch's own function cannot be sent to the new processes of a distributed training.
    average = AveragedModel(network, multi_avg_fn=partial(_follow, decay), use_buffers=buffers)
    average.requires_grad_(False)
    return average


def _follow(decay: float, *arguments: Any) -> None:  # noqa: ANN401 (what AveragedModel passes)
    get_ema_multi_avg_fn(decay)(*arguments)  # type: ignore[no-untyped-call]  # torch


class AdversarialTask(pl.LightningModule):
    """Two Adam optimisers, a learning rate that is constant and then falls linearly, and the step; see `training_step`.

    A subclass takes the arguments below among its own, saves its hyperparameters, calls `check_schedule`, and overrides
    `trained_parameters`, `generate` and `losses`.

    Args:
        learning_rate: Adam's, of both optimisers.
        beta1, beta2: Adam's momenta.
        n_epochs: epochs at the full learning rate.
        n_epochs_decay: further epochs over which it falls linearly to zero.
    """

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.guard = CollapseGuard()

    def check_schedule(self) -> None:
        """Refuse, with a `ValueError`, an argument of optimisers and learning rate that is out of its range."""
        hparams = self.hparams
        if hparams["learning_rate"] <= 0:
            raise ValueError(f"learning_rate must be positive, got {hparams['learning_rate']}")
        check_range(1, **{"n_epochs + n_epochs_decay": hparams["n_epochs"] + hparams["n_epochs_decay"]})
        check_range(0.0, 1.0, beta1=hparams["beta1"], beta2=hparams["beta2"])

    @abstractmethod
    def trained_parameters(self) -> tuple[Sequence[nn.Parameter], Sequence[nn.Parameter]]:
        """Parameters that the generator's optimiser moves, and those of the discriminator's."""

    @abstractmethod
    def generate(self, batch: dict[str, Any]) -> Generated:
        """Generate images for a batch."""

    @abstractmethod
    def losses(self, batch: dict[str, Any], generated: Generated, seen: Tensor) -> dict[str, Tensor]:
        """Every loss of the step, by name; `seen` are the generated images, cut from the generator's graph.

        Returns:
            Scalars: `g_*`, whose sum the generator minimises, and `d_real` and `d_fake`, of which the discriminator minimises
            half the sum.
        """

    def measures(self, generated: Generated, seen: Tensor) -> dict[str, Tensor]:  # noqa: ARG002 (for overriding)
        """What is logged beside the losses."""
        return {}

    def after_steps(self) -> None:
        """Called when both networks have moved, such as for running means."""

    def configure_optimizers(self) -> tuple[list[Adam], list[LambdaLR]]:
        """Adam for generator and discriminator, both constant and then linear."""
        hparams = self.hparams
        optimizers = [
            Adam(parameters, hparams["learning_rate"], betas=(hparams["beta1"], hparams["beta2"]), fused=True)
            for parameters in self.trained_parameters()
        ]
        return optimizers, [LambdaLR(optimizer, self._learning_rate_factor) for optimizer in optimizers]

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> None:  # noqa: ARG002 (Lightning's signature)
        """Step the generator, then the discriminator.

        The generated images are cut from the generator's graph before the discriminator sees them, and the gradient is
        carried across the cut by hand. So neither step touches the other's gradients, and two discriminator passes do the
        work of the usual three.
        """
        optimizer_g, optimizer_d = cast(list[Any], self.optimizers())
        generated = self.generate(batch)
        fake, n_images = generated.images.float(), generated.n_images
        seen = fake.detach().requires_grad_()
        losses = self.losses(batch, generated, seen)
        self.guard.check(losses, seen[:n_images], batch["sample_id"])

        generator_total = torch.stack([loss for name, loss in losses.items() if name.startswith("g_")]).sum()
        (gradient,) = torch.autograd.grad(generator_total, seen, retain_graph=True)
        optimizer_g.zero_grad()
        self.manual_backward(fake, gradient)
        optimizer_g.step()
        optimizer_d.zero_grad()
        self.manual_backward((losses["d_real"] + losses["d_fake"]) / 2, inputs=[*self.trained_parameters()[1]])
        optimizer_d.step()
        self.after_steps()
        logged = {name: value.detach() for name, value in losses.items()} | self.measures(generated, seen)
        self.log_dict({f"train/{name}": value for name, value in logged.items()}, batch_size=n_images)

    def on_train_epoch_end(self) -> None:
        """Move both learning rates on, once per epoch as in the public pix2pixHD."""
        for scheduler in cast(list[LambdaLR], self.lr_schedulers()):
            scheduler.step()

    def _learning_rate_factor(self, epoch: int) -> float:
        """Share of the full rate in this epoch, counted from 0 (the public pix2pixHD counts from 1)."""
        decay = int(self.hparams["n_epochs_decay"])
        return 1.0 - max(0, epoch - int(self.hparams["n_epochs"])) / decay if decay else 1.0


class CollapseGuard:
    """Watch losses and images step by step; after `patience` bad ones in a row the training counts as collapsed.

    Args:
        patience: steps.
        rate: name of the setting of the learning rate, for messages.
        width: of that of the discriminator's width.
        bounded: losses of the discriminator whose sum ends at 0; none of an objective without a bound.
    """

    def __init__(
        self,
        patience: int = 200,
        rate: str = "translator.task.learning_rate",
        width: str = "translator.task.discriminator_channels",
        bounded: Sequence[str] = ("d_real", "d_fake"),
    ) -> None:
        if patience < 1:
            raise ValueError(f"patience must be at least 1 step, got {patience}")
        self.patience, self.rate, self.width, self.bounded = patience, rate, width, tuple(bounded)
        self._flat_steps = self._same_steps = self._pinned_steps = 0

    def check(
        self, losses: Mapping[str, Tensor], fake: Tensor, sample_ids: Sequence[str], distance: Tensor | None = None
    ) -> None:
        """Raise if this step shows that training cannot go on.

        Args:
            losses: scalars by name; those of `bounded` among them.
            fake: generated images (B, C, H, W) in [-1, 1].
            sample_ids: of the batch, which a `TrainingStopped` names.
            distance: mean absolute difference of generated images that have nothing in common but the networks; None where
                there are no such.
        """
        spread = fake.detach().float().std(dim=(2, 3)).max()
        apart = torch.full_like(spread, torch.inf) if distance is None else distance.detach().float()
        # One transfer for everything: on a GPU each .item() would wait for the device.
        seen = torch.stack([*(loss.detach().float() for loss in losses.values()), spread, apart]).tolist()
        *values, flatness, difference = seen
        by_name = dict(zip(losses, values, strict=True))
        where = f"batch {', '.join(sample_ids)}"
        if bad := [name for name, value in by_name.items() if not math.isfinite(value)]:
            raise TrainingStopped(f"{', '.join(bad)} not finite on {where}; look at these images, or lower {self.rate}")
        self._flat_steps = self._flat_steps + 1 if flatness < _FLAT else 0
        self._same_steps = self._same_steps + 1 if difference < _SAME else 0
        pinned = bool(self.bounded) and sum(by_name[name] for name in self.bounded) < _PINNED
        self._pinned_steps = self._pinned_steps + 1 if pinned else 0
        if self._flat_steps >= self.patience:
            raise TrainingStopped(
                f"the generator has given images of one flat colour for {self.patience} steps, last on {where}: lower "
                f"{self.rate}, or take another seed"
            )
        if self._same_steps >= self.patience:
            raise TrainingStopped(
                f"the generator has given one and the same image for {self.patience} steps, last on {where}: lower "
                f"{self.rate}, or take another seed"
            )
        if self._pinned_steps >= self.patience:
            raise TrainingStopped(
                f"the discriminator's loss has been zero for {self.patience} steps, last on {where}: the generator "
                f"learns nothing more; lower {self.width}"
            )
