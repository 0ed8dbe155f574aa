"""Training of pair GANs: DCGAN (Radford et al. 2016), WGAN (Arjovsky et al. 2017), WGAN-GP (Gulrajani et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast, get_args

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from rbc_lightning.core.build import Spec, build
from rbc_lightning.data.spec import ImageSpec
from rbc_lightning.pairs.gan.encoding import PairCode
from rbc_lightning.pairs.gan.losses import Objective, critic_loss, generator_loss, gradient_penalty
from rbc_lightning.pairs.gan.nets import Norm, PairCritic, PairGenerator, Upsampling
from rbc_lightning.translators.adversarial import CollapseGuard, averaged
from rbc_lightning.translators.diff_augment import augment, draw_augmentations, parse_policy
from rbc_lightning.translators.pix2pixhd.layers import check_range

Noise = Literal["uniform", "normal"]
ADAM: Spec = {"_target_": "torch.optim.Adam", "lr": 1e-4, "betas": [0.0, 0.9]}

# Of each sample's seed: the noise that the critic sees, that of the generator's step, the points of the penalty.
_CRITIC, _GENERATOR, _BETWEEN = 0x6A1, 0x6A2, 0x6A3


class PairGanTask(pl.LightningModule):
    """Train generator and critic of whole pairs; see `training_step`.

    A batch holds `image` float32 (n, C, size, size) in [0, 1], `label_map` int64 (n, size, size), `sample_id` (n strings) and
    `noise_seed` int64 (n,), n a multiple of `n_critic`. Call `use_conditions` first where it is conditioned.

    Logs `train/g_loss`, `train/d_loss`, `train/d_penalty`, and of generated pairs and of real ones (`_real`): `train/empty`,
    the share without anything labelled, `train/labelled`, the share of labelled pixels, `train/distance`, the mean absolute
    difference of two.

    Args:
        size: side of the pairs, pixels; see `nets.halvings`.
        objective: "log" (DCGAN) or "wasserstein".
        n_critic: steps of the critic for each of the generator.
        clip: bound of the critic's weights after each of its steps (WGAN: 0.01); 0 = off.
        penalty: weight of the penalty on its gradient (WGAN-GP: 10); 0 = off.
        latent: numbers of noise.
        noise: "uniform" in [-1, 1) (DCGAN) or "normal".
        base_channels: see `PairGenerator`; the critic's as well.
        norm: of the generator.
        upsampling: see `PairGenerator`.
        critic_norm: of the critic; no "batch" under a penalty, which is of single pairs.
        optimizer: `_target_` and arguments of both optimisers.
        ema_decay: decay per step of the running mean of the generator, which is what draws pairs; 0 = off.
        diff_augment: differentiable augmentation of what the critic sees, "color,translation,cutout"; empty = off. Colours
            change in the image alone, the mask moves and vanishes with it.
        conditioned: on a number for each sample, the height of a slice.
        contour: see `PairCode`.
        image: arguments of the data set's `ImageSpec`; none for 8-bit RGB with dark objects.

    Raises:
        ValueError: an argument out of its range.
    """

    def __init__(
        self,
        size: int = 64,
        objective: Objective = "wasserstein",
        n_critic: int = 5,
        clip: float = 0.0,
        penalty: float = 10.0,
        latent: int = 100,
        noise: Noise = "normal",
        base_channels: int = 64,
        norm: Norm = "batch",
        upsampling: Upsampling = "transposed",
        critic_norm: Norm = "layer",
        optimizer: Spec = ADAM,
        ema_decay: float = 0.0,
        diff_augment: str = "",
        conditioned: bool = False,
        contour: bool = False,
        image: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        image, optimizer = dict(image or {}), dict(optimizer)
        self.save_hyperparameters()
        self.automatic_optimization = False
        for name, word, words in (
            ("objective", objective, Objective),
            ("noise", noise, Noise),
            ("norm", norm, Norm),
            ("upsampling", upsampling, Upsampling),
            ("critic_norm", critic_norm, Norm),
        ):
            if word not in get_args(words):
                raise ValueError(f"{name} must be one of {', '.join(get_args(words))}, got {word!r}")
        for name, number in (("n_critic", n_critic), ("latent", latent), ("base_channels", base_channels)):
            if not isinstance(number, int):
                raise ValueError(f"{name} must be a whole number of at least 1, got {number}")
        check_range(1, n_critic=n_critic)
        check_range(0, clip=clip, penalty=penalty)
        check_range(0.0, 1.0, ema_decay=ema_decay)
        if penalty and critic_norm == "batch":
            raise ValueError("critic_norm must be layer or none under a penalty, which is of single pairs, got 'batch'")
        parse_policy(diff_augment)
        self.code = PairCode(ImageSpec(**image), contour)
        channels = self.code.channels
        self.generator = PairGenerator(channels, size, latent, base_channels, norm, upsampling, conditioned=conditioned)
        self.critic = PairCritic(channels, size, base_channels, critic_norm, conditioned=conditioned)
        self.average: AveragedModel | None = averaged(self.generator, ema_decay, buffers=True) if ema_decay else None
        bounded = ("d_loss",) if objective == "log" else ()
        self.guard = CollapseGuard(rate="pairs.task.optimizer.lr", width="pairs.task.base_channels", bounded=bounded)
        self._conditions: dict[str, float] = {}
        # Refuses their arguments before anything is written.
        self.configure_optimizers()

    def use_conditions(self, conditions: Mapping[str, float]) -> None:
        """Give every training sample's number, by sample_id."""
        self._conditions = dict(conditions)

    @property
    def drawing_network(self) -> PairGenerator:
        """What draws pairs: the running mean where it is kept."""
        return self.generator if self.average is None else cast(PairGenerator, self.average.module)

    def draw_noise(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Noise of one pair, float32 (latent,)."""
        latent = self.hparams["latent"]
        drawn = rng.uniform(-1, 1, latent) if self.hparams["noise"] == "uniform" else rng.standard_normal(latent)
        return np.asarray(drawn, np.float32)

    def configure_optimizers(self) -> list[Optimizer]:
        """One for the generator, one for the critic."""
        networks: tuple[nn.Module, ...] = (self.generator, self.critic)
        name = "pairs.task.optimizer"
        return [build(self.hparams["optimizer"], name, params=[*network.parameters()]) for network in networks]

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Step the critic `n_critic` times, each on its own part of the batch, then the generator once.

        The generated pairs are cut from the generator's graph before the critic sees them, and in the generator's step the
        gradient is carried across the cut by hand: neither step touches the other's gradients.
        """
        n_critic, n_samples = self.hparams["n_critic"], len(batch["image"])
        if n_samples % n_critic:
            raise ValueError(f"a batch of {n_samples} samples cannot be split among {n_critic} steps of the critic")
        pairs, condition = self.code.encode(batch["image"], batch["label_map"]), self._condition(batch)
        seeds, size = batch["noise_seed"].tolist(), n_samples // n_critic
        critic: list[dict[str, Tensor]] = []
        for first in range(0, n_samples, size):
            rows = slice(first, first + size)
            part = pairs[rows], None if condition is None else condition[rows], seeds[rows]
            critic.append(self._step_critic(*part))
        means = {name: torch.stack([losses[name] for losses in critic]).mean() for name in critic[0]}
        logged = self._step_generator(*part, means, batch["sample_id"][-size:]) | self._measures(part[0], "_real")
        self.log_dict({f"train/{name}": value for name, value in logged.items()}, batch_size=size)

    def _step_critic(self, real: Tensor, condition: Tensor | None, seeds: Sequence[int]) -> dict[str, Tensor]:
        # Autocast keeps weights as it cast them first: before a step, and without a graph where none was wanted.
        torch.clear_autocast_cache()
        _, optimizer = cast(list[Any], self.optimizers())
        losses = self._critic_losses(real, condition, seeds)
        optimizer.zero_grad()
        self.manual_backward(torch.stack([*losses.values()]).sum())
        optimizer.step()
        if clip := self.hparams["clip"]:
            with torch.no_grad():
                for weight in self.critic.parameters():
                    weight.clamp_(-clip, clip)
        return {name: loss.detach() for name, loss in losses.items()}

    def _step_generator(
        self, real: Tensor, condition: Tensor | None, seeds: Sequence[int], critic: Mapping[str, Tensor], names: Sequence[str]
    ) -> dict[str, Tensor]:
        """Step the generator, unless what it gives and the critic's losses show that training cannot go on."""
        torch.clear_autocast_cache()
        optimizer, _ = cast(list[Any], self.optimizers())
        fake = self.generator(self._noise(seeds, _GENERATOR, real), condition).float()
        seen = fake.detach().requires_grad_()
        loss = generator_loss(self.critic(self._shown(seen, seeds), condition), self.hparams["objective"])
        losses, measures = {"g_loss": loss.detach(), **critic}, self._measures(seen.detach(), "")
        self.guard.check(losses, seen, names, measures.get("distance"))
        (gradient,) = torch.autograd.grad(loss, seen)
        optimizer.zero_grad()
        self.manual_backward(fake, gradient)
        optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.generator)
        return losses | measures

    def _critic_losses(self, real: Tensor, condition: Tensor | None, seeds: Sequence[int]) -> dict[str, Tensor]:
        with torch.no_grad():
            fake = self.generator(self._noise(seeds, _CRITIC, real), condition).float()
        real, fake = self._shown(real, seeds), self._shown(fake, seeds)
        losses = {"d_loss": critic_loss(self.critic(real, condition), self.critic(fake, condition), self.hparams["objective"])}
        if self.hparams["penalty"]:
            mixed = real.new_tensor([np.random.default_rng([seed, _BETWEEN]).random() for seed in seeds])
            term = gradient_penalty(lambda pairs: self.critic(pairs, condition), real, fake, mixed)
            losses["d_penalty"] = self.hparams["penalty"] * term
        return losses

    def _shown(self, pairs: Tensor, seeds: Sequence[int]) -> Tensor:
        """Pairs as the critic sees them."""
        if not self.hparams["diff_augment"]:
            return pairs
        parameters = draw_augmentations(seeds, self.hparams["diff_augment"], *pairs.shape[2:])
        n = self.code.spec.n_channels
        return torch.cat(augment(parameters, pairs[:, :n], pairs[:, n:]), dim=1)

    def _noise(self, seeds: Sequence[int], stream: int, like: Tensor) -> Tensor:
        drawn = [self.draw_noise(np.random.default_rng([seed, stream])) for seed in seeds]
        return torch.from_numpy(np.stack(drawn)).to(like)

    def _condition(self, batch: dict[str, Any]) -> Tensor | None:
        if not self.hparams["conditioned"]:
            return None
        if missing := [name for name in batch["sample_id"] if name not in self._conditions]:
            raise ValueError(f"no condition for {missing[0]}: call use_conditions with every training sample")
        return torch.tensor([self._conditions[name] for name in batch["sample_id"]], device=batch["image"].device)

    def _measures(self, pairs: Tensor, ending: str) -> dict[str, Tensor]:
        inside = self.code.labelled(pairs).flatten(1).float()
        found = {"empty": 1 - inside.amax(dim=1).mean(), "labelled": inside.mean()}
        if len(pairs) > 1:
            found["distance"] = (pairs - pairs.roll(1, 0)).abs().mean()
        return {f"{name}{ending}": value for name, value in found.items()}
