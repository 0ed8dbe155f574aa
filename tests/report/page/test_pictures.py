"""Pictures for the page: encodings, and what stands where on a sheet."""

import io

import numpy as np
import pytest
from PIL import Image
from tiny_data import disc_smear

from rbc_lightning.report.figures.runs import color_labels
from rbc_lightning.report.page.pictures import (
    cell_sheet,
    encode_jpeg,
    encode_png,
    pair_sheet,
    read_picture,
    shrink,
    text_picture,
)


def test_encodings_are_small_or_exact_and_the_same_again():
    image, _ = disc_smear(seed=0)
    jpeg, png = encode_jpeg(image), encode_png(image)
    assert encode_jpeg(image) == jpeg
    assert (np.array(Image.open(io.BytesIO(png))) == image).all()
    assert Image.open(io.BytesIO(jpeg)).format == "JPEG"
    assert np.abs(np.array(Image.open(io.BytesIO(jpeg))).astype(int) - image).mean() < 6
    assert len(jpeg) < len(png) / 2


def test_a_picture_is_read_as_rgb_and_a_damaged_one_refused(tmp_path):
    image, _ = disc_smear(seed=0)
    path = tmp_path / "picture.png"
    path.write_bytes(encode_png(image))
    assert (read_picture(path) == image).all()
    Image.fromarray(image[..., 0]).save(path)
    assert (read_picture(path) == image[..., :1]).all()
    for content in (b"", b"\x89PNG\r\n\x1a\n", path.read_bytes()[:200]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"picture\.png: .*expected a whole picture"):
            read_picture(path)


@pytest.mark.parametrize(("longest", "shape"), [(200, (96, 128, 3)), (128, (96, 128, 3)), (64, (48, 64, 3)), (1, (1, 1, 3))])
def test_pictures_are_only_made_smaller(longest, shape):
    image, _ = disc_smear(seed=0)
    small = shrink(image, longest)
    assert small.shape == shape
    assert abs(small.mean() - image.mean()) < 30


def test_text_keeps_its_columns_and_breaks_long_lines():
    narrow, wide = text_picture("ab  cd\n\nef"), text_picture("x" * 40)
    assert narrow.shape[1] < wide.shape[1]
    assert narrow.shape[0] == text_picture("a\nb\nc").shape[0]
    assert text_picture("word " * 40, columns=50).shape[0] == text_picture("a\n" * 5).shape[0]
    assert (narrow == text_picture("ab  cd\n\nef")).all()


def test_masks_stand_above_their_smears():
    image = np.full((60, 80, 3), 200, dtype=np.uint8)
    label_map = np.zeros((60, 80), dtype=np.int32)
    sheet = pair_sheet([(image, label_map), (image, label_map)])
    height, width = 60 * 520 // 80, 520
    assert sheet.shape == (2 * height + 6, 2 * width + 6, 3)
    assert (sheet[:height, :width] == 0).all()
    assert (sheet[height + 6 :, width + 6 :] == 200).all()
    assert (sheet[height : height + 6] == 255).all()


def test_without_outlines_a_class_of_one_pixel_is_seen():
    image, label_map = np.zeros((52, 52, 3), dtype=np.uint8), np.zeros((52, 52), dtype=np.int32)
    label_map[20, 20] = 1
    assert (pair_sheet([(image, label_map)])[:520] == 0).all()
    assert (pair_sheet([(image, label_map)], color_labels)[200:210, 200:210] == (230, 159, 0)).all()


def test_single_cells_are_whole_ones_at_one_scale():
    # Cells tell which they are by their grey: the middle of a tile shows it.
    image, label_map = np.zeros((100, 140, 3), dtype=np.uint8), np.zeros((100, 140), dtype=np.int32)
    for number, (row, column) in enumerate(((0, 50), (20, 20), (40, 60), (70, 100)), start=1):
        label_map[row : row + 21, column : column + 21] = number
        image[row : row + 21, column : column + 21] = 50 * number
    sheet = cell_sheet([[(image, label_map)], [(image, label_map)]], per_row=5)
    # Three cells: the first one is cut by the border.
    assert sheet.shape == (2 * 88 + 6, 3 * 88 + 2 * 6, 3)
    assert [int(sheet[44, column, 0]) for column in (44, 138, 232)] == [100, 150, 200]
    assert [int(sheet[138, column, 0]) for column in (44, 138, 232)] == [100, 150, 200]
    assert int(sheet[2, 2, 0]) == 0


def test_a_sheet_without_a_whole_cell_is_refused():
    label_map = np.zeros((30, 30), dtype=np.int32)
    label_map[:10, :10] = 1
    with pytest.raises(ValueError, match="expected at least one cell that is clear of its image's border"):
        cell_sheet([[(np.zeros((30, 30, 3), dtype=np.uint8), label_map)]])
