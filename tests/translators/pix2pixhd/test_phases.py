"""The trainings as recipes: what they refuse before they begin, their work, and going on after an interruption."""

import pytest
import torch
from pix2pixhd_helpers import TINY, TRAINER, make_samples
from training_helpers import Killed, assert_same, die_at

from rbc_lightning.core.store import Store
from rbc_lightning.core.training import LAST
from rbc_lightning.data.manifest import Samples
from rbc_lightning.errors import InputError
from rbc_lightning.translators.pix2pixhd.phases import GanPhase1, GanPhase2, PhaseSettings, fitting_crop, stored_styles
from rbc_lightning.translators.pix2pixhd.task import Pix2PixHDTask

TASK = {"_target_": "rbc_lightning.translators.pix2pixhd.task.Pix2PixHDTask", **TINY}
SECOND = {**TASK, "stage": 2, "n_blocks_local": 1}
SIZES = Samples((*make_samples(1, side=64), *make_samples(2, side=80).samples[1:]))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path, announce=lambda line: None)


def make_first(task=TASK, crop=32, batch_size=1, train=None, **options):
    train = make_samples() if train is None else train
    gan = PhaseSettings(task, crop, batch_size)
    return GanPhase1(train=train, gan=gan, candidates=0, seed=0, trainer=TRAINER, **options)


def test_the_crop_fits_the_smallest_image():
    assert [fitting_crop(SIZES, crop) for crop in (200, 32, None)] == [64, 32, None]


@pytest.mark.parametrize("options", [{"batch_size": 2}, {"task": TASK | {"pool_size": 4}}])
def test_whole_images_of_several_sizes_cannot_share_a_batch_or_a_pool(store, options):
    message = r"2 sizes, such as 64 x 64 and 80 x 80: whole ones cannot share a batch or an image pool; set a crop"
    with pytest.raises(InputError, match=message):
        store.ensure(make_first(crop=None, train=SIZES, **options))
    enhancer = PhaseSettings(options.get("task", TASK), None, options.get("batch_size", 1))
    with pytest.raises(InputError, match=message):
        store.ensure(make_first(train=SIZES, enhancer=enhancer))
    assert not [path for path in store.root.rglob("*") if path.suffix != ".lock" and path.name != "gan_stage1"]


@pytest.mark.parametrize(
    ("task", "second", "message"),
    [
        ({"shrink": 0.5}, {}, r"translator\.task: shrink must be at least 1\.0, got 0\.5"),
        ({"perceptual": "gone.pth"}, {}, r"translator\.task: .*no file gone\.pth"),
        (
            {},
            {"n_blocks_local": -1},
            r"translator\.task with translator\.stage2: n_blocks_local must be an integer",
        ),
        ({}, {"n_downsample": 1}, r"translator\.stage2: these weights do not fit"),
        ({}, {"n_blocks_locally": 1}, r"n_blocks_locally=1 is no setting of Pix2PixHDTask"),
    ],
)
def test_what_either_phase_refuses_is_one_error_before_the_first_begins(store, task, second, message):
    enhancer = PhaseSettings(SECOND | second, 32, 1)
    with pytest.raises(InputError, match=message):
        store.ensure(make_first(TASK | task, enhancer=enhancer))
    assert not list(store.root.glob("gan_stage1/*.partial"))


def test_weights_follow_from_the_seed():
    first, again, other = (PhaseSettings(TASK, 32, 1).build_task(seed).state_dict() for seed in (0, 0, 1))
    assert_same(first, again)
    assert not torch.equal(first["generator.stem.weight"], other["generator.stem.weight"])


def test_work_is_counted_in_steps_and_what_decides_the_time_of_one():
    recipe = make_first(TASK | {"n_epochs": 5, "n_epochs_decay": 3}, batch_size=2)
    work = recipe.work()
    # Three images in batches of two: a step an epoch.
    assert (work.units, work.unit) == (8, "steps")
    longer, wider = (make_first(TASK | change, batch_size=2).work().about for change in ({"n_epochs": 9}, {"base_channels": 8}))
    assert work.about == longer != wider
    assert work.about["pixels"] == 64 * 64


@pytest.mark.parametrize("step", [3, 8])
def test_a_killed_training_goes_on_and_ends_as_an_undisturbed_one(tmp_path, monkeypatch, step):
    def chain():
        first = make_first()
        gan = PhaseSettings(SECOND, 32, 1)
        return GanPhase2(train=first.train, gan=gan, candidates=0, seed=0, trainer=TRAINER, first=first)

    whole, killed = (Store(tmp_path / name, announce=lambda line: None) for name in ("whole", "killed"))
    whole.ensure(chain())
    with monkeypatch.context() as patch:
        die_at(Pix2PixHDTask, patch, step)
        with pytest.raises(Killed):
            killed.ensure(chain())
    stopped = chain() if step > 6 else chain().first
    partial = killed.path(stopped).with_suffix(".partial")
    assert stopped.done_units(partial) == (3 if (step - 1) % 6 >= 3 else 0)
    killed.ensure(chain())
    ours, theirs = (torch.load(store.path(chain()) / LAST, weights_only=True) for store in (whole, killed))
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert_same(ours[part], theirs[part])


def test_styles_are_stored_once(tmp_path):
    task = PhaseSettings(TASK, 32, 1).build_task(0)
    train = make_samples(2)
    styles = stored_styles(task, train, tmp_path / "styles.npz")
    assert {name: table.shape for name, table in styles.items()} == {"train_0": (4, 6), "train_1": (4, 6)}
    again = stored_styles(None, (), tmp_path / "styles.npz")
    assert all((again[name] == table).all() for name, table in styles.items())
