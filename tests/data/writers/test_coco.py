import json
import weakref

import numpy as np
import pytest
from faster_coco_eval import COCO
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rbc_lightning.core.labels import label_map_to_boxes
from rbc_lightning.data.writers.coco import instances, write_coco, write_coco_found
from rbc_lightning.segmenters.postprocess import Instances


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


def found_in(label_map, scores):
    return Instances(label_map_to_boxes(label_map), np.array(scores, dtype=np.float32), label_map)


def test_cells_found_are_read_back_by_another_reader(tmp_path):
    label_map = np.zeros((5, 7), dtype=np.int32)
    label_map[1:3, 2:6], label_map[4, 0] = 1, 2
    boxes = np.array([[0.123, 1, 3.5, 2.25]], dtype=np.float32)
    images = [
        ("maps.png", (5, 7), found_in(label_map, [0.75, 0.123456])),
        ("none.png", (9, 4), Instances(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))),
        ("boxes.png", (3, 4), Instances(boxes, np.array([1.0], dtype=np.float32))),
    ]
    write_coco_found(tmp_path / "found" / "boxes.json", iter(images))
    coco = COCO(str(tmp_path / "found" / "boxes.json"))
    assert [(image["file_name"], image["height"], image["width"]) for image in coco.dataset["images"]] == [
        ("maps.png", 5, 7),
        ("none.png", 9, 4),
        ("boxes.png", 3, 4),
    ]
    first, second, third = (coco.anns[number] for number in (1, 2, 3))
    assert [cell["image_id"] for cell in (first, second, third)] == [1, 1, 3]
    assert (first["bbox"], first["area"], first["score"]) == ([2, 1, 4, 2], 8, 0.75)
    assert (second["bbox"], second["area"], second["score"]) == ([0, 4, 1, 1], 1, 0.1235)
    for cell in (first, second):
        np.testing.assert_array_equal(coco.annToMask(cell), label_map == cell["id"])
    # A box alone has the area of the box: 3.38 x 1.25, and no mask that nobody found.
    assert (third["bbox"], third["area"], third["score"]) == ([0.12, 1.0, 3.38, 1.25], 4.22, 1.0)
    assert "segmentation" not in third
    assert coco.getCatIds() == [1]
    assert all(cell["category_id"] == 1 and cell["iscrowd"] == 0 for cell in coco.anns.values())


def test_no_image_and_no_cell_make_a_file_that_is_read(tmp_path):
    write_coco_found(tmp_path / "boxes.json", [])
    assert COCO(str(tmp_path / "boxes.json")).dataset["annotations"] == []


def test_images_found_are_written_one_by_one_and_not_kept(tmp_path):
    alive = []

    def one_by_one():
        for number in range(3):
            assert all(reference() is None for reference in alive[:-1])
            found = found_in(np.array([[1, 0, 2]], dtype=np.int32), [0.5, 0.5])
            alive.append(weakref.ref(found))
            yield f"{number}.png", (1, 3), found
            del found

    write_coco_found(tmp_path / "boxes.json", one_by_one())
    assert len(json.loads((tmp_path / "boxes.json").read_text())["annotations"]) == 6


def test_a_stop_half_way_leaves_no_half_written_file(tmp_path):
    def stopped():
        yield "a.png", (1, 3), found_in(np.array([[1, 0, 2]], dtype=np.int32), [0.5, 0.5])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_coco_found(tmp_path / "boxes.json", stopped())
    assert not list(tmp_path.iterdir())


def test_a_score_for_every_cell(tmp_path):
    with pytest.raises(ValueError, match=r"shorter|longer"):
        write_coco_found(tmp_path / "boxes.json", [("a.png", (1, 3), found_in(np.array([[1, 0, 2]], dtype=np.int32), [0.5]))])
