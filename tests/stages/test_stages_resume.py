"""An interrupted run, translator or synthesis goes on where it stopped and ends as an undisturbed one."""

import pytest
import torch
from training_helpers import Killed, assert_same, count_steps, die_at, weights

from rbc_lightning.app import run
from rbc_lightning.callbacks import LossGuard, SeedEachEpoch
from rbc_lightning.errors import TrainingStopped
from rbc_lightning.stages import synthesize
from rbc_lightning.tasks.dcan import ContourTask
from rbc_lightning.tasks.detection import DetectionTask
from rbc_lightning.tasks.pix2pixhd import Pix2PixHDTask
from rbc_lightning.tasks.segmentation import SegmentationTask

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


# Each with what it draws beside dropout: regions to train on, say.
MODELS = [
    ("fcn8s", SegmentationTask, 6, 4),
    ("fcn8s", SegmentationTask, 6, 5),
    ("dcan", ContourTask, 6, 4),
    ("faster_rcnn", DetectionTask, 4, 3),
]


@pytest.mark.parametrize(("model", "task", "steps", "step"), MODELS)
def test_a_model_stopped_in_its_training_ends_as_an_undisturbed_one(
    tmp_path, compose_tiny, monkeypatch, model, task, steps, step
):
    """With the running mean of the weights, which is what is validated, chosen and tested."""
    overrides = ("+experiment=rd_aug", f"model={model}", f"training.steps={steps}", "training.ema_decay=0.5")
    undisturbed = run(compose_tiny(tmp_path / "a", *overrides))
    with monkeypatch.context() as patch:
        die_at(task, patch, step)
        with pytest.raises(Killed):
            run(compose_tiny(tmp_path / "b", *overrides))
    assert not list((tmp_path / "b").rglob("metrics.json"))
    done = count_steps(task, monkeypatch)
    resumed = run(compose_tiny(tmp_path / "b", *overrides))
    # In epochs of two: what was done up to the last epoch's end is not done again.
    assert len(done) == steps - (step - 1) // 2 * 2
    for name in ("last.ckpt", "best.ckpt"):
        ours, theirs = (
            torch.load(result.directory / "checkpoints" / name, weights_only=True) for result in (undisturbed, resumed)
        )
        for part in ("state_dict", "current_model_state", "optimizer_states", "lr_schedulers", "averaging_state"):
            assert_same(ours[part], theirs[part])
        assert not all(torch.equal(value, ours["current_model_state"][key]) for key, value in ours["state_dict"].items())
    kept = {name: value for name, value in undisturbed.metrics.items() if name.startswith(("test/", "val/"))}
    assert kept == {name: resumed.metrics[name] for name in kept}
    for name in ("per_image.csv", "drawn.csv"):
        assert (resumed.directory / name).read_bytes() == (undisturbed.directory / name).read_bytes()


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
    assert_same(*(weights(result.directory / "generator.pt") for result in (undisturbed_translator, resumed)))
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
