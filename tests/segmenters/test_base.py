"""What tasks share: optimiser and schedule, metrics that are given, the count of what was drawn; a task of ten lines."""

from functools import partial

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from plugins.metric import area_error
from plugins.optimiser import SignDescent
from scipy import ndimage
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader

from rbc_lightning.core.labels import label_map_to_boxes
from rbc_lightning.errors import InputError
from rbc_lightning.metrics.instances import Instances
from rbc_lightning.metrics.registry import Metric
from rbc_lightning.segmenters.base import BaseTask
from rbc_lightning.segmenters.illumination import standardize
from rbc_lightning.segmenters.optimizers import ONE_CYCLE, AdamW
from rbc_lightning.segmenters.segmentation import SegmentationTask

COSINE = partial(CosineAnnealingLR)


class DarkPatches(BaseTask):
    """Finds patches below a learnt level: all that a task takes."""

    def training_step(self, batch):
        level = self.net(torch.ones(1, 1))[0, 0]
        inside = self.standardize(batch["image"]).mean(1)[batch["label_map"] > 0]
        return (level - inside.mean() / 2).square()

    def predict_instances(self, image):
        level = self.net(torch.ones(1, 1))[0, 0]
        label_map = ndimage.label((self.standardize(image[None])[0].mean(0) < level).detach().numpy())[0].astype(np.int32)
        return Instances(label_map_to_boxes(label_map), np.ones(label_map.max(), np.float32), label_map)


def squares():
    """Two dark squares of 8 x 8 and 6 x 6 pixels on bright ground of two channels."""
    label_map = torch.zeros(1, 40, 60, dtype=torch.int64)
    label_map[0, 5:13, 5:13], label_map[0, 20:26, 30:36] = 1, 2
    image = 0.8 - 0.5 * (label_map > 0).float()[:, None].repeat(1, 2, 1, 1)
    return {"image": image, "label_map": label_map, "sample_id": ["a"], "origin": ["real"]}


def trainer(**arguments) -> pl.Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return pl.Trainer(accelerator="cpu", enable_checkpointing=False, **quiet, **arguments)


def steps(batch, count):
    return DataLoader([batch] * count, batch_size=None)


def learning_rates(schedule, max_steps=20, **arguments) -> list[float]:
    rates: list[float] = []

    class Recorder(pl.Callback):
        def on_train_batch_start(self, trainer, *_):
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    task = DarkPatches(nn.Linear(1, 1), AdamW(lr=0.1), schedule)
    # Five steps an epoch.
    trainer(callbacks=[Recorder()], max_steps=max_steps, **arguments).fit(task, steps(squares(), 5))
    return rates


def test_schedules_span_the_run():
    cycle = learning_rates(ONE_CYCLE)
    assert len(cycle) == 20
    assert cycle[0] == pytest.approx(0.1 / 25)
    assert max(cycle) == pytest.approx(0.1)
    assert cycle.index(max(cycle)) == 2
    assert cycle[-1] < 1e-6
    cosine = learning_rates(COSINE)
    assert [cosine[0], cosine[10]] == pytest.approx([0.1, 0.05])
    assert learning_rates(None) == [0.1] * 20
    assert learning_rates(COSINE, max_steps=-1, max_epochs=4) == pytest.approx(cosine)


def test_a_schedule_without_an_end_is_refused():
    with pytest.raises(ValueError, match=r"CosineAnnealingLR.* needs the length of the run: set max_steps"):
        learning_rates(COSINE, max_steps=-1, max_epochs=-1)


def test_frozen_weights_are_left_out_of_the_optimiser():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    net[0].requires_grad_(False)
    optimizer = DarkPatches(net, partial(torch.optim.SGD, lr=0.1), None).configure_optimizers()
    assert optimizer.param_groups[0]["params"] == list(net[1].parameters())


@pytest.mark.parametrize("optimizer", [partial(torch.optim.SGD, lr=0.2), partial(SignDescent, lr=0.05)])
def test_any_optimiser_trains(optimizer):
    torch.manual_seed(0)
    task, run = DarkPatches(nn.Linear(1, 1), optimizer, None), trainer(max_steps=40)
    run.fit(task, steps(squares(), 40))
    level, darkest = task.net(torch.ones(1, 1)).item(), standardize(squares()["image"]).min().item()
    assert level == pytest.approx(darkest / 2, abs=0.1)


def test_a_task_of_ten_lines_is_trained_validated_and_tested():
    task, run = DarkPatches(nn.Linear(1, 1), AdamW(0.2), metrics={"area_error": area_error()}), trainer(max_steps=30)
    run.fit(task, steps(squares(), 30), steps(squares(), 1))
    assert run.callback_metrics[task.monitor] == 1.0
    (scores,) = run.test(task, steps(squares(), 1), verbose=False)
    (row,) = task.per_image
    assert list(row) == ["sample_id", "dice", "iou", "ap50", "n_true", "n_found", "count_error", "aji", "pq", "area_error"]
    assert row["dice"] == row["aji"] == scores["test/dice"] == scores["test/ap"] == 1.0
    assert scores["test/count_error"] == 0
    run.test(task, steps(squares(), 2), verbose=False)
    assert len(task.per_image) == 2  # a second test starts afresh


def test_a_test_gives_pooled_scores_without_each_unit():
    task, batches = DarkPatches(nn.Linear(1, 1)), [squares() | {"sample_id": [name]} for name in "abc"]
    # In the third image one of the squares is not annotated.
    batches[2]["label_map"] = batches[2]["label_map"].clone() % 2
    torch.nn.init.zeros_(task.net.weight)
    torch.nn.init.zeros_(task.net.bias)
    (scores,) = trainer().test(task, DataLoader(batches, batch_size=None), verbose=False)
    found = task.left_out({"a": "p", "b": "q", "c": "q"})
    assert list(found) == ["dice_pooled", "ap50", "ap50_11_point", "ap"]
    assert found["dice_pooled"] == {"p": pytest.approx(2 * 164 / (200 + 164)), "q": 1.0}
    assert scores["test/dice_pooled"] == pytest.approx(2 * 264 / (300 + 264))
    # Every image for itself where no two share a patient.
    assert list(task.left_out({"a": "p"})["ap"]) == ["image a", "image b", "image c"]


def corner_error(prediction, truth):
    return float(prediction.foreground[0, 0] != (truth[0, 0] > 0))


def test_a_metric_that_is_given_is_a_column_a_logged_value_and_has_a_title():
    task = DarkPatches(nn.Linear(1, 1), metrics={"corner": Metric("corner", "Error of the corner", False, corner_error)})
    (scores,) = trainer().test(task, steps(squares(), 3), verbose=False)
    assert scores["test/corner"] == task.per_image[0]["corner"] == 0.0
    about = task.metrics_about()
    assert about["corner"] == {"title": "Error of the corner", "higher_is_better": False}
    # Scores that images have; counts and values over all images alone are none.
    assert list(about) == ["dice", "iou", "ap50", "count_error", "aji", "pq", "corner"]
    assert about["ap50"] == {"title": "AP50", "higher_is_better": True}


def test_what_was_drawn_is_counted_by_kind_over_the_epoch():
    class Counts(pl.Callback):
        def on_train_epoch_end(self, trainer, *_):
            seen.append({name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("drawn/")})

    seen = []
    batch = {
        "image": torch.rand(3, 3, 8, 8),
        "label_map": torch.randint(0, 2, (3, 8, 8)),
        "sample_id": ["a", "b", "c"],
        "origin": ["real", "synthetic", "real"],
        "augmented": torch.tensor([False, False, True]),
    }
    trainer(max_epochs=2, callbacks=[Counts()]).fit(DarkPatches(nn.Linear(1, 1)), steps(batch, 4))
    assert seen == [{"drawn/real": 4, "drawn/synthetic": 4, "drawn/augmented": 4}] * 2


def test_bright_objects_are_standardised_as_such():
    image = squares()["image"]
    task = DarkPatches(nn.Linear(1, 1), objects="bright")
    assert torch.equal(task.standardize(1 - image), standardize(1 - image, "bright"))
    assert not torch.equal(task.standardize(1 - image), standardize(1 - image))


def test_tiles_of_prediction():
    task = SegmentationTask(nn.Conv2d(3, 1, 1))
    for tile in (256, None):
        task.set_tile(tile)
        assert task.tile == tile
    for tile in (255, 300.0, True, "large"):
        with pytest.raises(InputError, match=rf"predict.tile={tile}; expected 256 pixels or more \(tiles overlap\), or null"):
            task.set_tile(tile)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": "adamw"}, "optimizer must be a function of parameters, got 'adamw': name one by _target_"),
        ({"schedule": "cosine"}, "schedule must be a function of optimiser and number of steps, got 'cosine'"),
        ({"schedule": partial(COSINE, end=1)}, "schedule must be a function .*which .*CosineAnnealingLR.* is not: .*end"),
        ({"objects": "red"}, "objects must be dark or bright, got 'red'"),
        ({"metrics": {"dice": area_error()}}, "metrics.dice gives a metric named 'area_error'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        DarkPatches(nn.Linear(1, 1), **arguments)
