"""An interrupted run, translator or synthesis goes on where it stopped and ends as an undisturbed one."""

import functools

import pytest
import torch

from rbc_lightning.app import run
from rbc_lightning.callbacks import LossGuard, SeedEachEpoch
from rbc_lightning.errors import TrainingStopped
from rbc_lightning.stages import synthesize
from rbc_lightning.tasks.pix2pixhd import Pix2PixHDTask
from rbc_lightning.tasks.segmentation import SegmentationTask


class Killed(Exception):
    pass


def count_steps(cls, monkeypatch):
    """Return a list that grows by one with every training step of a task."""
    return die_at(cls, monkeypatch, -1)


def die_at(cls, monkeypatch, step):
    """Make the training step of a task fail once, at its `step`-th call; return the list of its calls."""
    original, calls = cls.training_step, []

    # `wraps`: Lightning looks at the signature to know what to pass.
    @functools.wraps(original)
    def training_step(self, batch, *rest):
        calls.append(None)
        if len(calls) == step:
            raise Killed
        return original(self, batch, *rest)

    monkeypatch.setattr(cls, "training_step", training_step)
    return calls


def weights(path):
    content = torch.load(path, weights_only=True)
    return content.get("state_dict") or {**content["generator"], **content["encoder"]}


TWO_STAGES = (
    "stage=translator",
    "translator.stages=2",
    "translator.quality.enabled=false",
    "translator.task.ema_decay=0.9",
    "translator.task.pool_size=3",
    "translator.task.diff_augment='color,translation,cutout'",
)


@pytest.fixture(scope="module")
def undisturbed_translator(tmp_path_factory, compose_tiny):
    return run(compose_tiny(tmp_path_factory.mktemp("undisturbed"), *TWO_STAGES))


def assert_same(first, second):
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for key, value in first.items():
            assert_same(value, second[key])
    elif isinstance(first, list | tuple):
        assert len(first) == len(second)
        for ours, theirs in zip(first, second, strict=True):
            assert_same(ours, theirs)
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second)
    else:
        assert first == second


def assert_equal_weights(first, second):
    ours, theirs = weights(first), weights(second)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


@pytest.mark.parametrize("step", [4, 5])
def test_a_segmenter_stopped_in_its_second_epoch_ends_as_an_undisturbed_one(tmp_path, compose_tiny, monkeypatch, step):
    overrides = ("+experiment=rd_aug", "training.steps=6")
    undisturbed = run(compose_tiny(tmp_path / "a", *overrides))
    with monkeypatch.context() as patch:
        die_at(SegmentationTask, patch, step)
        with pytest.raises(Killed):
            run(compose_tiny(tmp_path / "b", *overrides))
    assert not list((tmp_path / "b").rglob("metrics.json"))
    steps = count_steps(SegmentationTask, monkeypatch)
    resumed = run(compose_tiny(tmp_path / "b", *overrides))
    # Six steps in epochs of two: what was done up to the last epoch's end is not done again.
    assert len(steps) == 6 - (step - 1) // 2 * 2
    for name in ("last.ckpt", "best.ckpt"):
        assert_equal_weights(*(result.directory / "checkpoints" / name for result in (undisturbed, resumed)))
    assert resumed.metrics["test/dice"] == undisturbed.metrics["test/dice"]


# Five smears, one of them for validation: an epoch has four steps; two epochs of stage 1, then two of stage 2.
@pytest.mark.parametrize(("step", "stage"), [(6, 1), (10, 2), (14, 2)])
def test_a_translator_stopped_in_either_stage_ends_as_an_undisturbed_one(
    tmp_path, compose_tiny, monkeypatch, undisturbed_translator, step, stage
):
    """With everything that has a state: two optimisers, schedules, running means, image pool, augmentation."""
    with monkeypatch.context() as patch:
        die_at(Pix2PixHDTask, patch, step)
        with pytest.raises(Killed):
            run(compose_tiny(tmp_path, *TWO_STAGES))
    assert len(list((tmp_path / "artifacts").glob("gan_stage2/*"))) == (stage == 2) * 2  # directory and lock
    steps = count_steps(Pix2PixHDTask, monkeypatch)
    resumed = run(compose_tiny(tmp_path, *TWO_STAGES))
    assert len(steps) == 16 - (step - 1) // 4 * 4
    assert_equal_weights(*(directory / "generator.pt" for directory in (undisturbed_translator.directory, resumed.directory)))
    last = [
        sorted(d.parents[1].glob("gan_stage2/*/checkpoints/last.ckpt"))
        for d in (undisturbed_translator.directory, resumed.directory)
    ]
    ours, theirs = (torch.load(path, weights_only=True) for (path,) in last)
    assert_same(ours["optimizer_states"], theirs["optimizer_states"])
    assert_same(ours["lr_schedulers"], theirs["lr_schedulers"])
    assert_same(ours["state_dict"], theirs["state_dict"])  # running means and the pool among them
    assert any("pool" in name for name in ours["state_dict"])


def test_a_killed_synthesis_goes_on_and_ends_byte_for_byte_the_same(tmp_path, compose_tiny, monkeypatch):
    def files(result):
        root = result.manifest.parent
        return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*.png") if p.parent != root}

    undisturbed = run(compose_tiny(tmp_path / "a", "stage=synthesize"))
    written, original = [], synthesize.write_image

    def write_image(path, image):
        written.append(path.name)
        if len(written) == 2:
            raise Killed
        original(path, image)

    with monkeypatch.context() as patch:
        patch.setattr(synthesize, "write_image", write_image)
        with pytest.raises(Killed):
            run(compose_tiny(tmp_path / "b", "stage=synthesize"))
    assert not list((tmp_path / "b").rglob("manifest.csv"))
    resumed = run(compose_tiny(tmp_path / "b", "stage=synthesize"))
    assert files(resumed) == files(undisturbed)
    assert len(files(resumed)) == 6


def test_epochs_start_from_seed_and_number():
    class Trainer:
        current_epoch = 3
        global_rank = 0

    def draw(seed, epoch):
        trainer = Trainer()
        trainer.current_epoch = epoch
        SeedEachEpoch(seed).on_train_batch_start(trainer, None, None, 0)
        return float(torch.rand(1))

    assert draw(0, 3) == draw(0, 3)
    assert len({draw(seed, epoch) for seed in (0, 1) for epoch in (0, 1, 2)}) == 6


def test_a_loss_that_is_not_finite_names_the_batch():
    class Trainer:
        global_step = 17

    with pytest.raises(TrainingStopped, match=r"loss is nan at step 17 on samples a, b; expected a finite number"):
        LossGuard().on_train_batch_end(Trainer(), None, torch.tensor(float("nan")), {"sample_id": ["a", "b"]}, 0)
    LossGuard().on_train_batch_end(Trainer(), None, torch.tensor(0.5), {"sample_id": ["a"]}, 0)
