import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rbc_lightning.data.coco import instances, write_coco


def decode(code):
    height, width = code["size"]
    values = np.repeat(np.arange(len(code["counts"])) % 2, code["counts"])
    assert values.size == height * width
    return values.reshape((height, width), order="F").astype(bool)


def test_a_hand_made_cell():
    label_map = np.zeros((3, 4), dtype=np.int32)
    label_map[1:3, 1] = 1
    (cell,) = instances(label_map)
    assert cell == {"bbox": [1, 1, 1, 2], "area": 2, "segmentation": {"size": [3, 4], "counts": [4, 2, 6]}}


@settings(deadline=None, max_examples=60)
@given(hnp.arrays(np.int32, st.tuples(st.integers(1, 7), st.integers(1, 7)), elements=st.integers(0, 4)))
def test_run_lengths_decode_to_the_masks(label_map):
    present = [value for value in range(1, 5) if (label_map == value).any()]
    cells = instances(label_map)
    assert len(cells) == len(present)
    for value, cell in zip(present, cells, strict=True):
        np.testing.assert_array_equal(decode(cell["segmentation"]), label_map == value)
        assert cell["area"] == (label_map == value).sum()


def test_the_file_numbers_images_and_cells(tmp_path):
    label_map = np.array([[1, 0, 2]], dtype=np.int32)
    write_coco(tmp_path / "coco.json", [("a.png", label_map), ("b.png", label_map * 0), ("c.png", label_map)])
    content = json.loads((tmp_path / "coco.json").read_text())
    assert [image["file_name"] for image in content["images"]] == ["a.png", "b.png", "c.png"]
    assert [(cell["id"], cell["image_id"]) for cell in content["annotations"]] == [(1, 1), (2, 1), (3, 3), (4, 3)]


def test_more_cells_than_255_and_1000():
    label_map = np.arange(1, 1501, dtype=np.int32).reshape(30, 50)
    assert len(instances(label_map)) == 1500
    assert [cell["area"] for cell in instances(label_map)] == pytest.approx([1] * 1500)
