import numpy as np
import pytest
from PIL import Image

from rbc_lightning.core.label_files import read_label_map
from rbc_lightning.data.formats import image_size, read_image, read_pixels, write_image
from rbc_lightning.errors import InputError


def test_images_survive_the_round_trip(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    write_image(tmp_path / "a.png", image)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)


def test_a_gray_image_is_read_as_three_equal_channels(tmp_path):
    Image.fromarray(np.full((4, 5), 77, dtype=np.uint8)).save(tmp_path / "gray.png")
    assert (read_image(tmp_path / "gray.png") == 77).all()
    assert read_image(tmp_path / "gray.png").shape == (4, 5, 3)


@pytest.mark.parametrize("reader", [read_image, read_label_map, read_pixels, image_size])
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


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_truncated_tiff_is_refused(tmp_path, share):
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 2), dtype=np.uint8)
    path = write_image(tmp_path / "half.tif", image)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=r"half\.tif: cannot be read"):
        read_pixels(path)
    path.write_bytes(b"II*\0 not really")
    with pytest.raises(InputError, match=r"half\.tif: cannot be read"):
        image_size(path)


@pytest.mark.parametrize("size", [(7, 9), (1, 1), (1, 5), (5, 1)])
@pytest.mark.parametrize(
    ("channels", "kind", "suffix"),
    [
        *((1, "uint8", ".png"), (2, "uint8", ".tif"), (3, "uint8", ".png"), (4, "uint8", ".tif")),
        *((1, "uint16", ".png"), (2, "uint16", ".tif"), (3, "uint16", ".tif")),
    ],
)
def test_images_of_any_channels_and_bits_survive_the_round_trip(tmp_path, channels, kind, suffix, size):
    image = np.random.default_rng(0).integers(0, np.iinfo(kind).max + 1, (*size, channels), dtype=kind)
    path = write_image(tmp_path / "images" / "a.png", image)
    assert [path.name for path in (tmp_path / "images").iterdir()] == [path.name] == [f"a{suffix}"]
    read = read_pixels(path)
    assert read.dtype == kind
    np.testing.assert_array_equal(read, image)
    assert image_size(path) == size
