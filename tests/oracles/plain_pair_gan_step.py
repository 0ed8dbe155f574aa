"""One step of a pair GAN the plain way: whole graphs, losses written out, the penalty pair by pair, weights clipped one by one.

As in the three papers: the critic's steps on detached pairs, then the generator's, whose backward pass also fills the critic's
gradients, to be thrown away. Of the package nothing but the two networks is used, as copies.
"""

import copy

import numpy as np
import torch

CRITIC, GENERATOR, BETWEEN = 0x6A1, 0x6A2, 0x6A3


class PlainPairGanStep:
    """Copies of a task's networks, and plain gradient descent of rate `rate`.

    Args:
        task: its hyperparameters and weights are copied.
        rate: of both networks.
        heights: by sample_id; None without a condition.
    """

    def __init__(self, task, rate, heights=None):
        self.generator, self.critic = copy.deepcopy(task.generator), copy.deepcopy(task.critic)
        self.mean = {name: value.clone() for name, value in self.generator.state_dict().items()}
        self.options, self.rate, self.heights, self.moved = dict(task.hparams), rate, heights, False

    def encode(self, batch, index):
        """Image channels and one for each class, from -1 to 1."""
        classes = self.options["image"]["classes"]
        planes = [batch["image"][index] * 2 - 1]
        for value in range(1, len(classes) + 1):
            planes.append(torch.where(batch["label_map"][index] == value, 1.0, -1.0)[None])
        return torch.cat(planes)

    def noise(self, seeds, stream):
        rngs = [np.random.default_rng([seed, stream]) for seed in seeds]
        latent = self.options["latent"]
        uniform = self.options["noise"] == "uniform"
        rows = [rng.uniform(-1, 1, latent) if uniform else rng.standard_normal(latent) for rng in rngs]
        return torch.tensor(np.array(rows), dtype=torch.float32)

    def descend(self, net, loss):
        for weight in (*self.generator.parameters(), *self.critic.parameters()):
            weight.grad = None
        loss.backward()
        with torch.no_grad():
            for weight in net.parameters():
                weight -= self.rate * weight.grad

    def penalty(self, real, fake, condition, seeds):
        total = 0
        for index, seed in enumerate(seeds):
            share = float(np.float32(np.random.default_rng([seed, BETWEEN]).random()))
            point = (share * real[index] + (1 - share) * fake[index])[None].requires_grad_()
            given = None if condition is None else condition[index : index + 1]
            (slope,) = torch.autograd.grad(self.critic(point, given)[0], point, create_graph=True)
            total = total + (torch.sqrt((slope**2).sum()) - 1) ** 2
        return self.options["penalty"] * total / len(seeds)

    def step(self, batch):
        n_critic, n = self.options["n_critic"], len(batch["image"])
        size, log = n // n_critic, self.options["objective"] == "log"
        for part in range(n_critic):
            rows = range(part * size, (part + 1) * size)
            seeds = [int(batch["noise_seed"][index]) for index in rows]
            real = torch.stack([self.encode(batch, index) for index in rows])
            condition = None
            if self.heights is not None:
                condition = torch.tensor([self.heights[batch["sample_id"][index]] for index in rows])
            fake = self.generator(self.noise(seeds, CRITIC), condition).detach()
            on_real, on_fake = self.critic(real, condition), self.critic(fake, condition)
            if log:
                loss = -torch.log(torch.sigmoid(on_real)).mean() - torch.log(1 - torch.sigmoid(on_fake)).mean()
            else:
                loss = on_fake.mean() - on_real.mean()
            if self.options["penalty"]:
                loss = loss + self.penalty(real, fake, condition, seeds)
            self.descend(self.critic, loss)
            if self.options["clip"]:
                with torch.no_grad():
                    for weight in self.critic.parameters():
                        weight.copy_(weight.clamp(-self.options["clip"], self.options["clip"]))
        scores = self.critic(self.generator(self.noise(seeds, GENERATOR), condition), condition)
        self.descend(self.generator, -torch.log(torch.sigmoid(scores)).mean() if log else -scores.mean())
        decay = self.options["ema_decay"]
        for name, value in self.generator.state_dict().items():
            # The first value is taken as it is.
            self.mean[name] = decay * self.mean[name] + (1 - decay) * value if self.moved else value.clone()
        self.moved = True
