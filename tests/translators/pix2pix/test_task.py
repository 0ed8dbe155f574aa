"""The training step of the mode-seeking Pix2Pix: against one written the plain way, over processes, in bf16."""

import pickle
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from oracles.plain_mode_seeking_step import PlainModeSeekingStep
from pix2pixhd_helpers import make_trainer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Subset

from rbc_lightning.core.training import SharedBatch
from rbc_lightning.data.conversions import from_unit
from rbc_lightning.data.spec import RGB
from rbc_lightning.translators.pix2pix.structures.maps import structure_map
from rbc_lightning.translators.pix2pix.task import ModeSeekingPix2PixTask, class_weights

SIDE = 16
SIZES = {"size": SIDE, "base_channels": 4, "n_downsample": 4, "dropout": 0, "discriminator_channels": 4}
FORMS = {
    "full": {},
    "without term": {"lambda_mode_seeking": 0},
    "without structure": {"structure": False},
    "conditional": {"conditional": True},
    "latent": {"second": "latent", "latent_channels": 3, "lambda_mode_seeking": 1},
    "condition with codes": {"latent_channels": 2},
    "patches": {"structure": False, "conditional": True, "lambda_mode_seeking": 0, "kernel_size": 4, "discriminator": "patch"}
    | {"discriminator_strides": (2, 1, 1)},
    "small classes count more": {"l1_balance": 0.5},
}


def make_sample(index, side=SIDE):
    generator = torch.Generator().manual_seed(index)
    label_map = torch.zeros(side, side, dtype=torch.int64)
    label_map[1 + index % 5 : 8 + index % 3, 2:9], label_map[9:15, 6 + index % 4 : 15] = 1, 2
    image = 0.85 - 0.2 * torch.rand(3, side, side, generator=generator)
    image[:, label_map > 0] *= 0.3 + 0.4 * torch.rand(int((label_map > 0).sum()), generator=generator)
    return {"image": image, "label_map": label_map, "sample_id": f"s{index}", "noise_seed": 7 * index}


# Of the largest move of a weight: double precision leaves 2e-14, whatever the seed and the instructions; an error, about 1.
SAME = 1e-12
SAMPLES = [make_sample(index) for index in range(8)]
# Far apart, so that another sample's threshold would show.
THRESHOLDS = {sample["sample_id"]: 70.0 + 9 * index for index, sample in enumerate(SAMPLES)}


def batches(size=4, samples=SAMPLES):
    return list(DataLoader(samples, batch_size=size))


def descent(weights):
    # Not Adam: it divides every gradient by its own size, so rounding would decide the steps of those that are zero.
    return torch.optim.SGD(weights, 0.02)


class DescentTask(ModeSeekingPix2PixTask):
    def configure_optimizers(self):
        optimizers = [descent(network.parameters()) for network in (self.generator, self.discriminator)]
        return optimizers, [LambdaLR(optimizer, lambda epoch: 1.0) for optimizer in optimizers]


def build(form="full", task_class=DescentTask, **options):
    torch.manual_seed(0)
    task = task_class(**SIZES | FORMS[form] | options)
    # A fresh generator paints nearly the same under every condition, and the term's slope goes with one over the square of
    # the difference: so large a step would leave no figures for a comparison.
    for network, factor in ((task.generator, 4), (task.discriminator, 0.5)):
        for weight in network.parameters():
            if weight.ndim > 1:
                weight.data *= factor
    task.use_thresholds(THRESHOLDS)
    return task


def fit(task, data, **options):
    trainer = make_trainer(max_epochs=1, **options)
    trainer.fit(task, data if isinstance(data, pl.LightningDataModule) else DataLoader(data, batch_size=None))


def codes_of(batch, channels):
    """Two codes for each sample, drawn with NumPy."""

    def draw(seed):
        return torch.from_numpy(np.random.default_rng(seed).standard_normal((channels, 1, 1), dtype=np.float32)).flatten()

    return [(draw(int(seed)), draw(int(seed) + 2**62)) for seed in batch["noise_seed"]]


class Seen(pl.Callback):
    """What the networks are given and return, and the gradients that each optimiser finds."""

    def __init__(self, task):
        self.painted_from, self.painted, self.shown, self.gradients, self.steps = [], [], [], [], []
        task.generator.register_forward_hook(self._paint)
        task.discriminator.register_forward_pre_hook(lambda _, inputs: self.shown.append(inputs[0].detach().clone()))

    def _paint(self, _, inputs, output):
        self.painted_from.append(inputs[0].detach().clone())
        self.painted.append(output.detach().clone())
        output.register_hook(lambda gradient: self.gradients.append(gradient.clone()))

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.steps.append([gradients_of(network) for network in (pl_module.generator, pl_module.discriminator)])


def gradients_of(network):
    return [None if weight.grad is None else weight.grad.clone() for weight in network.parameters()]


# --- the step


@pytest.mark.parametrize("form", FORMS)
def test_two_steps_move_the_weights_as_the_plain_way_does(form, monkeypatch):
    # In double precision throughout: single rounds by 1e-7, which may cross the kink of an L1 term and then shows.
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    task = build(form).double()
    plain = PlainModeSeekingStep(task, THRESHOLDS if task.hparams["structure"] else None, descent)
    start = {name: weight.clone() for name, weight in task.named_parameters()}
    for batch in batches():
        plain.step(batch | {"image": batch["image"].double()}, codes_of(batch, task.hparams["latent_channels"]))
    fit(task, batches(), precision="64-true")
    for prefix, net in (("generator", plain.generator), ("discriminator", plain.discriminator)):
        expected = {f"{prefix}.{name}": weight for name, weight in net.named_parameters()}
        moves = torch.cat([(weight - start[name]).flatten() for name, weight in expected.items()])
        actual = dict(task.named_parameters())
        differences = torch.cat([(actual[name] - weight).flatten() for name, weight in expected.items()])
        assert moves.dtype == differences.dtype == torch.float64
        assert moves.abs().max() > 1e-4
        assert differences.abs().max() < SAME * moves.abs().max()


def test_class_weights_by_hand():
    """Of 16 pixels 12, 3 and 1: the square roots of 1/12, 1/3 and 1 over their mean; an image of one class has none."""
    values = torch.zeros(2, 4, 4, dtype=torch.int64)
    values[0, 0, :3], values[0, 3, 3] = 1, 5
    weights = class_weights(values, 0.5)
    mean = (12**0.5 + 3**0.5 + 1) / 16
    for value, count in ((0, 12), (1, 3), (5, 1)):
        torch.testing.assert_close(weights[0][values[0] == value], torch.full((count,), count**-0.5 / mean).double())
    assert torch.equal(weights[1], torch.ones(4, 4).double())
    assert torch.equal(class_weights(values, 0.0), torch.ones(2, 4, 4).double())


@pytest.mark.parametrize("form", ["full", "latent"])
def test_the_term_has_a_gradient_in_both_branches(form):
    """Alone, by hand: of w / n * b / (a + eps b), with a the mean absolute difference of the two images."""
    task = build(form, lambda_l1=0)
    for weight in task.discriminator.parameters():
        weight.data.zero_()  # and so no gradient from there
    seen, (batch, *_) = Seen(task), batches()
    fit(task, [batch], callbacks=[seen])
    n = 4 if form == "latent" else 2
    (images,), (gradient,) = seen.painted, seen.gradients
    first, second = images[:n], images[n:]
    if form == "latent":
        z = [torch.stack(codes) for codes in zip(*codes_of(batch, 3), strict=True)]
        b = (z[0] - z[1]).abs().mean(1)
    else:
        b = (seen.painted_from[0][:n] - seen.painted_from[0][n:]).abs().mean(dim=(1, 2, 3))
    a = (first - second).abs().mean(dim=(1, 2, 3))
    slope = task.hparams["lambda_mode_seeking"] / n * b / (a + 1e-5 * b) ** 2 / first[0].numel()
    expected = -slope[:, None, None, None] * torch.sign(first - second)
    assert expected.abs().min() > 0
    torch.testing.assert_close(gradient[:n], expected, rtol=1e-4, atol=0)
    torch.testing.assert_close(gradient[n:], -expected, rtol=1e-4, atol=0)


@pytest.mark.parametrize("form", FORMS)
def test_the_discriminator_sees_conditions_only_when_it_should_and_never_the_second_one(form):
    task = build(form)
    seen, (batch, *_) = Seen(task), batches()
    fit(task, [batch], callbacks=[seen])
    n_real = 4 // task.samples_per_image
    on_real, on_fake = seen.shown
    real = batch["image"][:n_real] * 2 - 1
    # Both images of a pair of latent codes are shown, of a pair of conditions the first.
    fake = seen.painted[0] if form == "latent" else seen.painted[0][:n_real]
    if task.hparams["conditional"]:
        condition = seen.painted_from[0][:n_real]
        real, fake = torch.cat([condition, real], 1), torch.cat([condition, fake], 1)
    assert torch.equal(on_real, real)
    assert torch.equal(on_fake, fake)
    assert on_real.shape[1] == 3 + (task.hparams["conditional"] and 1 + task.hparams["structure"])


def test_neither_step_touches_the_gradients_of_the_other():
    task = build()
    seen = Seen(task)
    fit(task, batches(), callbacks=[seen])
    first_g, first_d, second_g, second_d = seen.steps
    assert all(gradient is None for gradient in first_g[1])
    assert all(gradient is not None for gradient in first_d[1])
    for (before_g, before_d), (after_g, after_d), stepped in ((first_g, first_d, "d"), (first_d, second_g, "g")):
        same_g, same_d = same(before_g, after_g), same(before_d, after_d)
        assert (same_g, same_d) == ((True, False) if stepped == "d" else (False, True))
    assert same(second_g[0], second_d[0])


def same(first, second):
    return all(a is b is None or (a is not None and torch.equal(a, b)) for a, b in zip(first, second, strict=True))


def test_the_optimisers_are_those_of_the_papers():
    task = build(task_class=ModeSeekingPix2PixTask, n_epochs=2, n_epochs_decay=2)
    optimizers, schedulers = task.configure_optimizers()
    for optimizer, network in zip(optimizers, (task.generator, task.discriminator), strict=True):
        assert isinstance(optimizer, torch.optim.Adam)
        (group,) = optimizer.param_groups
        assert (group["lr"], group["betas"]) == (2e-4, (0.5, 0.999))
        assert [id(weight) for weight in group["params"]] == [id(weight) for weight in network.parameters()]
    assert [schedulers[0].lr_lambdas[0](epoch) for epoch in range(5)] == [1, 1, 1, 0.5, 0]


# --- the input of the generator


def test_the_second_condition_is_another_sample_with_its_own_threshold():
    task = build(dropout=0.5)
    assert task.samples_per_image == 2
    seen = Seen(task)
    fit(task, batches(2), callbacks=[seen])
    for given, (first, second) in zip(seen.painted_from, zip(SAMPLES[::2], SAMPLES[1::2], strict=True), strict=True):
        for condition, sample in zip(given, (first, second), strict=True):
            assert torch.equal(condition[0], (sample["label_map"] > 0) * 2.0 - 1)
            levels = from_unit(sample["image"].permute(1, 2, 0).numpy(), RGB)
            dark = structure_map(levels, THRESHOLDS[sample["sample_id"]])
            assert torch.equal(condition[1], torch.from_numpy(dark) * 2.0 - 1)


def test_an_odd_batch_cannot_be_paired():
    with pytest.raises(ValueError, match="a batch of 3 samples cannot be split into pairs; expected an even number"):
        fit(build(), batches(3))
    fit(build("without term"), batches(3))
    fit(build("latent"), batches(3))


def test_a_sample_without_a_threshold_is_named():
    task = build()
    task.use_thresholds({name: level for name, level in THRESHOLDS.items() if name != "s3"})
    with pytest.raises(ValueError, match="no structure threshold for s3: call use_thresholds with every training sample"):
        fit(task, batches())
    task = build("without structure")
    task.use_thresholds({})
    fit(task, batches())


# --- processes and precision


class Shared(pl.LightningDataModule):
    """Eight samples in two batches, shared out among the processes as the stream of training samples is."""

    def train_dataloader(self):
        rank, world_size = self.trainer.global_rank, self.trainer.world_size
        return DataLoader(Subset(SAMPLES, range(rank, len(SAMPLES), world_size)), batch_size=4 // world_size)


class Weights(pl.Callback):
    def __init__(self, path):
        self.path, self.gradients = path, []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        own = [weight for group in optimizer.param_groups for weight in group["params"]]
        self.gradients.append([weight.grad.clone() for weight in own])

    def on_train_end(self, trainer, pl_module):
        content = {"gradients": self.gradients, "weights": pl_module.state_dict()}
        torch.save(content, self.path.with_suffix(f".{trainer.global_rank}"))


@pytest.mark.parametrize("form", ["full", "latent"])
def test_two_processes_take_the_steps_of_one(form, tmp_path):
    def train(name, **options):
        path = tmp_path / name
        # Adam: the very optimisers of a run.
        task = build(form, ModeSeekingPix2PixTask)
        fit(task, Shared(), callbacks=[Weights(path)], use_distributed_sampler=False, **options)
        return [torch.load(part) for part in sorted(tmp_path.glob(f"{name}.*"))]

    (whole,) = train("one", devices=1)
    first, second = train("two", devices=2, strategy=SharedBatch("fork"))
    assert len(first["gradients"]) == len(whole["gradients"]) == 4
    for ours, theirs, expected in zip(first["gradients"], second["gradients"], whole["gradients"], strict=True):
        # Of the whole network: a bias before instance norm has rounding noise for a gradient.
        largest = max(float(gradient.abs().max()) for gradient in expected)
        for one, other, gradient in zip(ours, theirs, expected, strict=True):
            assert torch.equal(one, other)
            torch.testing.assert_close(one, gradient, rtol=0, atol=2e-5 * largest)
    for name, weight in first["weights"].items():
        assert torch.equal(weight, second["weights"][name]), name


def test_what_new_processes_are_given_can_be_sent_to_them():
    task = build("patches", structure=True)
    copy = pickle.loads(ForkingPickler.dumps(task))
    assert all(torch.equal(weight, copy.state_dict()[name]) for name, weight in task.state_dict().items())
    fit(copy, batches()[:1])  # with its thresholds


@pytest.mark.parametrize("form", ["full", "latent"])
def test_bf16_takes_nearly_the_same_step(form):
    start, exact, rough = (build(form) for _ in range(3))
    fit(exact, batches()[:1])
    fit(rough, batches()[:1], precision="bf16-mixed")
    for network in ("generator", "discriminator"):
        before, *after = (
            torch.cat([weight.detach().flatten() for weight in task.get_submodule(network).parameters()])
            for task in (start, exact, rough)
        )
        moves = [weights - before for weights in after]
        assert torch.isfinite(moves[1]).all()
        assert torch.cosine_similarity(*moves, dim=0) > 0.95
