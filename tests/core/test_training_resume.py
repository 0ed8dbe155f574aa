"""An interrupted run, translator or synthesis goes on where it stopped and ends as an undisturbed one."""

import shutil

import pytest
import torch
from training_helpers import Killed, assert_same, count_steps, die_at, weights

from rbc_lightning.app import run
from rbc_lightning.core.callbacks import LossGuard, SeedEachEpoch
from rbc_lightning.errors import TrainingStopped
from rbc_lightning.pairs import synthetic_set
from rbc_lightning.segmenters.dcan.task import ContourTask
from rbc_lightning.segmenters.faster_rcnn.task import DetectionTask
from rbc_lightning.segmenters.segmentation import SegmentationTask
from rbc_lightning.translators.pix2pixhd.task import Pix2PixHDTask

TWO_STAGES = (
    "stage=translator",
    "translator.stages=2",
    "translator.quality.enabled=false",
    "translator.task.ema_decay=0.9",
    "translator.task.pool_size=3",
    "translator.task.diff_augment='color,translation,cutout'",
)


# Each with what it draws beside dropout: regions to train on, say. The steps at which it is stopped, again and again.
MODELS = [
    ("fcn8s", SegmentationTask, 6, (4, 5)),
    ("dcan", ContourTask, 6, (4,)),
    ("faster_rcnn", DetectionTask, 4, (3,)),
]


def stop(task, config, at, monkeypatch, done=0):
    """Run until the step `at` of the whole training, `done` steps of which are kept from before."""
    with monkeypatch.context() as patch:
        die_at(task, patch, at - done)
        with pytest.raises(Killed):
            run(config)


@pytest.mark.parametrize(("model", "task", "steps", "stops"), MODELS)
def test_a_model_stopped_in_its_training_ends_as_an_undisturbed_one(
    tmp_path, compose_tiny, monkeypatch, model, task, steps, stops
):
    """With the running mean of the weights, which is what is validated, chosen and tested."""
    overrides = ("+experiment=rd_aug", f"model={model}", f"training.steps={steps}", "training.ema_decay=0.5")
    undisturbed = run(compose_tiny(tmp_path / "a", *overrides))
    kept = 0
    for step in stops:
        stop(task, compose_tiny(tmp_path / "b", *overrides), step, monkeypatch, kept)
        # In epochs of two: what was done up to the last epoch's end is not done again.
        kept = (step - 1) // 2 * 2
    assert not list((tmp_path / "b").rglob("metrics.json"))
    done = count_steps(task, monkeypatch)
    resumed = run(compose_tiny(tmp_path / "b", *overrides))
    assert len(done) == steps - kept
    for name in ("last.ckpt", "best.ckpt"):
        ours, theirs = (
            torch.load(result.directory / "checkpoints" / name, weights_only=True) for result in (undisturbed, resumed)
        )
        for part in ("state_dict", "current_model_state", "optimizer_states", "lr_schedulers", "averaging_state"):
            assert_same(ours[part], theirs[part])
        assert not all(torch.equal(value, ours["current_model_state"][key]) for key, value in ours["state_dict"].items())
    kept_scores = {name: value for name, value in undisturbed.metrics.items() if name.startswith(("test/", "val/"))}
    assert kept_scores == {name: resumed.metrics[name] for name in kept_scores}
    for name in ("per_image.csv", "drawn.csv"):
        assert (resumed.directory / name).read_bytes() == (undisturbed.directory / name).read_bytes()


def test_a_translator_stopped_in_either_stage_ends_as_an_undisturbed_one(tmp_path, compose_tiny, monkeypatch):
    """With everything that has a state: two optimisers, schedules, running means, image pool, augmentation."""
    undisturbed = run(compose_tiny(tmp_path / "a", *TWO_STAGES))
    stopped, kept = compose_tiny(tmp_path / "b", *TWO_STAGES), 0
    # Five smears, one of them for validation: an epoch has four steps; two epochs of stage 1, then two of stage 2.
    for step, stage in ((6, 1), (10, 2), (14, 2)):
        stop(Pix2PixHDTask, stopped, step, monkeypatch, kept)
        kept = (step - 1) // 4 * 4
        assert len(list((tmp_path / "b" / "artifacts").glob("gan_stage2/*"))) == (stage == 2) * 2  # directory and lock
    steps = count_steps(Pix2PixHDTask, monkeypatch)
    resumed = run(stopped)
    assert len(steps) == 16 - kept
    assert_same(*(weights(result.directory / "generator.pt") for result in (undisturbed, resumed)))
    for stage in ("gan_stage1", "gan_stage2"):
        last = [sorted((tmp_path / place / "artifacts").glob(f"{stage}/*/checkpoints/last.ckpt")) for place in "ab"]
        ours, theirs = (torch.load(path, weights_only=True) for (path,) in last)
        assert_same(ours["optimizer_states"], theirs["optimizer_states"])
        assert_same(ours["lr_schedulers"], theirs["lr_schedulers"])
        assert_same(ours["state_dict"], theirs["state_dict"])  # running means and the pool among them
        assert any("pool" in name for name in ours["state_dict"])


def test_a_killed_synthesis_goes_on_and_ends_byte_for_byte_the_same(tmp_path, compose_made, monkeypatch):
    def files(result):
        root = result.manifest.parent
        return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*.png") if p.parent != root}

    a, b = (compose_made(tmp_path / place, "stage=synthesize") for place in "ab")
    for place in "ab":
        shutil.rmtree(tmp_path / place / "artifacts" / "synthetic")
    undisturbed = run(a)
    written, original = [], synthetic_set.write_image

    def write_image(path, image):
        written.append(path.name)
        if len(written) == 2:
            raise Killed
        return original(path, image)

    with monkeypatch.context() as patch:
        patch.setattr(synthetic_set, "write_image", write_image)
        with pytest.raises(Killed):
            run(b)
    assert not list((tmp_path / "b").rglob("manifest.csv"))
    resumed = run(b)
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
