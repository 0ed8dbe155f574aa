"""The step that GAN translators share, on two networks of one convolution each."""

import copy

import pytest
import pytorch_lightning as pl
import torch
from pix2pixhd_helpers import make_trainer
from torch import nn
from torch.utils.data import DataLoader

from rbc_lightning.translators.adversarial import AdversarialTask, Generated


class Toy(AdversarialTask):
    """Generator and discriminator are 1x1 convolutions; each batch makes a second image that only the losses see."""

    def __init__(self, learning_rate=0.01, n_epochs=2, n_epochs_decay=4):
        super().__init__()
        self.save_hyperparameters()
        self.hparams.update({"beta1": 0.5, "beta2": 0.999})
        self.generator, self.discriminator = nn.Conv2d(1, 2, 1), nn.Conv2d(2, 1, 1)
        self.events = []

    def trained_parameters(self):
        return [*self.generator.parameters()], [*self.discriminator.parameters()]

    def generate(self, batch):
        images = torch.cat([self.generator(batch["image"]), self.generator(-batch["image"])])
        return Generated(images, len(batch["image"]), batch["image"])

    def losses(self, batch, generated, seen):
        real = self.discriminator(generated.given.repeat(1, 2, 1, 1))
        fake = self.discriminator(seen)
        return {
            "g_gan": (fake - 1).square().mean(),
            "g_other": seen.abs().mean(),
            "d_real": (real - 1).square().mean(),
            "d_fake": fake.square().mean(),
        }

    def measures(self, generated, seen):
        return {"distance": (seen[: generated.n_images] - seen[generated.n_images :]).detach().abs().mean()}

    def after_steps(self):
        self.events.append([p.detach().clone() for p in self.parameters()])


def make_batch():
    return {"image": torch.rand(2, 1, 4, 4), "sample_id": ["a", "b"]}


def plain_step(task, batch):
    """The weights after a step with whole graphs and a pass of the discriminator for each loss."""
    task = copy.deepcopy(task)
    optimizers = [torch.optim.Adam(p, 0.01, betas=(0.5, 0.999)) for p in task.trained_parameters()]
    images = task.generate(batch).images
    on_fake = task.discriminator(images)
    on_cut, on_real = task.discriminator(images.detach()), task.discriminator(batch["image"].repeat(1, 2, 1, 1))
    losses = (on_fake - 1).square().mean() + images.abs().mean(), (on_real - 1).square().mean() + on_cut.square().mean()
    for parameters, loss in zip(task.trained_parameters(), (losses[0], losses[1] / 2), strict=True):
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters, retain_graph=True), strict=True):
            parameter.grad = gradient
    for optimizer in optimizers:
        optimizer.step()
    return [p.detach() for p in task.parameters()]


def test_a_step_moves_both_networks_as_whole_graphs_do():
    torch.manual_seed(0)
    task, batch = Toy(), make_batch()
    expected = plain_step(task, batch)
    trainer = make_trainer(max_epochs=1)
    trainer.fit(task, DataLoader([batch], batch_size=None))
    # Once a step, when both networks have moved.
    (after,) = task.events
    for ours, plain in zip(after, expected, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-7)
    names = {f"train/{name}" for name in ("g_gan", "g_other", "d_real", "d_fake", "distance")}
    assert set(trainer.callback_metrics) == names
    assert trainer.callback_metrics["train/distance"] > 0


def test_the_guard_watches_the_counted_images_alone(monkeypatch):
    watched = []
    task = Toy()
    monkeypatch.setattr(task.guard, "check", lambda losses, images, ids: watched.append((len(images), ids)))
    make_trainer(max_epochs=1).fit(task, DataLoader([make_batch()], batch_size=None))
    assert watched == [(2, ["a", "b"])]


@pytest.mark.parametrize(("decay", "expected"), [(4, [1, 1, 1, 0.75, 0.5, 0.25]), (0, [1, 1, 1, 1, 1, 1])])
def test_learning_rates_are_constant_then_linear_per_epoch(decay, expected):
    class Rates(pl.Callback):
        def __init__(self):
            self.seen = []

        def on_train_epoch_start(self, trainer, pl_module):
            self.seen.append([optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers])

    rates = Rates()
    task = Toy(learning_rate=0.01, n_epochs_decay=decay)
    make_trainer(max_epochs=6, callbacks=[rates]).fit(task, DataLoader([make_batch()], batch_size=None))
    # The public pix2pixHD: full rate while epoch <= n_epochs + 1 (from 1), then lr / n_epochs_decay less each epoch.
    assert rates.seen == [pytest.approx([0.01 * share] * 2) for share in expected]
