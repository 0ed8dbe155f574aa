"""The choice of thresholds on made-up maps whose best ones are known."""

import numpy as np
import pytest
import torch
from torch import nn

from rbc_lightning.segmenters.dcan.task import ContourTask
from rbc_lightning.segmenters.segmentation import SegmentationTask
from rbc_lightning.segmenters.thresholds import choose_thresholds


class Maps(nn.Module):
    """Gives maps of probabilities in turn, whatever it is shown; counts how often it was asked."""

    def __init__(self, *maps):
        super().__init__()
        self.maps, self.asked = maps, 0

    def forward(self, image):
        self.asked += 1
        return torch.from_numpy(self.maps[(self.asked - 1) % len(self.maps)]).logit()[None]


def batches(*label_maps):
    return [
        {"image": torch.rand(1, 3, *truth.shape), "label_map": torch.from_numpy(truth)[None], "sample_id": [str(index)]}
        for index, truth in enumerate(label_maps)
    ]


def too_wide(rim, inside=0.95, outside=0.05):
    """A cell of 20 x 20 pixels, sure inside, with a rim of 4 pixels around it that is no cell's."""
    truth, maps = np.zeros((40, 40), np.int64), np.full((1, 40, 40), outside, np.float32)
    truth[10:30, 10:30] = 1
    maps[0, 6:34, 6:34] = rim
    maps[0, 10:30, 10:30] = inside
    return truth, maps


@pytest.mark.parametrize(
    ("rim", "inside", "expected"),
    [
        # Drawn too wide, as on bbbc041seg: 0.65 is the first above the rim, as seen from 0.5.
        (0.62, 0.95, 0.65),
        # All values from 0.1 to 0.95 are right.
        (0.1, 0.95, 0.5),
        # Unsure cells.
        (0.1, 0.33, 0.3),
        # All are wrong.
        (0.05, 0.05, 0.5),
    ],
)
def test_the_known_best_threshold_is_found(rim, inside, expected):
    truth, maps = too_wide(rim, inside)
    net = Maps(maps)
    task = SegmentationTask(net)
    chosen = choose_thresholds(task, batches(truth), "32-true")
    assert dict(chosen.thresholds) == {"threshold": expected}
    assert task.threshold == expected
    assert net.asked == 1
    assert chosen.metric == "dice"
    if expected != 0.5:
        assert chosen.score == 1.0 > chosen.start_score
    wide = 2 * 400 / (400 + 28**2)
    if rim == 0.62:
        assert chosen.start_score == pytest.approx(wide)
        assert chosen.line() == f"Chose threshold 0.65 by validation: dice 1.0000 ({wide:.4f} with threshold 0.5)"


@pytest.mark.parametrize(("scans", "expected"), [(1, 0.5), (2, 0.5), (3, 0.65)])
def test_one_or_two_scans_choose_no_threshold(scans, expected):
    """On the 1.5 T scans one validation patient chose 0.15, with which four test patients scored less than with 0.5."""
    truth, maps = too_wide(0.62)
    named = [{**batch, "volume": [f"scan{index % scans}"]} for index, batch in enumerate(batches(*[truth] * 3))]
    task = SegmentationTask(Maps(maps))
    chosen = choose_thresholds(task, named, "32-true")
    assert task.threshold == chosen.thresholds["threshold"] == expected
    if scans < 3:
        assert chosen.score == chosen.start_score < 1
        assert chosen.line().startswith(f"Kept threshold 0.5: {scans} validation scan{'s'[: scans - 1]}, of at least 3 ")


def test_it_is_the_score_over_all_images_that_counts():
    """One image wants more than 0.62, another less than 0.42: what the mean Dice loses is less with the first."""
    (wide, wide_maps), (unsure, unsure_maps) = too_wide(0.62), too_wide(0.1, inside=0.42)
    for counts, expected in (((1, 1), 0.4), ((5, 1), 0.65)):
        maps = [wide_maps] * counts[0] + [unsure_maps] * counts[1]
        truths = [wide] * counts[0] + [unsure] * counts[1]
        plain = {
            step / 20: np.mean(
                [
                    2 * ((m[0] > step / 20) & (t > 0)).sum() / ((m[0] > step / 20).sum() + 400)
                    for m, t in zip(maps, truths, strict=True)
                ]
            )
            for step in range(1, 20)
        }
        best = [value for value, score in plain.items() if score == max(plain.values())]
        assert expected == min(best, key=lambda value: (abs(value - 0.5), value))
        task = SegmentationTask(Maps(*maps))
        chosen = choose_thresholds(task, batches(*truths), "32-true")
        assert task.threshold == expected
        assert chosen.score == pytest.approx(max(plain.values()))


def touching():
    """Two cells of 20 x 20 pixels side by side; the contour between them is as weak as 0.15, no cell's pixel has over 0.08."""
    truth = np.zeros((60, 80), np.int64)
    truth[20:40, 20:40], truth[20:40, 40:60] = 1, 2
    maps = np.full((2, 60, 80), 0.02, np.float32)
    maps[0][truth > 0] = 0.9
    maps[1][truth > 0] = 0.08
    maps[1, 18:42, 39:41] = 0.15
    return truth, maps


def test_both_thresholds_of_contours_are_chosen_together():
    truth, maps = touching()
    # Wider than they are, below 0.55.
    maps[0, 12:48, 12:68] = np.maximum(maps[0, 12:48, 12:68], 0.55)
    task = ContourTask(Maps(maps), contour_radius=1)
    chosen = choose_thresholds(task, batches(truth), "32-true")
    assert chosen.metric == "ap50"
    assert chosen.score == 1.0 > chosen.start_score
    assert (task.threshold, task.contour_threshold) == (0.6, 0.1)
    assert dict(chosen.start) == {"threshold": 0.5, "contour_threshold": 0.1}
    found = task.read_cells(maps)
    assert len(found) == 2


def test_what_is_given_is_not_chosen():
    truth, maps = touching()
    task = ContourTask(Maps(maps), contour_radius=1, contour_threshold=0.5)
    assert task.to_choose == {"threshold": ContourTask.grid}
    chosen = choose_thresholds(task, batches(truth), "32-true")
    assert list(chosen.thresholds) == ["threshold"]
    assert task.contour_threshold == 0.5
    assert SegmentationTask(Maps(maps), threshold=0.6).to_choose == {}
    task.set_thresholds({"threshold": 0.4, "contour_threshold": 0.2})
    assert (task.threshold, task.contour_threshold) == (0.4, 0.5)


def test_where_less_is_better_the_least_is_chosen():
    class Counting(SegmentationTask):
        monitor, mode = "val/count_error", "min"

    truth, maps = too_wide(0.1)
    # A second patch that is none.
    maps[0, 0:3, 0:3] = 0.72
    task = Counting(Maps(maps))
    assert choose_thresholds(task, batches(truth), "32-true").score == 0.0
    assert task.threshold == 0.75


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_choice_is_the_same_again(precision):
    torch.manual_seed(0)
    truth, _ = too_wide(0.5)
    net = nn.Conv2d(3, 1, 3, padding=1)
    given = batches(truth, truth)
    first, second = (choose_thresholds(SegmentationTask(net), given, precision) for _ in range(2))
    assert first == second
