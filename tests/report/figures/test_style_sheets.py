import numpy as np
import pytest
from PIL import Image
from tiny_data import disc_smear

from rbc_lightning.report.figures.runs import color_labels
from rbc_lightning.report.figures.style_sheets import TranslationRow, save_style_sheet, save_translation_sheet


def _find(sheet, tile):
    """Row and column of the one place where the tile stands pixel for pixel."""
    height, width = tile.shape[:2]
    first = (sheet == tile[0, 0]).all(axis=2)
    places = [
        (row, column)
        for row, column in np.argwhere(first[: len(sheet) - height + 1, : sheet.shape[1] - width + 1])
        if np.array_equal(sheet[row : row + height, column : column + width], tile)
    ]
    assert len(places) == 1
    return places[0]


def _read(path):
    return np.asarray(Image.open(path).convert("RGB"))


def _dark(part):
    return (part < 100).all(axis=2)


def _noise(seed, height=150, width=240):
    return np.random.default_rng(seed).integers(101, 256, (height, width, 3), dtype=np.uint8)


def _cells(height=150, width=240):
    _, label_map = disc_smear(0, height, width)
    return label_map


def test_a_style_sheet_shows_the_mask_and_every_style_pixel_for_pixel_in_order(tmp_path):
    styles = {f"style {k}": _noise(k) for k in range(10)}
    save_style_sheet(tmp_path / "deep" / "sheet.png", _cells(), styles)
    sheet = _read(tmp_path / "deep" / "sheet.png")
    places = [_find(sheet, image) for image in styles.values()]
    assert places == sorted(places)
    # 11 tiles of 240 x 150 in 3 columns and 4 rows, each title just above its tile
    assert len({column for _, column in places}) == 3
    assert len({row for row, _ in places}) == 4
    assert all(_dark(sheet[row - 24 : row, column : column + 240]).any() for row, column in places)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["sheet.png"]


def test_the_mask_tile_is_coloured_and_parts_touching_cells(tmp_path):
    label_map = np.zeros((40, 200), dtype=np.int32)
    # ids 1 and 9 share a colour
    label_map[10:30, 20:60], label_map[10:30, 60:100] = 1, 9
    save_style_sheet(tmp_path / "sheet.png", label_map, {"a": _noise(0, 40, 200)})
    sheet = _read(tmp_path / "sheet.png")
    expected = color_labels(label_map)
    inside = np.zeros_like(label_map, dtype=bool)
    inside[11:29, 21:59] = inside[11:29, 61:99] = True
    expected[~inside] = 0
    _find(sheet, expected)


def test_a_translation_sheet_has_a_row_per_sample_and_a_column_per_mode(tmp_path):
    # sizes differ between samples; the second sample names its modes in another order
    sizes = [(150, 240), (120, 210)]
    pictures = [[_noise(10 * k + j, *size) for j in range(3)] for k, size in enumerate(sizes)]
    rows = [
        TranslationRow("smear_a", _cells(*sizes[0]), pictures[0][0], {"per_image": pictures[0][1], "mean": pictures[0][2]}),
        TranslationRow("smear_b", _cells(*sizes[1]), pictures[1][0], {"mean": pictures[1][2], "per_image": pictures[1][1]}),
    ]
    save_translation_sheet(tmp_path / "sheet.png", rows)
    sheet = _read(tmp_path / "sheet.png")
    places = np.array([[_find(sheet, picture) for picture in row] for row in pictures])
    assert (places[:, :, 0] == places[:, :1, 0]).all()
    assert (places[:, :, 1] == places[:1, :, 1]).all()
    assert (np.diff(places[0, :, 1]) > 240).all()
    # titles above the first row only, names at the left of each
    top, left = places[0, 0]
    assert _dark(sheet[top - 24 : top, left : left + 240]).any()
    for (row, _), (height, _) in zip(places[:, 0], sizes, strict=True):
        assert _dark(sheet[row : row + height, :26]).any()
    assert not _dark(sheet[top + 150 : places[1, 0, 0]]).any()


def test_large_images_are_reduced_and_small_ones_enlarged_by_whole_pixels(tmp_path):
    save_style_sheet(tmp_path / "large.png", np.ones((500, 2000), dtype=np.int32), {"s": _noise(0, 500, 2000)})
    assert Image.open(tmp_path / "large.png").width < 2 * 640 + 40
    crop = _noise(0, 32, 64)
    save_style_sheet(tmp_path / "small.png", np.eye(32, 64, dtype=np.int32), {"s": crop})
    _find(_read(tmp_path / "small.png"), crop.repeat(4, axis=0).repeat(4, axis=1))


def test_names_too_long_for_their_tile_are_shortened_not_spilled(tmp_path):
    image = _noise(0, 100, 200)
    labels = np.zeros((100, 200), dtype=np.int32)
    save_translation_sheet(tmp_path / "s.png", [TranslationRow("patient " * 40, labels, image, {"m" * 300: image + 0})])
    assert Image.open(tmp_path / "s.png").size == (24 + 6 + 3 * 206, 24 + 100 + 2 * 6)


def test_a_failed_write_leaves_the_old_sheet(tmp_path, monkeypatch):
    path = tmp_path / "sheet.png"
    path.write_text("old")

    def fail(self, file, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_style_sheet(path, _cells(), {"s": _noise(0)})
    assert path.read_text() == "old"


def test_bad_input_is_refused(tmp_path):
    path = tmp_path / "sheet.png"
    with pytest.raises(ValueError, match="at least one image"):
        save_style_sheet(path, _cells(), {})
    with pytest.raises(ValueError, match=r"style 3: expected uint8 of shape \(150, 240, 3\) like its mask, got float64"):
        save_style_sheet(path, _cells(), {"style 3": _noise(0) / 255})
    with pytest.raises(ValueError, match="at least one row"):
        save_translation_sheet(path, [])
    rows = [
        TranslationRow("a", _cells(), _noise(0), {"mean": _noise(1)}),
        TranslationRow("b", _cells(), _noise(0), {"other": _noise(1)}),
    ]
    with pytest.raises(ValueError, match=r"sample 'b' has the style modes \['other'\], the first row has \['mean'\]"):
        save_translation_sheet(path, rows)
    with pytest.raises(ValueError, match=r"truth of a: expected uint8 of shape \(150, 240, 3\)"):
        save_translation_sheet(path, [TranslationRow("a", _cells(), _noise(0, 10, 10), {})])
    assert not path.exists()
