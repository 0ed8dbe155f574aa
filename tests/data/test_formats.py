from itertools import product

import cv2
import numpy as np
import pytest
import tifffile
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


DEEP = np.random.default_rng(0).integers(0, 4096, (7, 9, 4)).astype(np.uint16)
DEEP[0, 0] = 3000


def write_deep(path, channels):
    """A 16-bit file as cameras write them."""
    if path.suffix == ".png":
        order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
        assert cv2.imwrite(str(path), DEEP[..., order])
    else:
        planes = {"planar.tif": {"planarconfig": "separate"}}.get(path.name, {})
        array = np.moveaxis(DEEP[..., :channels], -1, 0) if planes else DEEP[..., :channels].squeeze()
        tifffile.imwrite(path, array, photometric="minisblack" if channels == 1 else "rgb", **planes)
    return path


@pytest.mark.parametrize(("name", "channels"), [*product(("a.png", "a.tif"), (1, 3, 4)), ("planar.tif", 3), ("planar.tif", 4)])
def test_16_bits_are_read_whole_or_refused_and_never_cut(tmp_path, name, channels):
    path = write_deep(tmp_path / name, channels)
    with pytest.raises(InputError, match=r"an image of 16 bits per channel .*expected 8-bit colour or grey.*value_range"):
        read_image(path)
    read = read_image(path, np.uint16)
    assert (read.dtype, read.shape) == (np.uint16, (7, 9, 3))
    np.testing.assert_array_equal(read, np.repeat(DEEP[..., :1], 3, axis=2) if channels == 1 else DEEP[..., :3])
    np.testing.assert_array_equal(read_pixels(path), DEEP[..., :channels])


def test_8_bits_are_not_taken_for_16(tmp_path):
    for mode in ("RGB", "L", "P", "1"):
        Image.new(mode, (4, 4)).save(tmp_path / "a.png")
        with pytest.raises(InputError, match=r"a\.png: an image of [18] bits per channel .*; expected 16"):
            read_image(tmp_path / "a.png", np.uint16)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_truncated_16_bit_image_is_refused(tmp_path, name):
    path = write_deep(tmp_path / name, 3)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(InputError, match=r"cannot be read"):
        read_image(path, np.uint16)


def test_pages_and_numbers_that_are_no_image_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "pages.tif", DEEP[..., :3].transpose(2, 0, 1), photometric="minisblack")
    with pytest.raises(InputError, match=r"pages\.tif: 3 pages; expected one"):
        read_image(tmp_path / "pages.tif", np.uint16)
    tifffile.imwrite(tmp_path / "signed.tif", DEEP[..., 0].astype(np.int16))
    tifffile.imwrite(tmp_path / "float.tif", DEEP[..., 0].astype(np.float32))
    with pytest.raises(InputError, match=r"signed\.tif: values of type int16; expected"):
        read_image(tmp_path / "signed.tif", np.uint16)
    with pytest.raises(InputError, match=r"float\.tif: an image of 32 bits per channel"):
        read_image(tmp_path / "float.tif", np.uint16)
