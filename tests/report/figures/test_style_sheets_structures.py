import numpy as np
import pytest
from PIL import Image

from rbc_lightning.report.figures.style_sheets import (
    StructureRow,
    save_picture_rows,
    save_structure_preview,
    save_structure_sheet,
    structure_picture,
)

HEIGHT, WIDTH = 150, 240


def noise(seed):
    return np.random.default_rng(seed).integers(101, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def structure(seed):
    return np.random.default_rng(seed).random((HEIGHT, WIDTH)) < 0.4


def place(sheet, tile):
    """Row and column of the one place where the tile stands pixel for pixel."""
    candidates = np.argwhere((sheet[: 1 - HEIGHT or None, : 1 - WIDTH or None] == tile[0, 0]).all(axis=2))
    found = [(r, c) for r, c in candidates.tolist() if np.array_equal(sheet[r : r + HEIGHT, c : c + WIDTH], tile)]
    assert len(found) == 1
    return found[0]


def read(path):
    return np.asarray(Image.open(path).convert("RGB"))


def test_a_structure_map_is_dark_where_it_is_set():
    picture = structure_picture(np.array([[0, 1], [1, 0]], dtype=np.uint8))
    assert (picture.shape, picture.dtype) == ((2, 2, 3), np.uint8)
    assert picture[0, 1].tolist() == picture[1, 0].tolist() < picture[0, 0].tolist() == picture[1, 1].tolist()
    assert np.array_equal(structure_picture(np.array([[False, True]])), picture[:1])


def test_a_preview_shows_images_beside_their_maps_in_order(tmp_path):
    rows = [
        StructureRow(f"smear_{k}", noise(k), {f"otsu: {100 + k}": structure(10 + k), f"li: {90 + k}": structure(20 + k)})
        for k in range(2)
    ]
    save_structure_preview(tmp_path / "made" / "structures.png", rows)
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["structures.png"]
    sheet = read(tmp_path / "made" / "structures.png")
    places = [[place(sheet, noise(k)), *(place(sheet, structure_picture(m)) for m in rows[k].maps.values())] for k in range(2)]
    for row in places:
        assert len({top for top, _ in row}) == 1
        assert row[0][1] < row[1][1] < row[2][1]
    assert places[0][0][0] < places[1][0][0]
    for (top, left), *_ in places:
        # A caption of its own above each row, and its name at the left.
        assert (sheet[top - 24 : top - 2, left : left + WIDTH] < 100).any()
        assert (sheet[top : top + HEIGHT, :left] < 100).any()


def test_captions_differ_from_row_to_row(tmp_path):
    same = [StructureRow("a", noise(0), {"otsu: 1": structure(1)}), StructureRow("a", noise(0), {"otsu: 234": structure(1)})]
    save_structure_preview(tmp_path / "a.png", same)
    sheet = read(tmp_path / "a.png")
    half = len(sheet) // 2
    assert not np.array_equal(sheet[:half], sheet[half : 2 * half])


def test_new_structures_stand_above_what_is_painted_from_them(tmp_path):
    painted, structures = [noise(k) for k in range(3)], [structure(10 + k) for k in range(3)]
    save_structure_sheet(tmp_path / "a.png", painted, structures)
    sheet = read(tmp_path / "a.png")
    for image, drawn in zip(painted, structures, strict=True):
        (top, left), (below, beside) = place(sheet, structure_picture(drawn)), place(sheet, image)
        assert (left, top + HEIGHT < below) == (beside, True)
    save_structure_sheet(tmp_path / "b.png", painted, [])
    assert len(read(tmp_path / "b.png")) < len(sheet) - HEIGHT


def test_what_does_not_go_together_is_refused(tmp_path):
    path = tmp_path / "a.png"
    with pytest.raises(ValueError, match=r"otsu of a: expected a map of the image's size \(150, 240\), got \(150, 239\)"):
        save_structure_preview(path, [StructureRow("a", noise(0), {"otsu": structure(1)[:, 1:]})])
    with pytest.raises(ValueError, match=r"got rows of \[2, 1\] pictures"):
        save_structure_preview(path, [StructureRow("a", noise(0), {"otsu": structure(1)}), StructureRow("b", noise(0), {})])
    with pytest.raises(ValueError, match=r"got rows of \[1, 2\] pictures"):
        save_structure_sheet(path, [noise(0), noise(1)], [structure(1)])
    for rows, titles, names in (([], [], []), ([[noise(0)]], [["a", "b"]], []), ([[noise(0)]], [["a"]], ["x", "y"])):
        with pytest.raises(ValueError, match="expected rows of equal length"):
            save_picture_rows(path, rows, titles, names)
    assert not path.exists()
