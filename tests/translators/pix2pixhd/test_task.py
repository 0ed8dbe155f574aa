import copy

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pix2pixhd_helpers import TINY, fit, make_sample

from rbc_lightning.core.labels import semantic_condition
from rbc_lightning.errors import TrainingStopped
from rbc_lightning.translators.losses import discriminator_losses, feature_matching_loss, generator_loss
from rbc_lightning.translators.pix2pixhd.styles import StyleBank
from rbc_lightning.translators.pix2pixhd.task import Pix2PixHDTask
from rbc_lightning.translators.pix2pixhd.translator import Pix2PixHDTranslator


class Gradients(pl.Callback):
    """Keep every network's gradients as they are when an optimiser is about to step."""

    def __init__(self):
        self.seen = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        grads = {name: p.grad if p.grad is None else p.grad.clone() for name, p in pl_module.named_parameters()}
        self.seen.append(grads)


def plain_gradients(task, batch):
    """Gradients of one step written the reference's way: three discriminator passes, whole graphs."""
    task = copy.deepcopy(task)
    image, condition = batch["image"] * 2 - 1, semantic_condition(batch["label_map"])
    fake = task(condition, task.encoder(image, batch["label_map"]), torch.zeros(1, dtype=torch.int64))
    discriminate = lambda x: task.adversary.discriminator(torch.cat((condition, x), dim=1))  # noqa: E731
    on_fake, on_real, on_detached = discriminate(fake), discriminate(image), discriminate(fake.detach())
    (generator_loss(on_fake) + 10 * feature_matching_loss(on_real, on_fake)).backward()
    generating = {n: p.grad for n, p in task.named_parameters() if not n.startswith("adversary")}
    task.adversary.discriminator.zero_grad()
    (sum(discriminator_losses(on_real, on_detached)) / 2).backward()
    return generating, {n: p.grad for n, p in task.named_parameters() if n.startswith("adversary")}


def test_each_step_has_the_reference_gradients_and_leaves_the_other_net_alone():
    torch.manual_seed(0)
    task = Pix2PixHDTask(style="concat", **TINY)  # no noise: the plain step sees the same image
    sample = make_sample(0)
    batch = {"image": sample["image"][None], "label_map": sample["label_map"][None]}
    generating, discriminating = plain_gradients(task, batch)
    watch = Gradients()
    fit(task, [sample], callbacks=[watch])
    at_generator_step, at_discriminator_step = watch.seen[:2]
    assert all(at_generator_step[name] is None for name in discriminating)
    for name, expected in generating.items():
        torch.testing.assert_close(at_generator_step[name], expected, rtol=1e-4, atol=1e-6)
        assert torch.equal(at_discriminator_step[name], at_generator_step[name])
    for name, expected in discriminating.items():
        torch.testing.assert_close(at_discriminator_step[name], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("style", ["concat", "modulated"])
def test_training_moves_every_weight_and_logs_four_losses(style):
    torch.manual_seed(0)
    task = Pix2PixHDTask(style=style, **TINY)
    before = {name: p.detach().clone() for name, p in task.named_parameters() if name.endswith("weight")}
    # 30 x 34 is no multiple of 4: padded inside.
    trainer = fit(task, [make_sample(i, 30, 34) for i in range(4)], batch_size=2)
    assert set(trainer.callback_metrics) == {"train/g_gan", "train/g_feature", "train/d_real", "train/d_fake"}
    after = dict(task.named_parameters())
    assert not [name for name, weight in before.items() if torch.equal(after[name], weight)]


@pytest.mark.parametrize("style", ["concat", "modulated"])
def test_checkpoint_round_trip_generates_the_same_image(style, tmp_path):
    torch.manual_seed(0)
    samples = [make_sample(i) for i in range(3)]
    task = Pix2PixHDTask(style=style, ema_decay=0.5, **TINY)
    trainer = fit(task, samples)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    loaded = Pix2PixHDTask.load_from_checkpoint(tmp_path / "last.ckpt", weights_only=True, map_location="cpu")
    label_map = samples[0]["label_map"].numpy()
    painted = [Pix2PixHDTranslator.from_task(t, StyleBank.fit(t, samples)).paint(label_map, 3) for t in (task, loaded)]
    assert np.array_equal(*painted)


def test_running_mean_follows_by_its_decay():
    task = Pix2PixHDTask(ema_decay=0.75, **TINY)
    name, weight = next(task.generator.named_parameters())
    trail = []

    class Watch(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            trail.append(weight.detach().clone())

    fit(task, [make_sample(0)], callbacks=[Watch()])
    mean = dict(task.painting_networks()[0].named_parameters())[name]
    torch.testing.assert_close(mean, 0.75 * trail[0] + 0.25 * trail[1])
    assert not mean.requires_grad


def test_a_bad_image_stops_training_by_name():
    sample = make_sample(5)
    sample["image"][0, 0, 0] = float("nan")
    with pytest.raises(TrainingStopped, match="not finite on batch s5"):
        fit(Pix2PixHDTask(**TINY), [sample])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"style": "spade"}, "unknown style 'spade': choose one of modulated, concat"),
        ({"gan_loss": "wgan"}, "unknown gan_loss 'wgan'"),
        ({"base_channels": 0}, "base_channels must be an integer of at least 1, got 0"),
        ({"n_blocks": 1.5}, "n_blocks must be an integer of at least 0, got 1.5"),
        ({"lambda_feature": -1.0}, "lambda_feature must be at least 0"),
        ({"n_epochs": 0, "n_epochs_decay": 0}, "n_epochs . n_epochs_decay must be at least 1, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive, got 0"),
        ({"ema_decay": 1.0}, r"ema_decay must be in \[0.0, 1.0\), got 1.0"),
        ({"beta1": 1.5}, r"beta1 must be in \[0.0, 1.0\), got 1.5"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Pix2PixHDTask(**options)
