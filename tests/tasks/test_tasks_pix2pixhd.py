import copy

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from rbc_lightning.errors import TrainingStopped
from rbc_lightning.ops.gan_losses import discriminator_losses, feature_matching_loss, generator_loss
from rbc_lightning.ops.labels import semantic_condition
from rbc_lightning.tasks.gan_guard import CollapseGuard
from rbc_lightning.tasks.pix2pixhd import Pix2PixHDTask
from rbc_lightning.tasks.styles import StyleBank
from rbc_lightning.tasks.translator import Translator

TINY = {
    "base_channels": 4,
    "n_downsample": 2,
    "n_blocks": 1,
    "encoder_channels": 4,
    "encoder_downsample": 2,
    "discriminator_channels": 4,
    "n_epochs": 1,
    "n_epochs_decay": 1,
}


def make_sample(seed, height=32, width=32):
    """Blue squares on white, the shade drawn per image."""
    rng = np.random.default_rng(seed)
    label_map = torch.zeros(height, width, dtype=torch.int64)
    for number, (row, col) in enumerate(((3, 4), (17, 2), (14, 20)), start=1):
        label_map[row : row + 9, col : col + 8] = number
    image = torch.full((3, height, width), 0.9)
    image[:, label_map > 0] = torch.tensor(rng.uniform(0.2, 0.6, (3, 1)), dtype=torch.float32)
    return {"image": image, "label_map": label_map, "sample_id": f"s{seed}", "noise_seed": seed}


def make_trainer(**options):
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return pl.Trainer(accelerator="cpu", enable_model_summary=False, **(quiet | options))


def fit(task, samples, batch_size=1, **options):
    trainer = make_trainer(max_epochs=2, **options)
    trainer.fit(task, DataLoader(samples, batch_size=batch_size))
    return trainer


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
    judge = lambda x: task.adversary.discriminator(torch.cat((condition, x), dim=1))  # noqa: E731
    on_fake, on_real, on_detached = judge(fake), judge(image), judge(fake.detach())
    (generator_loss(on_fake) + 10 * feature_matching_loss(on_real, on_fake)).backward()
    painters = {n: p.grad for n, p in task.named_parameters() if not n.startswith("adversary")}
    task.adversary.discriminator.zero_grad()
    (sum(discriminator_losses(on_real, on_detached)) / 2).backward()
    return painters, {n: p.grad for n, p in task.named_parameters() if n.startswith("adversary")}


def test_each_step_has_the_reference_gradients_and_leaves_the_other_net_alone():
    torch.manual_seed(0)
    task = Pix2PixHDTask(style="concat", **TINY)  # no noise: the plain step sees the same image
    sample = make_sample(0)
    batch = {"image": sample["image"][None], "label_map": sample["label_map"][None]}
    painters, judges = plain_gradients(task, batch)
    watch = Gradients()
    fit(task, [sample], callbacks=[watch])
    at_generator_step, at_discriminator_step = watch.seen[:2]
    assert all(at_generator_step[name] is None for name in judges)
    for name, expected in painters.items():
        torch.testing.assert_close(at_generator_step[name], expected, rtol=1e-4, atol=1e-6)
        assert torch.equal(at_discriminator_step[name], at_generator_step[name])
    for name, expected in judges.items():
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


def test_learning_rate_is_constant_then_linear_per_epoch():
    class Rates(pl.Callback):
        def __init__(self):
            self.seen = []

        def on_train_epoch_start(self, trainer, pl_module):
            self.seen.append([optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers])

    task = Pix2PixHDTask(**(TINY | {"n_epochs": 2, "n_epochs_decay": 4, "learning_rate": 4e-4}))
    rates = Rates()
    make_trainer(max_epochs=6, callbacks=[rates]).fit(task, DataLoader([make_sample(0)]))
    # The reference: full rate while epoch <= n_epochs + 1 (from 1), then lr / n_epochs_decay less each epoch.
    expected = [4e-4, 4e-4, 4e-4, 3e-4, 2e-4, 1e-4]
    assert rates.seen == [pytest.approx([rate, rate]) for rate in expected]


@pytest.mark.parametrize("style", ["concat", "modulated"])
def test_checkpoint_round_trip_paints_the_same_image(style, tmp_path):
    torch.manual_seed(0)
    samples = [make_sample(i) for i in range(3)]
    task = Pix2PixHDTask(style=style, ema_decay=0.5, **TINY)
    trainer = fit(task, samples)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    loaded = Pix2PixHDTask.load_from_checkpoint(tmp_path / "last.ckpt", weights_only=True, map_location="cpu")
    label_map = samples[0]["label_map"].numpy()
    painted = [Translator.from_task(t, StyleBank.fit(t, samples)).paint(label_map, 3) for t in (task, loaded)]
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


def test_encoded_instances_hold_the_mean_colour():
    sample = make_sample(0)
    vectors = Pix2PixHDTask(**TINY).encode_instances(sample["image"], sample["label_map"])
    assert vectors.shape == (4, 6)
    cell = sample["image"][:, sample["label_map"] == 1].mean(dim=1) * 2 - 1
    torch.testing.assert_close(vectors[1, :3], cell)
    torch.testing.assert_close(vectors[0, :3], torch.full((3,), 0.8))


def test_guard_names_the_batch():
    guard = CollapseGuard(patience=3)
    good = {"g_gan": torch.tensor(1.0), "d_real": torch.tensor(0.3), "d_fake": torch.tensor(0.2)}
    noise, flat = torch.randn(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.3)
    guard.check(good, noise, ["a"])
    for bad in (float("nan"), float("inf")):
        with pytest.raises(TrainingStopped, match="g_gan not finite on batch smear_7, smear_9"):
            guard.check(good | {"g_gan": torch.tensor(bad)}, noise, ["smear_7", "smear_9"])
    for image in (flat, flat, noise, flat, flat):  # never three in a row
        guard.check(good, image, ["a"])
    with pytest.raises(TrainingStopped, match=r"one flat colour for 3 steps, last on batch smear_3"):
        guard.check(good, flat, ["smear_3"])
    pinned = good | {"d_real": torch.tensor(0.0), "d_fake": torch.tensor(0.0)}
    guard = CollapseGuard(patience=2)
    guard.check(pinned, noise, ["a"])
    with pytest.raises(TrainingStopped, match=r"loss has been zero for 2 steps, last on batch smear_4"):
        guard.check(pinned, noise, ["smear_4"])
    with pytest.raises(ValueError, match="patience must be at least 1 step, got 0"):
        CollapseGuard(patience=0)


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
