import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rbc_lightning.data.formats import (
    make_contiguous,
    read_image,
    read_label_map,
    write_atomically,
    write_image,
    write_label_map,
)
from rbc_lightning.errors import InputError


@pytest.mark.parametrize("top_id", [1, 255, 256, 1000, 65_535, 65_536, 70_000])
def test_label_maps_survive_the_round_trip_whatever_their_largest_id(tmp_path, top_id):
    label_map = np.arange(300 * 300, dtype=np.int32).reshape(300, 300) % (top_id + 1)
    path = write_label_map(tmp_path / "labels" / "a.png", label_map)
    assert path.suffix == (".png" if top_id <= 65_535 else ".tif")
    read = read_label_map(path)
    assert read.dtype == np.int32
    np.testing.assert_array_equal(read, label_map)


def test_images_survive_the_round_trip(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    write_image(tmp_path / "a.png", image)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=60))
def test_contiguous_ids_keep_the_partition_and_the_order(ids):
    raw = np.array(ids, dtype=np.int32)[None]
    mapped = make_contiguous(raw)
    positive = sorted(set(ids) - {0})
    expected = [0 if value == 0 else positive.index(value) + 1 for value in ids]
    assert mapped[0].tolist() == expected


def test_a_gray_image_is_read_as_three_equal_channels(tmp_path):
    Image.fromarray(np.full((4, 5), 77, dtype=np.uint8)).save(tmp_path / "gray.png")
    assert (read_image(tmp_path / "gray.png") == 77).all()
    assert read_image(tmp_path / "gray.png").shape == (4, 5, 3)


@pytest.mark.parametrize("reader", [read_image, read_label_map])
def test_unreadable_files_are_named(tmp_path, reader):
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n not really")
    with pytest.raises(InputError, match=r"torn\.png: cannot be read as an image"):
        reader(tmp_path / "torn.png")
    with pytest.raises(InputError, match=r"gone\.png: no such file"):
        reader(tmp_path / "gone.png")


def test_a_truncated_image_is_refused(tmp_path):
    write_image(tmp_path / "whole.png", np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "half.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"half\.png: cannot be read"):
        read_image(tmp_path / "half.png")


def test_a_colour_image_is_no_label_map(tmp_path):
    write_image(tmp_path / "colour.png", np.zeros((4, 4, 3), dtype=np.uint8))
    with pytest.raises(InputError, match=r"colour\.png: a colour image was given as label map.*colors_to_label_map"):
        read_label_map(tmp_path / "colour.png")


def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "table.csv"
    target.write_text("old")

    def fail(part):
        part.write_text("half")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write_atomically(target, fail)
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]
    assert target.read_text() == "old"
