"""One training step of the mode-seeking Pix2Pix the plain way: images one by one, whole graphs, explicit losses.

As in Allender et al., eq. 2-5, and Mao et al. 2019: two discriminator passes on the generated images, once cut from the
generator for the discriminator's own loss and once for the generator's, whose backward pass also fills the discriminator's
gradients, to be thrown away. Of the package nothing but the two networks is used, as copies.
"""

import copy

import numpy as np
import torch
from torch import Tensor


def grey_levels(image: Tensor) -> np.ndarray:
    """Rec. 601 grey of an image (3, H, W) in [0, 1], rounded halves up, as whole numbers."""
    red, green, blue = np.round(image.double().numpy() * 255)
    return np.floor((299 * red + 587 * green + 114 * blue) / 1000 + 0.5).astype(int)


class PlainModeSeekingStep:
    """Copies of a task's networks, their optimisers, and the step.

    Args:
        task: its hyperparameters and weights are copied; dropout must be 0.
        thresholds: grey level by sample_id; None leaves structure maps out.
        descent: makes an optimiser of a list of parameters.
    """

    def __init__(self, task, thresholds, descent) -> None:
        self.generator, self.discriminator = copy.deepcopy(task.generator), copy.deepcopy(task.discriminator)
        self.options, self.thresholds = dict(task.hparams), thresholds
        self.optimizer_g = descent(self.generator.parameters())
        self.optimizer_d = descent(self.discriminator.parameters())

    def condition(self, batch, index: int) -> Tensor:
        """Mask, and structure map, of one sample: (C, H, W), -1 or 1."""
        planes = [batch["label_map"][index].numpy() > 0]
        if self.thresholds is not None:
            planes.append(grey_levels(batch["image"][index]) <= self.thresholds[batch["sample_id"][index]])
        return torch.tensor(np.array(planes) * 2.0 - 1.0, dtype=batch["image"].dtype)

    def paint(self, condition: Tensor, code: Tensor) -> Tensor:
        """One image (3, H, W)."""
        planes = [torch.full_like(condition[0], float(value)) for value in code]
        return self.generator(torch.cat([condition, *(plane[None] for plane in planes)])[None])[0]

    def discriminate(self, condition: Tensor, image: Tensor) -> Tensor:
        """Logits of one image."""
        seen = torch.cat([condition, image]) if self.options["conditional"] else image
        return self.discriminator(seen[None])[0]

    def distance(self, fake: Tensor, real: Tensor, foreground: Tensor) -> Tensor:
        """Mean absolute difference of two images, in which a class of n pixels weighs n to the power of 1 - `l1_balance`."""
        total = torch.zeros((), dtype=fake.dtype)
        weights = 0.0
        for inside in (foreground, ~foreground):
            n = int(inside.sum())
            if n:
                total = total + n ** (1 - self.options["l1_balance"]) * (fake - real)[:, inside].abs().mean()
                weights += n ** (1 - self.options["l1_balance"])
        return total / weights

    def step(self, batch, codes: list[tuple[Tensor, Tensor]]) -> None:
        """Train on a batch; `codes` holds two latent codes for each sample, of which the form may use none or one."""
        weight, latent = self.options["lambda_mode_seeking"], self.options["second"] == "latent"
        n_samples = len(batch["image"])
        n_real = n_samples // 2 if weight and not latent else n_samples
        adversarial, distances, terms, losses_d = [], [], [], []
        for index in range(n_real):
            real, condition = batch["image"][index] * 2 - 1, self.condition(batch, index)
            fakes = [self.paint(condition, codes[index][0])]
            shown = list(fakes)
            if weight and latent:
                fakes.append(self.paint(condition, codes[index][1]))
                shown = list(fakes)
                differing = [code.to(condition) for code in codes[index]]
            elif weight:
                other = self.condition(batch, n_real + index)
                fakes.append(self.paint(other, codes[n_real + index][0]))
                differing = (condition, other)
            if weight:
                a, b = (fakes[0] - fakes[1]).abs().mean(), (differing[0] - differing[1]).abs().mean()
                # Mao et al.: one over the ratio and a little; of the same conditions nothing is asked.
                terms.append(1 / (a / b + 1e-5) if b > 0 else a * 0)
            adversarial += [torch.log(1 + torch.exp(-self.discriminate(condition, fake))).mean() for fake in shown]
            distances.append(self.distance(fakes[0], real, batch["label_map"][index] > 0))
            on_fake = [torch.log(1 + torch.exp(self.discriminate(condition, fake.detach()))).mean() for fake in shown]
            losses_d.append(sum(on_fake) / len(on_fake) + torch.log(1 + torch.exp(-self.discriminate(condition, real))).mean())
        loss_g = sum(adversarial) / len(adversarial) + self.options["lambda_l1"] * sum(distances) / n_real
        if weight:
            loss_g = loss_g + weight * sum(terms) / n_real
        self.optimizer_g.zero_grad()
        loss_g.backward()
        self.optimizer_g.step()
        self.optimizer_d.zero_grad()
        (0.5 * sum(losses_d) / n_real).backward()
        self.optimizer_d.step()
