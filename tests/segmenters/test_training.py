"""Training a segmenter without a configuration: checkpoints, the running mean, what is found again, what is no checkpoint."""

import re
import socket
from dataclasses import replace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from tiny_data import disc_smear
from torch.utils.data import DataLoader
from training_helpers import Killed, assert_same

from rbc_lightning.core.trainer import TrainerSettings
from rbc_lightning.core.training import LAST
from rbc_lightning.data.spec import ImageSpec
from rbc_lightning.errors import InputError
from rbc_lightning.segmenters.model import Model, TrainingSettings
from rbc_lightning.segmenters.segmentation import SegmentationTask
from rbc_lightning.segmenters.training import BEST, find_objects, fit, is_begun, load_best, load_checkpoint

MODEL = Model(
    "three",
    {"_target_": "plugins.segmenter.ThreeConvolutions", "in_channels": 3},
    {
        "_target_": "rbc_lightning.segmenters.segmentation.SegmentationTask",
        "optimizer": {"_target_": "rbc_lightning.segmenters.optimizers.AdamW", "lr": 0.02},
    },
)
TRAINING = TrainingSettings(steps=6, steps_per_epoch=2, batch_size=1, ema_decay=0.5)
TRAINER = TrainerSettings(precision="32-true", progress_bar=False)


class Smears(pl.LightningDataModule):
    """Two images to train on, one to validate and test on."""

    def loader(self, *seeds):
        batches = []
        for seed in seeds:
            image, label_map = disc_smear(seed, height=64, width=80, count=4)
            tensor = torch.from_numpy(image.transpose(2, 0, 1).copy()).float()[None] / 255
            batch = {"image": tensor, "label_map": torch.from_numpy(label_map).long()[None]}
            batches.append({**batch, "sample_id": [str(seed)], "origin": ["real"]})
        return DataLoader(batches, batch_size=None)

    def train_dataloader(self):
        return self.loader(0, 1)

    def val_dataloader(self):
        return self.loader(2)

    test_dataloader = val_dataloader


class ByLoss(SegmentationTask):
    """Weights of the least loss, which knows no threshold."""

    monitor, mode = "val/loss", "min"


def die(*_):
    raise Killed


def train(directory, training=TRAINING, model=MODEL):
    torch.manual_seed(0)
    task = model.build()
    return fit(TRAINER, training, directory, task, Smears(), seed=0), task


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    directory = tmp_path_factory.mktemp("trained")
    return directory, *train(directory)


def test_the_best_validated_weights_are_kept_and_their_value_is_returned(trained):
    directory, (_, best), _ = trained
    quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
    task, scores = load_best(directory, MODEL), {}
    for name, threshold in (("chosen", task.threshold), ("start", 0.5)):
        task.set_thresholds({"threshold": threshold})
        (found,) = pl.Trainer(accelerator="cpu", **quiet).validate(task, Smears(), verbose=False)
        scores[name] = found["val/dice"]
    assert scores["start"] == pytest.approx(best, abs=1e-6)
    assert scores["chosen"] > scores["start"]
    assert 0 < best <= 1
    assert is_begun(directory)
    assert not is_begun(directory / "elsewhere")


def test_weights_are_kept_of_the_later_part_alone(tmp_path, monkeypatch):
    # Validated after 2, 4 and 6 steps, ever worse.
    values = iter((0.9, 0.8, 0.7))
    monkeypatch.setattr(SegmentationTask, "on_validation_epoch_end", lambda task: task.log("val/dice", next(values)))
    settings = replace(TRAINING, choose_after=0.5)
    _, best = fit(TRAINER, settings, tmp_path, MODEL.build(), Smears(), seed=0)
    assert best == pytest.approx(0.8)
    assert torch.load(tmp_path / BEST, weights_only=True)["global_step"] == 4


def test_what_is_kept_is_the_running_mean(trained):
    directory, *_ = trained
    kept = torch.load(directory / LAST, weights_only=True)
    assert not torch.equal(kept["state_dict"]["net.layers.0.weight"], kept["current_model_state"]["net.layers.0.weight"])
    assert kept["global_step"] == 6


def test_an_interrupted_training_ends_as_an_undisturbed_one(tmp_path):
    # A schedule would span another number of steps.
    model = replace(MODEL, task={**MODEL.task, "schedule": None})
    train(tmp_path / "parts", replace(TRAINING, steps=2), model)
    (_, first), _ = train(tmp_path / "whole", model=model)
    (_, second), _ = train(tmp_path / "parts", model=model)
    ours, theirs = (torch.load(tmp_path / name / LAST, weights_only=True) for name in ("whole", "parts"))
    for part in ("state_dict", "current_model_state", "optimizer_states", "averaging_state"):
        assert_same(ours[part], theirs[part])
    assert first == second


def test_the_threshold_lies_in_the_checkpoint_and_the_training_was_validated_without_it(trained):
    kept = torch.load(trained[0] / BEST, weights_only=True)
    assert kept["thresholds"] == {"threshold": load_best(trained[0], MODEL).threshold}
    assert kept["thresholds"]["threshold"] in SegmentationTask.grid
    assert kept["thresholds"]["threshold"] != 0.5
    assert "thresholds" not in torch.load(trained[0] / LAST, weights_only=True)


def test_a_threshold_that_is_given_is_taken(trained, tmp_path):
    model = replace(MODEL, task={**MODEL.task, "threshold": 0.35})
    train(tmp_path, replace(TRAINING, steps=2), model)
    assert "thresholds" not in torch.load(tmp_path / BEST, weights_only=True)
    assert load_best(tmp_path, model).threshold == load_checkpoint(trained[0] / BEST, model).threshold == 0.35


def test_a_training_stopped_before_the_choice_chooses_the_same(trained, tmp_path, monkeypatch, capsys):
    directory = trained[0]
    with monkeypatch.context() as patch:
        patch.setattr("rbc_lightning.segmenters.training.choose_thresholds", die)
        with pytest.raises(Killed):
            train(tmp_path)
    assert "thresholds" not in torch.load(tmp_path / BEST, weights_only=True)
    capsys.readouterr()
    for _ in range(2):  # after the choice as well
        (_, best), _ = train(tmp_path)
        assert best == trained[1][1]
        assert_same(load_best(tmp_path, MODEL).state_dict(), load_best(directory, MODEL).state_dict())
        assert load_best(tmp_path, MODEL).threshold == load_best(directory, MODEL).threshold
        (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Chose")]
        assert re.fullmatch(r"Chose threshold 0\.\d+ by validation: dice 0\.\d{4} \(0\.\d{4} with threshold 0\.5\)", line)


def test_without_a_metric_to_choose_by_the_threshold_stays(tmp_path, capsys):
    model = replace(MODEL, task={**MODEL.task, "_target_": f"{__name__}.ByLoss"})
    (_, best), _ = train(tmp_path, replace(TRAINING, steps=2), model)
    assert best > 0
    assert load_best(tmp_path, model).threshold == 0.5
    assert "best.ckpt has no chosen threshold, as last weights have none; 0.5 is taken" in capsys.readouterr().out


def test_last_weights_have_no_threshold_of_their_own(trained, capsys):
    assert load_checkpoint(trained[0] / LAST, MODEL).threshold == 0.5
    assert "last.ckpt has no chosen threshold, as last weights have none; 0.5 is taken" in capsys.readouterr().out


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_objects_are_found_as_the_task_finds_them(trained, precision):
    task = load_best(trained[0], MODEL)
    image, _ = disc_smear(2, height=64, width=80, count=4)
    tensor = torch.from_numpy(image.transpose(2, 0, 1).copy()).float().div_(255)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
        expected = task.eval().predict_instances(tensor)
    found = find_objects(task, image, ImageSpec(), precision, least_score=0.0)
    assert np.array_equal(found.label_map, expected.label_map)
    assert np.array_equal(found.scores, expected.scores)
    assert len(find_objects(task, image, ImageSpec(), precision, least_score=1.0)) == 0


def test_values_of_any_range_are_scaled(trained):
    task = load_best(trained[0], MODEL)
    image, _ = disc_smear(2, height=64, width=80, count=4)
    deep = ImageSpec(value_range=(0, 65535))
    found = [
        find_objects(task, image, ImageSpec(), "32-true", 0.0),
        find_objects(task, image.astype(np.uint16) * 257, deep, "32-true", 0.0),
    ]
    assert np.array_equal(*(cells.label_map for cells in found))


def reshaped(content):
    return {"state_dict": {name: value[None] for name, value in content["state_dict"].items()}}


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path, _: None, r"no checkpoint of a training \(FileNotFoundError\)"),
        (lambda path, _: path.write_bytes(b""), r"no checkpoint of a training \(EOFError\)"),
        (lambda path, _: torch.save(torch.ones(3), path), r"no checkpoint of a training \(it has no state_dict\)"),
        (
            lambda path, known: torch.save({**torch.load(known, weights_only=True), "thresholds": {"threshold": "low"}}, path),
            r"no checkpoint of a training \(it has no thresholds\)",
        ),
        (lambda path, _: torch.save({"state_dict": {}}, path), r"weights of another model than three \(\d+ tensors differ"),
        (
            lambda path, known: torch.save(reshaped(torch.load(known, weights_only=True)), path),
            r"weights of another model than three \(\d+ tensors differ, first net\.layers\.0\.weight\)",
        ),
    ],
)
def test_a_checkpoint_that_is_none_is_one_line(trained, tmp_path, write, message):
    write(tmp_path / "given.ckpt", trained[0] / BEST)
    with pytest.raises(InputError, match=rf"given\.ckpt: {message}.*; take the checkpoint of a run with the same model"):
        load_checkpoint(tmp_path / "given.ckpt", MODEL)


def test_a_checkpoint_needs_no_pretrained_weights(tmp_path):
    net = {"_target_": "rbc_lightning.segmenters.unet.nets.UNet", "decoder_channels": [8] * 5, "weights": "imagenet"}
    model = Model("unet", net, MODEL.task)
    weights = replace(model, net={**net, "weights": None}).build().state_dict()
    torch.save({"state_dict": weights}, tmp_path / "best.ckpt")
    loaded = load_checkpoint(tmp_path / "best.ckpt", model).state_dict()
    assert_same(loaded, weights)


def test_a_model_that_learns_nothing_needs_no_checkpoint(tmp_path):
    task = {"_target_": "rbc_lightning.segmenters.threshold.task.ThresholdTask", "cell_size": 22.0}
    found = load_best(tmp_path, Model("threshold", {"_target_": "torch.nn.Identity"}, task))
    assert found.split_distance == 5.5


NETS = "rbc_lightning.segmenters"
PRETRAINED = {
    "unet": (
        {"_target_": f"{NETS}.unet.nets.UNet", "decoder_channels": [8, 8, 8, 8, 8]},
        {"_target_": f"{NETS}.segmentation.SegmentationTask", "cell_size": 20},
    ),
    "faster_rcnn": (
        {
            "_target_": f"{NETS}.faster_rcnn.nets.FasterRCNN",
            "cell_size": 20,
            "max_cells": 5,
            "fpn_channels": 8,
            "head_channels": 8,
        },
        {"_target_": f"{NETS}.faster_rcnn.task.DetectionTask"},
    ),
}


@pytest.mark.parametrize("weights", ["gone.pth", "imagenet"])
@pytest.mark.parametrize("name", PRETRAINED)
def test_a_checkpoint_needs_neither_the_file_it_was_pretrained_from_nor_the_network(tmp_path, monkeypatch, name, weights):
    def refuse(*_):
        raise AssertionError("something reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    net, task = PRETRAINED[name]
    trained = Model(name, net, task).build()
    torch.save({"state_dict": trained.state_dict()}, tmp_path / "best.ckpt")
    loaded = load_checkpoint(tmp_path / "best.ckpt", Model(name, {**net, "weights": weights}, task))
    assert_same(loaded.state_dict(), trained.state_dict())
    image, _ = disc_smear(0, height=64, width=80, count=4)
    assert find_objects(loaded, image, ImageSpec(), "32-true") is not None
