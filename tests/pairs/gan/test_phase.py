"""The training of a pair GAN as a recipe: what it draws, what it refuses, that it goes on where it was killed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pair_gan_helpers import EXACT, gan_pairs, slices, smears
from slice_samples import SIDE, slice_samples, slice_spec
from training_helpers import Killed, assert_same, count_steps, die_at

from rbc_lightning.core.store import Store
from rbc_lightning.data.manifest import Samples
from rbc_lightning.errors import InputError
from rbc_lightning.pairs.gan.phase import slice_heights
from rbc_lightning.pairs.gan.task import PairGanTask
from rbc_lightning.pairs.synthetic_set import SyntheticSet
from rbc_lightning.planning.probes import time_recipe
from rbc_lightning.planning.work import PlanSettings

LAST = "checkpoints/last.ckpt"


def test_heights_are_of_the_slices_of_each_scan():
    spec = slice_spec()
    one, two = slice_samples("a1", "a", "train", spec, 5), slice_samples("a2", "a", "train", spec, 2)
    # Of the first scan the lowest slice is not among them.
    heights = slice_heights(Samples((*one[1:], *two, *slice_samples("c", "c", "train", spec, 1))))
    assert [heights[sample.sample_id] for sample in one[1:]] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert [heights[sample.sample_id] for sample in two] == [0, 1]
    assert heights["c_000"] == 0


def test_slices_that_show_something_are_drawn_by_their_share(tmp_path, monkeypatch):
    drawn, conditions = [], {}
    step = PairGanTask.training_step
    monkeypatch.setattr(
        PairGanTask,
        "training_step",
        lambda task, batch, batch_idx: (
            drawn.extend(batch["sample_id"]) or conditions.update(task._conditions) or step(task, batch, batch_idx)
        ),
    )
    pairs = gan_pairs(labelled=0.5, steps=8, steps_per_epoch=8)
    Store(tmp_path, str).ensure(pairs.phase)
    # Two of eight slices show nothing; eight steps of two parts of two.
    empty = [name for name in drawn if name.endswith("003")]
    assert (len(drawn), len(empty)) == (32, 16)
    assert set(empty) == {"a_003", "b_003"}
    assert conditions == slice_heights(slices())
    assert pairs.phase.chances.tolist() == pytest.approx([1 / 12, 1 / 12, 1 / 12, 1 / 4] * 2)


@pytest.mark.parametrize("train", [smears(), Samples(tuple(slices("a", "b", n_slices=4).samples[i] for i in (0, 1, 4, 5)))])
def test_where_all_show_something_they_come_as_they_are(train):
    phase = gan_pairs(train, labelled=0.5).phase
    assert phase.share is None
    assert np.ptp(phase.chances) == 0


def test_context_counts_not_as_labelled():
    phase = gan_pairs(labelled=0.5, context=True).phase
    assert phase.train.spec.classes == ("lesion", "outline")
    assert phase.shows == gan_pairs(labelled=0.5).phase.shows


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("pair_gan"), str)
    phase = gan_pairs(steps=6).phase
    store.ensure(phase)
    return store, phase


def test_a_killed_training_goes_on_and_ends_as_an_undisturbed_one(made, tmp_path, monkeypatch):
    whole, phase = made
    store = Store(tmp_path, str)
    with monkeypatch.context() as patch:
        die_at(PairGanTask, patch, 4)
        with pytest.raises(Killed):
            store.ensure(phase)
    assert phase.done_units(store.path(phase).with_suffix(".partial")) == 2
    steps = count_steps(PairGanTask, monkeypatch)
    store.ensure(phase)
    assert len(steps) == 4
    ours, theirs = (torch.load(one.path(phase) / LAST, weights_only=True) for one in (store, whole))
    for part in ("state_dict", "optimizer_states", "global_step"):
        assert_same(ours[part], theirs[part])
    assert phase.load_task(store.path(phase) / LAST).drawing_network.training is False


def test_two_processes_end_where_one_does(made, tmp_path):
    whole, phase = made
    store, shared = Store(tmp_path, str), replace(phase, trainer=replace(EXACT, devices=2, strategy="ddp_fork"))
    store.ensure(shared)
    ours, theirs = (one.make(recipe).drawing_network.state_dict() for one, recipe in ((store, shared), (whole, phase)))
    start = gan_pairs(steps=6).phase
    assert start.key != shared.key
    for name, value in theirs.items():
        # Adam makes a whole step of a gradient that is rounding alone: six steps of 1e-4 at most.
        torch.testing.assert_close(ours[name].float(), value.float(), rtol=0, atol=2e-4)


def test_its_work_is_known_before():
    phase = gan_pairs(steps=6).phase
    work = phase.work()
    assert (work.units, work.unit, phase.epochs, phase.steps) == (6, "steps", 3, 6)
    assert work.about == gan_pairs(steps=8, gan_seed=4).phase.work().about
    assert work.about != gan_pairs(steps=6, task={"n_critic": 1}).phase.work().about


def test_a_plan_times_its_steps_and_its_pairs(tmp_path):
    pairs = gan_pairs(steps=400, steps_per_epoch=20, labelled=0.5)
    limits = PlanSettings("train", 1, 60)
    values = time_recipe(pairs.phase, 4, tmp_path, limits)
    assert values["step"] > 0
    assert values["checkpoint"] > 1000
    # Pairs stand on the very training that was tried.
    found = time_recipe(SyntheticSet(pairs=pairs, count=9), 4, tmp_path, limits)
    assert found["unit"] > 0
    assert len([*tmp_path.glob("pair_gan/*/checkpoints")]) == 1


@pytest.mark.parametrize(
    ("train", "settings", "message"),
    [
        (slices(), {"task": {"size": 64}}, rf"pairs\.task\.size=64 px, and 'a_000' has {SIDE} x {SIDE}; expected images of at"),
        (
            slices("a"),
            {},
            "all 4 training images are of one patient or slide, 'a', which a GAN would copy; expected at least two",
        ),
        (
            Samples(tuple(slices().samples[i] for i in (3, 7))),
            {},
            "none of the 2 training label maps shows 'lesion', whose mask a GAN would learn as empty; expected some",
        ),
        (slices(classes=("lesion", "other")), {}, None),
        (slices(), {"task": {"contour": True}}, r"pairs\.task: contour=true parts cells that touch, and these label maps hold"),
        (slices(), {"task": {"diff_augment": "colour"}}, r"pairs\.task: unknown augmentation 'colour' .*choose from color"),
        (
            slices(),
            {"task": {"optimizer": {"_target_": "torch.optim.Adam", "lrr": 3}}},
            r"pairs\.task\.optimizer\.lrr=3 is no setting of Adam",
        ),
    ],
)
def test_samples_and_settings_that_make_no_pairs_are_refused(train, settings, message):
    source = gan_pairs(train, **settings)
    if message is None:
        source.check_samples()
        return
    with pytest.raises(InputError, match=message) as error:
        source.check_samples()
    assert "\n" not in str(error.value)


def test_a_single_patient_that_was_asked_for_makes_pairs():
    gan_pairs(slices("a")).check_samples(one_patient=True)
