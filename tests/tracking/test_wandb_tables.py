"""What a run shows beside its curves."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rbc_lightning.data.sample import Sample
from rbc_lightning.data.spec import ImageSpec
from rbc_lightning.metrics.instances import Instances
from rbc_lightning.report.figures.runs import color_labels
from rbc_lightning.tracking.wandb_tables import log_pairs, log_predictions, log_sheets, log_summary

wandb = pytest.importorskip("wandb", reason="an optional package")


class Made:
    """A loader of two squares on grey."""

    where = "nowhere"

    def __init__(self, height=40, width=60, channels=3, dtype=np.uint8):
        self.shape, self.dtype = (height, width, channels), dtype

    def image(self):
        return np.full(self.shape, 100, dtype=self.dtype)

    def label_map(self):
        label_map = np.zeros(self.shape[:2], dtype=np.int32)
        label_map[5:15, 5:15], label_map[20:30, 30:40] = 1, 2
        return label_map

    def size(self):
        return self.shape[:2]


class Run:
    def __init__(self):
        self.logged, self.summary = {}, {}

    def log(self, entries):
        self.logged |= entries


def make_sample(name, loader=None, **facts):
    return Sample(name, "test", name, "a", "b", loader or Made(), **facts)


def found(sample):
    return Instances(np.array([[5, 5, 15, 15]], dtype=np.float32), np.ones(1, dtype=np.float32), None)


def test_predictions_go_from_the_worst_to_the_best_with_all_scores():
    run, rows = Run(), [{"sample_id": f"s{i}", "dice": dice, "n_true": 2} for i, dice in enumerate((0.9, 0.1, 0.5))]
    log_predictions(run, rows, "dice", [make_sample(f"s{i}") for i in range(3)], found)
    table = run.logged["predictions"]
    assert table.columns == ["sample_id", "image", "truth", "prediction", "dice", "n_true"]
    assert [(row[0], row[4], row[5]) for row in table.data] == [("s1", 0.1, 2), ("s2", 0.5, 2), ("s0", 0.9, 2)]


def test_pairs_of_other_channels_and_depths_are_shown_small_and_in_colour():
    spec = ImageSpec(channels=("nuclei", "membrane"), value_range=(0, 65535))
    run, sample = Run(), make_sample("s", Made(900, 1536, 2, np.uint16), spec=spec)
    log_pairs(run, [sample])
    ((name, _, picture, cells),) = run.logged["synthetic"].data
    assert (name, cells) == ("s", 2)
    assert (picture.image.size, picture.image.mode) == ((768, 450), "RGB")
    log_pairs(empty := Run(), [])
    assert empty.logged == {}


def test_the_summary_is_flat_and_sheets_are_named(tmp_path):
    run = Run()
    log_summary(run, {"mix": {"real": 4}, "seed": 0})
    assert run.summary == {"mix/real": 4, "seed": 0}
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    log_sheets(run, {"a": Path(tmp_path / "a.png")})
    assert list(run.logged) == ["sheets/a"]


def test_of_many_rows_the_worst_the_best_and_some_all_along_are_shown():
    run, rows = Run(), [{"sample_id": f"s{i}", "dice": float(i)} for i in range(30)]
    log_predictions(run, rows, "dice", [make_sample(f"s{i}") for i in range(30)], found)
    assert [row[4] for row in run.logged["predictions"].data] == [0, *range(2, 29, 2), 29]
    run = Run()
    log_predictions(run, rows[:1], "dice", [make_sample("s0")], found)
    assert [row[4] for row in run.logged["predictions"].data] == [0]


def test_a_slice_stands_for_its_scan_and_classes_have_their_colours():
    sample, run = make_sample("scan_007", volume="scan"), Run()
    truth = sample.load_label_map()
    found = Instances(np.zeros((2, 4), np.float32), np.ones(2, np.float32), truth, np.array([1, 2], dtype=np.int32))
    log_predictions(run, [{"sample_id": "scan", "dice": 0.5}], "dice", [sample], lambda _: found)
    (row,) = run.logged["predictions"].data
    assert (row[0], row[4]) == ("scan_007", 0.5)
    pictures = [np.asarray(picture.image) for picture in row[1:4]]
    # Found as it is: shaded in the same two colours.
    assert np.array_equal(pictures[1], pictures[2])
    shaded = pictures[1][(pictures[1] != pictures[0]).any(axis=2)]
    assert {tuple(color) for color in shaded} == {
        tuple(np.round(0.5 * color + 50)) for color in color_labels(np.array([[1, 2]]))[0]
    }
