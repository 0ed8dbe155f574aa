"""The threshold as a task: sizes that follow from the cells, those that are given, figures on real smears."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_data import disc_smear
from torch import nn

from rbc_lightning.data.formats import read_image
from rbc_lightning.masks.bank.recipe import measure_layout
from rbc_lightning.metrics.scores import Scores
from rbc_lightning.segmenters.threshold.task import ThresholdTask


def tensor_of(image):
    return torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32) / 255)


def test_sizes_follow_from_the_cell_size_unless_given():
    task = ThresholdTask(nn.Identity(), cell_size=40.0)
    # Of a disc of 40 px: 1257 px.
    assert (task.background_sigma, task.max_hole_area, task.min_area, task.split_distance) == (40.0, 628, 63, 10.0)
    given = {"background_sigma": 50.0, "max_hole_area": 0, "min_area": 0, "split_distance": 7.0}
    task = ThresholdTask(nn.Identity(), cell_size=None, **given)
    assert {name: getattr(task, name) for name in given} == given


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"background_sigma needs a number of pixels, or cell_size to follow from; both are None"),
        ({"cell_size": 0}, r"cell_size must be a positive number of pixels or None, got 0"),
        ({"cell_size": 20, "split_distance": 0.0}, r"split_distance must be a positive number of pixels or None, got 0\.0"),
        ({"cell_size": 20, "min_area": -1}, r"min_area must be a positive number of pixels or None, got -1"),
        ({"cell_size": 20, "objects": "pale"}, r"objects must be dark or bright, got 'pale'"),
    ],
)
def test_what_makes_no_sense_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        ThresholdTask(nn.Identity(), **values)


def test_every_disc_is_found_whatever_the_tile():
    image, label_map = disc_smear(3)
    task = ThresholdTask(nn.Identity(), cell_size=22.0)
    row = Scores(task.metrics.values()).update(task.predict(tensor_of(image)), label_map)
    assert (row["n_found"], row["ap50"]) == (9, 1.0)
    assert row["dice"] > 0.98
    whole = task.predict_instances(tensor_of(image)).label_map
    task.set_tile(256)
    assert (task.predict_instances(tensor_of(image)).label_map == whole).all()


def test_on_real_smears_it_is_no_weak_floor(shared_smears):
    def read(split):
        with (shared_smears / "splits.csv").open() as handle:
            names = [row["sample_id"] for row in csv.DictReader(handle) if row["split"] == split]
        for name in names:
            (path,) = (shared_smears / "images").glob(f"{name}.*")
            with Image.open(shared_smears / "labels" / f"{name}.png") as label_map:
                yield read_image(path), np.asarray(label_map).astype(np.int32)

    size = measure_layout([label_map for _, label_map in read("train")]).cell_size
    task = ThresholdTask(nn.Identity(), cell_size=size)
    scores = Scores(task.metrics[name] for name in ("dice", "ap50", "count_error"))
    rows = [scores.update(task.predict(tensor_of(image)), label_map) for image, label_map in read("test")]
    # An independent threshold of the same kind: 0.949, worst image 0.908; with a watershed AP50 0.80.
    assert scores.compute()["dice"] > 0.949
    assert min(row["dice"] for row in rows) > 0.9
    assert scores.compute()["ap50"] > 0.85
    assert scores.compute()["count_error"] < 0.07
