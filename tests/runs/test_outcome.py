import json
from dataclasses import replace

import numpy as np
import pytest
from head_slices import SLICES
from torch import nn
from training_helpers import read_rows

from rbc_lightning.core.files import write_json
from rbc_lightning.data.datamodule import PairDataModule
from rbc_lightning.data.mix import Mix
from rbc_lightning.data.readers.folder import read_folder
from rbc_lightning.data.sample import ArrayPair, Sample
from rbc_lightning.data.splits import cut_validation
from rbc_lightning.runs import outcome
from rbc_lightning.runs.outcome import draw, finite, read_counts, thresholds, without_units, write_counts, write_per_image
from rbc_lightning.segmenters.dcan.task import ContourTask
from rbc_lightning.segmenters.segmentation import SegmentationTask
from rbc_lightning.segmenters.threshold.task import ThresholdTask


def test_draws_are_counted_over_whole_passes(tiny_folder, tmp_path):
    manifest = cut_validation(read_folder(tiny_folder), 0.2, 0)
    data = PairDataModule(manifest, (), Mix(4, 0, 4), augment=None, crop=32, batch_size=4, steps_per_epoch=2, seed=0)
    write_counts(tmp_path, data.drawn_counts(4))
    assert read_counts(tmp_path / "drawn.csv") == data.drawn_counts(4)
    rows = read_rows(tmp_path / "drawn.csv")
    assert {(row["origin"], row["augmented"]) for row in rows} == {("real", "True"), ("real", "False")}
    assert [int(row["draws"]) for row in rows] == [2] * 8


@pytest.mark.parametrize(("mix", "kinds"), [(Mix(4, 0, 0), ["real"]), (Mix(4, 0, 4), ["real", "augmented"])])
def test_a_sample_of_each_kind_is_drawn(tiny_folder, tmp_path, monkeypatch, mix, kinds):
    drawn = []
    monkeypatch.setattr(outcome, "save_run_figure", lambda path, pairs, *_: drawn.extend(pairs))
    manifest = cut_validation(read_folder(tiny_folder), 0.2, 0)

    def mirrored(image, label_map, seed):
        return image[:, ::-1], label_map[:, ::-1]

    data = PairDataModule(manifest, (), mix, augment=mirrored, crop=32, batch_size=4, steps_per_epoch=2, seed=0)
    draw(tmp_path, data, lambda sample: None, optimistic=False)
    assert [kind for kind, _, _ in drawn] == kinds
    sample = data.train_set.pools["real"][0]
    for (_, image, label_map), expected in zip(drawn, (sample.rgb(), sample.rgb()[:, ::-1]), strict=False):
        assert np.array_equal(image, expected)
        assert image.shape[:2] == label_map.shape


def test_of_generated_slices_the_fullest_is_shown():
    """The first of a set is as likely empty as not."""
    pool = []
    for index, count in enumerate((0, 3, 7, 2)):
        label_map = np.zeros((4, 4), np.int32)
        label_map.flat[:count] = 1
        loader = ArrayPair(np.zeros((4, 4, 2), np.uint16), label_map, f"memory/{index}")
        pool.append(Sample(f"synthetic_{index}", "train", f"synthetic_{index}", *loader.sha256, loader, spec=SLICES))
    assert outcome._shown(pool) is pool[2]
    cells = [replace(sample, spec=replace(SLICES, labels="instances", classes=("cell",), context=())) for sample in pool]
    assert outcome._shown(cells) is cells[0]


class Tested:
    """A task after its test."""

    per_image = ({"sample_id": "b", "dice": 0.5}, {"sample_id": "a", "dice": float("nan")})

    def left_out(self, groups):
        return {"ap": dict(zip(groups.values(), (0.25, float("nan")), strict=True))}


def test_scores_have_the_group_of_their_image(tmp_path):
    write_per_image(tmp_path, Tested(), {"a": "p", "b": "q"})
    assert read_rows(tmp_path / "per_image.csv") == [
        {"sample_id": "b", "group": "q", "dice": "0.5"},
        {"sample_id": "a", "group": "p", "dice": "nan"},
    ]


def test_what_is_no_number_leaves_the_record_valid(tmp_path):
    scores = {"test/dice": 0.5, "test/own": float("nan"), "test/other": float("inf")}
    write_json(tmp_path / "m.json", {**finite(scores), "left_out": without_units(Tested(), {"a": "p", "b": "q"})})
    content = json.loads((tmp_path / "m.json").read_text(), parse_constant=pytest.fail)
    assert content == {"test/dice": 0.5, "left_out": {"ap": {"p": 0.25, "q": None}}}


def test_thresholds_are_told_with_the_split_that_chose_them():
    task = ContourTask(nn.Conv2d(3, 2, 1), contour_threshold=0.3, contour_radius=1)
    task.set_thresholds({"threshold": 0.6})
    assert thresholds(task, "val") == {
        "threshold": 0.6,
        "contour_threshold": 0.3,
        "threshold_chosen_on": "val",
        "contour_threshold_chosen_on": None,
    }
    assert thresholds(SegmentationTask(nn.Conv2d(3, 1, 1)), "test")["threshold_chosen_on"] == "test"
    assert thresholds(ThresholdTask(nn.Identity(), cell_size=20.0), "val") == {}
