"""Segmentation of classes: pixels by hand, one class and several, standardised scans, scores by scan, thresholds."""

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

from rbc_lightning.segmenters.dcan.task import ContourTask
from rbc_lightning.segmenters.losses import CrossEntropyDice
from rbc_lightning.segmenters.segmentation import SegmentationTask
from rbc_lightning.segmenters.thresholds import choose_thresholds

STANDARD = (0.5, 0.25)


def trainer():
    return pl.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)


class Channels(nn.Module):
    """The channels are the logits, times a weight of one."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, image):
        return self.weight * image


def item(scan, number, values, truth, n_maps=3):
    """A slice whose largest channel is that of `values`, 4 to -4 after standardising for (0.5, 0.25) cut to [0, 1]: 2, -2."""
    image = torch.stack([torch.tensor([[float(value == each) for value in values]]) for each in range(n_maps)])
    return {
        "image": image,
        "label_map": torch.tensor([truth]),
        "sample_id": f"{scan}_{number}",
        "origin": "real",
        "volume": scan,
    }


SLICES = [
    item("s", 0, [0, 1, 1, 2], [0, 1, 2, 2]),
    item("s", 1, [0, 0, 1, 0], [0, 0, 0, 0]),
    item("t", 0, [2, 2, 0, 0], [2, 2, 0, 0]),
]


def task(**arguments):
    return SegmentationTask(Channels(), classes=["core", "rim"], standard=STANDARD, **arguments)


def test_several_classes_by_hand():
    found = task(loss=CrossEntropyDice())
    (scores,) = trainer().test(found, DataLoader(SLICES), verbose=False)
    rows = found.per_image
    assert [row["sample_id"] for row in rows] == ["s", "t"]
    # Of scan s: core found 3, true 1, in both 1; rim found 1, true 2, in both 1.
    assert (rows[0]["dice_core"], rows[0]["dice_rim"]) == (pytest.approx(2 / 4), pytest.approx(2 / 3))
    assert rows[0]["dice"] == pytest.approx(2 * 3 / 7)
    assert rows[0]["accuracy"] == pytest.approx(6 / 8)
    assert rows[1]["mean_dice"] == 1.0
    assert scores["test/mean_dice"] == pytest.approx(((2 / 4 + 2 / 3) / 2 + 1) / 2)
    assert found.left_out({"s": "p", "t": "q"}) == {"dice_pooled": {"image s": 1.0, "image t": pytest.approx(2 * 3 / 7)}}


def test_validation_of_several_classes_is_by_scan_and_by_mean_dice():
    found = task()
    (scores,) = trainer().validate(found, DataLoader(SLICES, batch_size=3), verbose=False)
    assert (found.monitor, found.to_choose, found.thresholds) == ("val/mean_dice", {}, ())
    assert scores["val/mean_dice"] == pytest.approx(((2 / 4 + 2 / 3) / 2 + 1) / 2)
    assert set(scores) == {"val/mean_dice", "val/dice", "val/loss"}


def test_a_mirrored_prediction_is_the_mean_of_both_hands():
    class Left(nn.Module):
        """Sure of class 1 in the left half, whatever is there."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, image):
            logits = self.weight + torch.zeros(len(image), 2, *image.shape[-2:])
            logits[:, 1, :, : image.shape[-1] // 2] += 2
            return logits + image

    image = torch.rand(2, 1, 4)
    plain, both = (SegmentationTask(Left(), classes=["a", "b"], mirrored=mirrored).eval() for mirrored in (False, True))
    for one in (plain, both):
        one.outputs = 2
    maps = both.predict_maps(image)
    first, second = plain.predict_maps(image), plain.predict_maps(image.flip(-1)).flip(-1)
    assert torch.allclose(maps, (first + second) / 2)
    assert not torch.allclose(maps, first)
    assert torch.allclose(both.predict_maps(image.flip(-1)).flip(-1), maps)


def test_a_standardised_scan_is_seen_as_it_is():
    image = torch.rand(1, 3, 4, 5)
    assert torch.equal(task().standardize(image), (image - 0.5) / 0.25)
    # No image has a part in how another one is seen, nor its own mean.
    assert torch.equal(task().standardize(image[..., :1, :1]), task().standardize(image)[..., :1, :1])


def test_the_patches_of_each_class_are_found_with_class_and_probability():
    found = task().predict_instances(SLICES[0]["image"])
    assert found.classes.tolist() == [1, 2]
    assert found.label_map.tolist() == [[0, 1, 1, 2]]
    assert found.class_map.tolist() == [[0, 1, 1, 2]]
    assert found.boxes.tolist() == [[1, 0, 3, 1], [3, 0, 4, 1]]
    # Logits 2 and -2, -2.
    assert found.scores.tolist() == pytest.approx([1 / (1 + 2 * np.exp(-4))] * 2)


def test_the_foreground_is_what_is_no_background():
    (foreground,) = task().predict_step({"image": SLICES[2]["image"][None]})
    right = np.exp(2) / (np.exp(2) + 2 * np.exp(-2))
    wrong = 1 - right
    assert foreground[0].tolist() == pytest.approx([1 - wrong / 2, 1 - wrong / 2, wrong, wrong], abs=1e-6)


def test_one_class_has_one_map_and_a_threshold_by_scan():
    # Probabilities .88 of ones: right in scan s, in scan t of one slice too much, in the other too little.
    slices = [
        item("s", 0, [0, 0, 1, 1], [0, 0, 1, 1], 2),
        item("t", 0, [0, 0, 0, 0], [1, 0, 0, 0], 2),
        item("t", 1, [0, 0, 0, 0], [1, 1, 0, 0], 2),
        item("u", 0, [0, 0, 0, 0], [1, 0, 0, 0], 2),
        item("u", 1, [0, 0, 0, 0], [1, 1, 0, 0], 2),
    ]
    for entry in slices:
        entry["image"] = entry["image"][1:]
    found = SegmentationTask(Channels(), classes=["lesion"], standard=STANDARD)
    assert (found.monitor, list(found.to_choose), found.outputs) == ("val/dice", ["threshold"], 1)
    chosen = choose_thresholds(found, DataLoader(slices), "32-true")
    # At 0.5 scans t and u have nothing; at 0.1, below exp(-2) / (1 + exp(-2)) = 0.119, everything: 2 * 3 / (8 + 3), s 4 / 6.
    assert (chosen.start_score, chosen.score) == (pytest.approx(1 / 3), pytest.approx((2 * 6 / 11 + 4 / 6) / 3))
    assert chosen.thresholds == {"threshold": 0.1}
    prediction = found.predict(slices[0]["image"])
    assert prediction.classes.tolist() == [[1, 1, 1, 1]]
    assert found.predict_instances(slices[0]["image"]).classes.tolist() == [1]


def test_an_image_in_tiles_has_probabilities_that_add_up():
    torch.manual_seed(0)
    image = torch.rand(3, 300, 700)
    whole, tiled = (task(tile=tile).predict_maps(image) for tile in (None, 256))
    assert torch.allclose(whole, tiled, atol=1e-6)
    assert torch.allclose(whole.sum(0), torch.ones(300, 700), atol=1e-5)


def test_a_task_for_cells_refuses_classes_and_a_network_of_too_few_maps():
    with pytest.raises(ValueError, match="needs a network with 3 output channels, this one has 2"):
        task()(torch.rand(1, 2, 4, 4))
    with pytest.raises(TypeError, match="classes"):
        ContourTask(Channels(), cell_size=10.0, classes=["core"])
