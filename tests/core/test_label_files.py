import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rbc_lightning.core.label_files import make_contiguous, read_label_map, write_label_map
from rbc_lightning.errors import InputError

IDS = np.array([[0, 3], [70_000, 3]], np.int32)


def test_gaps_are_closed_and_classes_stay(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", IDS)
    assert read_label_map(tmp_path / "a.tif").tolist() == [[0, 1], [2, 1]]
    assert read_label_map(tmp_path / "a.tif", contiguous=False).tolist() == IDS.tolist()
    Image.fromarray(np.array([[0, 500]], np.uint16)).save(tmp_path / "b.png")
    read = read_label_map(tmp_path / "b.png")
    assert (read.dtype, read.tolist()) == (np.int32, [[0, 1]])
    assert make_contiguous(np.array([[5, 5]], np.int32)).tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 2), np.float32), "label map of type float32; expected integers"),
        (np.array([[-1]], np.int32), "ids from -1 to -1; expected 0 = background"),
        (np.zeros((2, 2, 3), np.uint8), "a colour image was given as label map"),
    ],
)
def test_what_is_no_label_map_is_refused_by_name(tmp_path, array, message):
    tifffile.imwrite(tmp_path / "a.tif", array)
    with pytest.raises(InputError, match=rf"a\.tif: {message}"):
        read_label_map(tmp_path / "a.tif")


def test_missing_and_damaged_files_are_told_apart(tmp_path):
    with pytest.raises(InputError, match=r"a\.png: no such file"):
        read_label_map(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"x")
    with pytest.raises(InputError, match=r"b\.png: cannot be read as an image"):
        read_label_map(tmp_path / "b.png")


@pytest.mark.parametrize("top_id", [1, 255, 256, 1000, 65_535, 65_536, 70_000])
def test_label_maps_survive_the_round_trip_whatever_their_largest_id(tmp_path, top_id):
    label_map = np.arange(300 * 300, dtype=np.int32).reshape(300, 300) % (top_id + 1)
    path = write_label_map(tmp_path / "labels" / "a.png", label_map)
    assert path.suffix == (".png" if top_id <= 65_535 else ".tif")
    read = read_label_map(path)
    assert read.dtype == np.int32
    np.testing.assert_array_equal(read, label_map)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=60))
def test_contiguous_ids_keep_the_partition_and_the_order(ids):
    raw = np.array(ids, dtype=np.int32)[None]
    mapped = make_contiguous(raw)
    positive = sorted(set(ids) - {0})
    expected = [0 if value == 0 else positive.index(value) + 1 for value in ids]
    assert mapped[0].tolist() == expected


def test_a_colour_image_is_no_label_map(tmp_path):
    Image.fromarray(np.zeros((4, 4, 3), dtype=np.uint8)).save(tmp_path / "colour.png")
    with pytest.raises(InputError, match=r"colour\.png: a colour image was given as label map.*colors_to_label_map"):
        read_label_map(tmp_path / "colour.png")


def test_the_values_of_a_map_of_classes_are_kept(tmp_path):
    label_map = np.array([[0, 2], [7, 2]], np.int32)
    path = write_label_map(tmp_path / "a.png", label_map)
    assert read_label_map(path).tolist() == [[0, 1], [2, 1]]
    np.testing.assert_array_equal(read_label_map(path, contiguous=False), label_map)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_of_a_palette_the_indices_are_read_whatever_their_colours(tmp_path, bits):
    top = 2**bits - 1
    indices = np.random.default_rng(0).integers(0, top + 1, (9, 11)).astype(np.uint8)
    image = Image.fromarray(indices, mode="P")
    # Two indices of one colour, one of them transparent: neither makes a difference.
    image.putpalette([7, 7, 7] * (top + 1))
    image.save(tmp_path / "a.png", bits=bits, transparency=0)
    assert Image.open(tmp_path / "a.png").mode == "P"
    np.testing.assert_array_equal(read_label_map(tmp_path / "a.png", contiguous=False), indices)


def test_of_a_tiff_with_a_palette_the_indices_are_read(tmp_path):
    indices = np.array([[0, 3], [200, 3]], np.uint8)
    image = Image.fromarray(indices, mode="P")
    image.putpalette(list(range(256)) * 3)
    image.save(tmp_path / "a.tif")
    assert read_label_map(tmp_path / "a.tif", contiguous=False).tolist() == indices.tolist()
