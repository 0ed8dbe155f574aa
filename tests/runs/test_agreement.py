"""What two annotators agree on: scores by hand, and the file beside those of a run."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from slice_samples import slice_manifest
from training_helpers import read_rows

from rbc_lightning.app import run
from rbc_lightning.data.sample import ArrayPair, Sample
from rbc_lightning.metrics.registry import REGISTRY, choose_metrics
from rbc_lightning.runs.agreement import write_agreement

BOXES = [metric for metric in REGISTRY.values() if not metric.needs_label_map]


def squares(*corners, side=10):
    label_map = np.zeros((40, 60), np.int32)
    for index, (row, column) in enumerate(corners, start=1):
        label_map[row : row + side, column : column + side] = index
    return label_map


def sample_of(name, first, second=None):
    image = np.zeros((*first.shape, 3), np.uint8)
    pair = ArrayPair(image, first, name)
    twin = None if second is None else ArrayPair(image, second, f"{name} again")
    return Sample(name, "test", "patient", *pair.sha256, pair, second=twin)


def test_agreement_by_hand(tmp_path):
    # Of three cells the second annotator has one, and half of another; the third is missed.
    half = squares((0, 0), (0, 20))
    half[5:, 20:30] = 0
    first = squares((0, 0), (0, 20), (20, 40))
    write_agreement(tmp_path, [sample_of("a", first, half), sample_of("b", first)], REGISTRY.values())
    (row,) = read_rows(tmp_path / "agreement.csv")
    assert list(row) == ["sample_id", "group", "dice", "iou", "ap50", "n_true", "n_found", "count_error", "aji", "pq"]
    assert (row.pop("sample_id"), row.pop("group")) == ("a", "patient")
    assert {name: float(value) for name, value in row.items()} == pytest.approx(
        {
            "dice": 2 * 150 / (150 + 300),
            "iou": 150 / 300,
            # Half a box is an IoU of 1/2, which is no hit; both have a score of 1, so that there is one step: 1/2 at 1/3.
            "ap50": 1 / 3 * 1 / 2,
            "n_true": 3,
            "n_found": 2,
            "count_error": 1 / 3,
            "aji": 150 / (100 + 100 + 100),
            "pq": 1 / (1 + 1 / 2 + 2 / 2),
        }
    )


def test_a_detector_of_boxes_has_their_metrics(tmp_path):
    write_agreement(tmp_path, [sample_of("a", squares((0, 0)), squares((0, 0)))], BOXES)
    assert [list(row.values()) for row in read_rows(tmp_path / "agreement.csv")] == [
        ["a", "patient", "1.0", "1.0", "1.0", "0.0"]
    ]


def test_empty_fields_agree(tmp_path):
    write_agreement(tmp_path, [sample_of("a", squares(), squares())], REGISTRY.values())
    (row,) = read_rows(tmp_path / "agreement.csv")
    assert (row["dice"], row["ap50"], row["count_error"], row["pq"]) == ("1.0", "1.0", "0.0", "1.0")


def test_without_a_second_annotation_there_is_no_file(tmp_path):
    twice = sample_of("a", squares((0, 0)), squares((0, 0)))
    write_agreement(tmp_path, [twice], REGISTRY.values())
    write_agreement(tmp_path, [replace(twice, second=None)], REGISTRY.values())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("model", ["fcn8s", "threshold", "faster_rcnn"])
def test_every_run_writes_it_and_is_the_same_run(own_folder, tmp_path, compose_tiny, model):
    labels, seconds = own_folder / "labels", own_folder / "labels_2"
    seconds.mkdir()
    for name in ("smear_00", "smear_05"):
        label_map = np.array(Image.open(labels / f"{name}.png"))
        Image.fromarray(np.where(label_map == 1, 0, label_map)).save(seconds / f"{name}.png")
    base = ("+experiment=rd", f"model={model}")
    result = run(compose_tiny(tmp_path, *base, "data.second_masks=labels_2", root=own_folder))
    (row,) = read_rows(result.directory / "agreement.csv")
    assert (row["sample_id"], row["group"], float(row["n_true"]), float(row["n_found"])) == ("smear_05", "slide_5", 9, 8)
    assert list(row) == list(read_rows(result.directory / "per_image.csv")[0])
    assert float(row["ap50"]) == pytest.approx(8 / 9)
    again = run(compose_tiny(tmp_path, *base, root=own_folder))
    assert (again.reused, again.directory) == (True, result.directory)


def test_second_annotations_of_slices_agree_by_scan(tmp_path):
    """Of scan c the second annotator has half the lesion in one slice, of d all."""
    samples = []
    for each in slice_manifest().split("test"):
        second = each.load_label_map()
        if each.sample_id == "c_000":
            rows = np.flatnonzero(second.any(axis=1))
            second[rows[: len(rows) // 2]] = 0
        samples.append(replace(each, second=ArrayPair(each.load_image(), second, "again")))
    write_agreement(tmp_path, samples, choose_metrics(True, {}, ("lesion",)).values())
    rows = read_rows(tmp_path / "agreement.csv")
    assert [(row["sample_id"], row["group"]) for row in rows] == [("c", "c"), ("d", "d")]
    # 20 pixels a lesion, two slices with one: 8 are missed.
    assert [float(row["dice_lesion"]) for row in rows] == [pytest.approx(2 * 32 / 72), 1.0]
