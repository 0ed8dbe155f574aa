"""Runs whose trainings are shared by two processes on the CPU."""

import csv
import os
import pickle
from collections import Counter
from multiprocessing.reduction import ForkingPickler

import pytest
import torch

from rbc_lightning.app import compose, run
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.core import trainer as settings
from rbc_lightning.core.callbacks import running_mean
from rbc_lightning.core.label_files import read_label_map
from rbc_lightning.core.training import SharedBatch, build_trainer
from rbc_lightning.data.manifest import Samples
from rbc_lightning.errors import InputError
from rbc_lightning.metrics.scores import Scores
from rbc_lightning.translators.pix2pixhd.phases import PhaseSettings
from rbc_lightning.translators.pix2pixhd.translator import Pix2PixHDTranslator

FORKED = ("trainer=ddp_cpu", "trainer.strategy=ddp_fork", "trainer.precision=32-true")
BATCHES = ("translator.batch_size=2", "translator.stage2.batch_size=2")


def per_image(result):
    with (result.directory / "per_image.csv").open() as handle:
        return list(csv.DictReader(handle))


def test_a_segmenter_of_two_processes_is_tested_like_that_of_one(tmp_path, compose_tiny, capsys):
    one = run(compose_tiny(tmp_path / "one", "+experiment=rd", "trainer.precision=32-true"))
    capsys.readouterr()
    two = run(compose_tiny(tmp_path / "two", "+experiment=rd", *FORKED, "trainer.progress_bar=true"))
    assert two.metrics.keys() == one.metrics.keys()
    rows = per_image(two)
    assert [row["sample_id"] for row in rows] == [row["sample_id"] for row in per_image(one)] == ["smear_05", "smear_06"]
    assert two.metrics["test/dice"] == pytest.approx(sum(float(row["dice"]) for row in rows) / 2, abs=1e-6)
    with (two.directory / "curves" / "metrics.csv").open() as handle:
        curves = list(csv.DictReader(handle))
    # Written by one process, and not overwritten by the test.
    assert [int(row["step"]) for row in curves if row["train/loss"]] == [0, 1, 2, 3]
    assert two.metrics["val/dice"] == max(float(row["val/dice"]) for row in curves if row["val/dice"])


def test_a_two_stage_translator_of_two_processes_generates(tmp_path, compose_tiny, tiny_folder):
    result = run(
        compose_tiny(tmp_path, "stage=translator", "translator.stages=2", "translator.quality.enabled=false", *BATCHES, *FORKED)
    )
    label_map = read_label_map(tiny_folder / "labels" / "smear_05.png")
    image = Pix2PixHDTranslator.load(result.directory).paint(label_map, 0)
    assert image.shape == (*label_map.shape, 3)
    for stage in ("gan_stage1", "gan_stage2"):
        (last,) = tmp_path.glob(f"artifacts/{stage}/*/checkpoints/last.ckpt")
        # Two epochs of 4 images in batches of 2, two optimisers.
        assert torch.load(last, weights_only=True)["global_step"] == 8


@pytest.mark.slow
def test_new_processes_end_where_forked_ones_do(tmp_path, compose_tiny):
    forked, spawned = (
        run(compose_tiny(tmp_path / how, "+experiment=rd_sd", *BATCHES, *FORKED, f"trainer.strategy=ddp_{how}"))
        for how in ("fork", "spawn")
    )
    assert per_image(spawned) == per_image(forked)
    assert spawned.metrics["val/dice"] == forked.metrics["val/dice"]
    assert spawned.metrics["artifacts"].keys() == forked.metrics["artifacts"].keys()


def test_what_new_processes_are_given_can_be_sent_to_them(tmp_path, compose_tiny):
    options = ("checkpoint_activations=true", "ema_decay=0.9", "compile=true")
    cfg = compose_tiny(
        tmp_path,
        "trainer=ddp_cpu",
        "translator.batch_size=2",
        "translator.stage2.batch_size=2",
        *(f"translator.task.{option}" for option in options),
    )
    experiment = Experiment(cfg)
    experiment.train = experiment.val = Samples(())
    gan = PhaseSettings(experiment.translator().task, 64, 2).build_task(0)
    segmenter = experiment.fcn_score().model.with_facts({"in_channels": 3, "objects": "dark"}).build()
    trainer = build_trainer(experiment.trainer, tmp_path, seed=0, callbacks=[running_mean(0.9)], loggers=[])
    assert isinstance(trainer.strategy, SharedBatch)
    for thing in (gan, segmenter, trainer):
        assert type(pickle.loads(ForkingPickler.dumps(thing))) is type(thing)
    copy = pickle.loads(ForkingPickler.dumps(gan))
    assert all(torch.equal(weight, copy.state_dict()[name]) for name, weight in gan.state_dict().items())
    x = torch.rand(1, gan.generator.stem.in_channels, 16, 16)
    assert torch.equal(copy.generator(x), gan.generator(x))
    # Compiled anew there, from the very weights that are trained.
    assert copy._paint[0]._orig_mod is copy.generator


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["trainer.devices=0"], r"trainer\.devices=0; expected a whole number of at least 1, or -1 for every GPU"),
        (["trainer.devices=-1"], r"trainer\.devices=-1; expected a whole number"),
        (["trainer.devices=auto"], r"trainer\.devices=auto; expected a whole number"),
        (["trainer.strategy=fsdp"], r"trainer\.strategy=fsdp; expected one of auto, ddp_spawn, ddp_fork"),
        (
            ["trainer=ddp_cpu", "training.batch_size=3"],
            r"training\.batch_size=3 cannot .*: take training\.batch_size=4",
        ),
        (["trainer=ddp_cpu"], r"translator\.batch_size=1 cannot .* among 2 processes .*: take translator\.batch_size=2"),
        (
            ["trainer=ddp_cpu", "stage=translator", "translator.stages=2", "translator.batch_size=2"],
            r"translator\.stage2\.batch_size=1 cannot .*: take translator\.stage2\.batch_size=2",
        ),
        (
            ["trainer=ddp_cpu", "synthetic.mode=online"],
            r"online paints in one process.*take synthetic\.mode=offline",
        ),
        (["trainer=ddp", "trainer.devices=3"], r"trainer\.devices=3; this machine has 2 GPUs: take trainer\.devices=-1"),
        (["trainer=ddp", "trainer.strategy=ddp_fork"], r"ddp_fork cannot share GPUs .*take trainer\.strategy=ddp_spawn"),
    ],
)
def test_what_processes_cannot_share_is_refused_before_anything_is_made(overrides, message, tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "count_gpus", lambda: 2)
    with pytest.raises(InputError, match=message):
        run(compose([*overrides, f"artifacts_dir={tmp_path}/artifacts", f"runs_dir={tmp_path}/runs"]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("overrides", [["+experiment=rd"], ["stage=masks"], ["+experiment=rd_sd", "synthetic.path=somewhere"]])
def test_batch_sizes_matter_only_to_trainings_that_may_start(overrides):
    Experiment(compose(["trainer=ddp_cpu", *overrides]))


def test_processes_share_a_validation_whose_scores_are_those_of_one(tmp_path, compose_tiny, monkeypatch):
    """Three images for two processes, against both of them looking at all; pooled precision, batch norm, a running mean."""
    update, log = Scores.update, tmp_path / "seen"

    def note(scores, prediction, label_map, name="", volume="", place=None, ignored=None, **values):
        if "loss" in values:
            with log.open("a") as handle:  # of all processes
                handle.write(f"{os.getpid()} {name}\n")
        return update(scores, prediction, label_map, name, volume, place, ignored, **values)

    monkeypatch.setattr(Scores, "update", note)
    curves, seen = [], []
    options = ("data.validation_fraction=0.6", "training.ema_decay=0.5", "training.steps=24", "training.steps_per_epoch=12")
    model = ("model=dcan", "model.task.contour_threshold=1.0", "model.task.optimizer.lr=2e-2")
    for place in ("shared", "all"):
        with monkeypatch.context() as patch:
            if place == "all":
                patch.setattr("rbc_lightning.data.datamodule.rank_and_size", lambda: (0, 1))
            result = run(compose_tiny(tmp_path / place, "+experiment=rd", *options, *model, *FORKED))
        with (result.directory / "curves" / "metrics.csv").open() as handle:
            rows = [row for row in csv.DictReader(handle) if row["val/ap50"]]
        curves.append([[row[f"val/{name}"] for name in ("dice", "ap50", "loss")] for row in rows])
        seen.append([line.split() for line in log.read_text().splitlines()])
        log.unlink()
    assert curves[0] == curves[1]
    assert len({*map(tuple, curves[0])}) == len(curves[0]) == 2
    assert all(float(value) > 0 for value in curves[0][-1])
    counts = [sorted(Counter(process for process, _ in each).values()) for each in seen]
    assert counts == [[2, 4], [6, 6]]
    assert set(Counter(name for _, name in seen[0]).values()) == {2}
