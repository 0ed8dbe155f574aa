"""The training step of pair GANs: against one written the plain way, over processes, in bf16."""

import pickle
from multiprocessing.reduction import ForkingPickler

import pytest
import pytorch_lightning as pl
import torch
from oracles.plain_pair_gan_step import PlainPairGanStep
from pair_gan_helpers import FORMS, TASK, slices
from pix2pixhd_helpers import make_trainer
from torch.utils.data import DataLoader, Subset

from rbc_lightning.core.build import build
from rbc_lightning.core.files import to_plain
from rbc_lightning.core.training import SharedBatch
from rbc_lightning.data.conversions import to_unit
from rbc_lightning.errors import TrainingStopped
from rbc_lightning.pairs.gan.task import PairGanTask

RATE = 0.05
PLAIN = {"_target_": "torch.optim.SGD", "lr": RATE}
TRAIN = slices("a", "b", classes=("lesion", "other"))
IMAGE = {"channels": ["FLAIR", "T1w"], "value_range": [0, 4095], "labels": "classes", "classes": ["lesion", "other"]}


def sample(index):
    one = TRAIN.samples[index % len(TRAIN)]
    image = torch.from_numpy(to_unit(one.load_image()[:32, :32].transpose(2, 0, 1).copy(), one.spec))
    label_map = torch.from_numpy(one.load_label_map()[8:40, 8:40].copy()).long()
    return {"image": image, "label_map": label_map, "sample_id": one.sample_id, "noise_seed": 5 * index}


SAMPLES = [sample(index) for index in range(8)]
HEIGHTS = {one.sample_id: index / 7 for index, one in enumerate(TRAIN.samples)}


def task_of(form="wgan_gp", **changes):
    torch.manual_seed(1)
    spec = {**TASK, **FORMS[form], "optimizer": PLAIN, **changes, "_recursive_": False}
    task = build(spec, "pairs.task", image=to_plain(IMAGE))
    task.use_conditions(HEIGHTS)
    return task


def fit(task, samples=SAMPLES, batch_size=4, **options):
    trainer = make_trainer(max_epochs=1, **options)
    trainer.fit(task, DataLoader(samples, batch_size=batch_size))
    return trainer


@pytest.mark.parametrize("conditioned", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_two_steps_move_the_weights_as_the_plain_way_does(form, conditioned):
    task = task_of(form, conditioned=conditioned)
    start = {name: value.clone() for name, value in task.state_dict().items()}
    plain = PlainPairGanStep(task, RATE, HEIGHTS if conditioned else None)
    fit(task)
    for batch in DataLoader(SAMPLES, batch_size=4):
        plain.step(batch)
    nets = {"generator": plain.generator.state_dict(), "critic": plain.critic.state_dict(), "average.module": plain.mean}
    for prefix, expected in nets.items():
        moved = max(float((value - start[f"{prefix}.{name}"]).abs().max()) for name, value in expected.items())
        assert moved > 1e-4
        for name, value in expected.items():
            if name.endswith("num_batches_tracked"):
                continue
            torch.testing.assert_close(task.state_dict()[f"{prefix}.{name}"], value, rtol=0, atol=2e-5 * max(moved, 0.1))


def test_losses_and_what_is_drawn_are_logged():
    trainer = fit(task_of(conditioned=True), SAMPLES[:4])
    logged = {name.removeprefix("train/"): float(value) for name, value in trainer.callback_metrics.items()}
    measures = {"empty", "labelled", "distance"}
    assert logged.keys() == {"g_loss", "d_loss", "d_penalty", *measures, *(f"{name}_real" for name in measures)}
    label_maps = torch.stack([one["label_map"] for one in SAMPLES[2:4]])
    # The last slice of a scan shows nothing.
    assert logged["empty_real"] == 0.5
    assert logged["labelled_real"] == pytest.approx(float((label_maps > 0).float().mean()))
    assert 0.01 < logged["distance_real"] < 0.1


def test_clipped_weights_and_the_optimisers_of_the_papers():
    task = task_of("wgan", optimizer={"_target_": "torch.optim.RMSprop", "_partial_": True, "lr": 5e-5})
    assert [type(one) for one in task.configure_optimizers()] == [torch.optim.RMSprop] * 2
    fit(task)
    assert max(float(weight.detach().abs().max()) for weight in task.critic.parameters()) == pytest.approx(0.01)
    adam = task_of("dcgan", optimizer={"_target_": "torch.optim.Adam", "lr": 2e-4, "betas": [0.5, 0.999]})
    generator, critic = adam.configure_optimizers()
    assert tuple(generator.defaults["betas"]) == (0.5, 0.999)
    assert [len(one.param_groups[0]["params"]) for one in (generator, critic)] == [
        len([*net.parameters()]) for net in (adam.generator, adam.critic)
    ]


def test_the_generators_step_leaves_the_critics_gradients_as_they_are(monkeypatch):
    seen = []
    backward = PairGanTask.manual_backward

    def manual_backward(task, loss, *rest):
        before = [None if weight.grad is None else weight.grad.clone() for weight in task.parameters()]
        backward(task, loss, *rest)
        now = [weight.grad for weight in task.parameters()]
        changed = [
            now_ is not None and (was is None or not torch.equal(was, now_)) for was, now_ in zip(before, now, strict=True)
        ]
        names = {name.partition(".")[0] for (name, _), yes in zip(task.named_parameters(), changed, strict=True) if yes}
        seen.append(names)

    monkeypatch.setattr(PairGanTask, "manual_backward", manual_backward)
    fit(task_of(conditioned=True), SAMPLES[:4])
    assert seen == [{"critic"}, {"critic"}, {"generator"}]


def test_colours_of_masks_do_not_change_yet_they_move_with_the_image():
    task = task_of(diff_augment="color,translation,cutout")
    batch = next(iter(DataLoader(SAMPLES, batch_size=4)))
    pairs = task.code.encode(batch["image"], batch["label_map"])
    shown = task._shown(pairs, [3, 4, 5, 6])
    assert set(shown[:, 2:].unique().tolist()) == {-1.0, 0.0, 1.0}
    gone = shown[:, 2:].abs().sum(dim=1) == 0
    assert gone.any()
    plain = task_of(diff_augment="translation,cutout")._shown(pairs, [3, 4, 5, 6])
    assert not torch.equal(plain[:, :2], shown[:, :2])
    assert torch.equal(plain[:, 2:], shown[:, 2:])
    assert (plain[:, :2].abs().sum(dim=1)[gone] == 0).all()
    fit(task)


def test_bf16_keeps_the_penalty_in_float32(monkeypatch):
    seen = []
    original = torch.autograd.grad

    def grad(outputs, inputs, **options):
        found = original(outputs, inputs, **options)
        seen.extend(each.dtype for each in found)
        return found

    monkeypatch.setattr(torch.autograd, "grad", grad)
    task = task_of(conditioned=True)
    trainer = fit(task, precision="bf16-mixed")
    assert set(seen) == {torch.float32}
    assert all(torch.isfinite(value) for value in trainer.callback_metrics.values())


def test_bf16_takes_nearly_the_steps_of_float32():
    moves = []
    for precision in ("32-true", "bf16-mixed"):
        task = task_of("wgan_gp", ema_decay=0)
        start = {name: value.detach().clone() for name, value in task.named_parameters()}
        fit(task, SAMPLES[:4], precision=precision)
        moves.append({name: value.detach() - start[name] for name, value in task.named_parameters()})
    for name, exact in moves[0].items():
        likeness = torch.nn.functional.cosine_similarity(exact.flatten(), moves[1][name].flatten(), dim=0)
        assert likeness > 0.95 or exact.abs().max() < 1e-5, name


class Halves(pl.LightningDataModule):
    def train_dataloader(self):
        rank, world_size = self.trainer.global_rank, self.trainer.world_size
        return DataLoader(Subset(SAMPLES, range(rank, len(SAMPLES), world_size)), batch_size=4 // world_size)


class Weights(pl.Callback):
    def __init__(self, path):
        self.path = path

    def on_train_end(self, trainer, pl_module):
        torch.save(pl_module.state_dict(), self.path.with_suffix(f".{trainer.global_rank}"))


@pytest.mark.parametrize("form", FORMS)
def test_two_processes_take_the_steps_of_one(form, tmp_path):
    """Batch norm too sees the whole batch."""
    for name, options in (("one", {"devices": 1}), ("two", {"devices": 2, "strategy": SharedBatch("fork")})):
        trainer = make_trainer(max_epochs=1, callbacks=[Weights(tmp_path / name)], use_distributed_sampler=False, **options)
        task = task_of(form, conditioned=True, diff_augment="translation")
        start = {key: value.clone() for key, value in task.state_dict().items()}
        trainer.fit(task, datamodule=Halves())
    whole, first, second = (torch.load(tmp_path / name) for name in ("one.0", "two.0", "two.1"))
    for name, value in whole.items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], value, rtol=0, atol=1e-5)
    assert max(float((value - start[name]).abs().max()) for name, value in whole.items()) > 1e-3


def test_it_can_be_sent_to_other_processes():
    task = task_of()
    copy = pickle.loads(ForkingPickler.dumps(task))
    assert all(torch.equal(value, copy.state_dict()[name]) for name, value in task.state_dict().items())


def test_a_generator_that_gives_one_pair_is_stopped():
    # Under batch norm one image for all noise would be a flat one.
    task = task_of(norm="layer", ema_decay=0)
    task.guard.patience = 2
    task.draw_noise = lambda rng: torch.ones(5).numpy()
    with pytest.raises(TrainingStopped, match=r"one and the same image for 2 steps.*lower pairs\.task\.optimizer\.lr, or take"):
        fit(task)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": "hinge"}, "objective must be one of log, wasserstein, got 'hinge'"),
        ({"noise": "cauchy"}, "noise must be one of uniform, normal, got 'cauchy'"),
        ({"upsampling": "cubic"}, "upsampling must be one of nearest, transposed, got 'cubic'"),
        ({"critic_norm": "batch"}, "critic_norm must be layer or none under a penalty"),
        ({"n_critic": 0}, "n_critic must be at least 1, got 0"),
        ({"n_critic": 1.5}, "n_critic must be a whole number of at least 1, got 1.5"),
        ({"latent": None}, "latent must be a whole number of at least 1, got None"),
        ({"base_channels": 2.5}, "base_channels must be a whole number of at least 1, got 2.5"),
        ({"diff_augment": None}, "diff_augment must be words such as 'color,translation,cutout', or '' for none, got None"),
        ({"clip": -1}, "clip must be at least 0, got -1"),
        ({"ema_decay": 1}, r"ema_decay must be in \[0.0, 1.0\), got 1"),
        ({"diff_augment": "colour"}, "unknown augmentation 'colour'"),
        ({"contour": True, "image": IMAGE}, "contour=true parts cells that touch, and these label maps hold classes"),
        ({"size": 50}, "size must be 4 to 16 times 8, 16, 32.*got 50"),
    ],
)
def test_arguments_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        PairGanTask(**{"base_channels": 2, "image": None, **changes})


def test_a_batch_or_a_sample_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="a batch of 3 samples cannot be split among 2 steps of the critic"):
        fit(task_of(), batch_size=3)
    task = task_of(conditioned=True)
    task.use_conditions({})
    with pytest.raises(ValueError, match="no condition for a_000: call use_conditions with every training sample"):
        fit(task)
