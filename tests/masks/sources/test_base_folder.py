import pickle

import numpy as np
import pytest
from oracles.label_map_node import LabelMapNode
from oracles.mask_checks import check
from oracles.mask_layouts import blob_map
from PIL import Image

from rbc_lightning.core.build import build
from rbc_lightning.core.seeds import mask_seed
from rbc_lightning.core.store import Store
from rbc_lightning.errors import InputError
from rbc_lightning.masks.sources import FolderOfMasks

N = 5


def write(directory, n=N):
    directory.mkdir()
    for index in range(n):
        Image.fromarray(blob_map(index).astype(np.uint16)).save(directory / f"mask_{index}.png")
    (directory / ".hidden").write_text("not looked at")
    return directory


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "maps")


def source(path, seed=0):
    return FolderOfMasks(train=LabelMapNode("none"), seed=seed, path=path)


def test_the_maps_come_in_turn_shuffled_in_every_round(folder, tmp_path):
    store = Store(tmp_path / "store", str)
    draw = source(folder).open(store)
    drawn = [draw(mask_seed(0, index)) for index in range(3 * N)]
    check(drawn[0])
    names = {blob_map(index).tobytes(): index for index in range(N)}
    rounds = [[names[mask.label_map.tobytes()] for mask in drawn[start : start + N]] for start in (0, N, 2 * N)]
    assert [sorted(one) for one in rounds] == [list(range(N))] * 3
    assert len({tuple(one) for one in rounds}) > 1
    other = source(folder, seed=1).open(store)
    assert [names[other(mask_seed(0, index)).label_map.tobytes()] for index in range(N)] != rounds[0]
    again = pickle.loads(pickle.dumps(draw))
    np.testing.assert_array_equal(again(mask_seed(0, 7)).label_map, drawn[7].label_map)
    np.testing.assert_array_equal(draw(7).label_map, drawn[7].label_map)
    assert source(folder).about(store) == f"5 label maps of {folder}"


def test_contents_and_seed_decide_the_key_wherever_they_lie(folder, tmp_path):
    one = source(folder)
    assert source(write(tmp_path / "copy")).key == one.key
    assert source(str(folder)).key == one.key
    assert source(folder, seed=1).key != one.key
    assert source(write(tmp_path / "fewer", n=4)).key != one.key
    Image.fromarray(blob_map(9).astype(np.uint16)).save(folder / "mask_0.png")
    assert source(folder).key != one.key


@pytest.mark.parametrize(
    ("name", "write_file", "message"),
    [
        ("notes.txt", lambda path: path.write_text("hello"), r"notes\.txt: cannot be read as an image"),
        (
            "colour.png",
            lambda path: Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path),
            r"colour\.png: a colour image was given as label map",
        ),
    ],
)
def test_a_file_that_is_no_label_map_is_refused_by_name(folder, tmp_path, name, write_file, message):
    write_file(folder / name)
    with pytest.raises(InputError, match=message):
        source(folder).open(Store(tmp_path / "store", str))


@pytest.mark.parametrize("make", [False, True])
def test_a_folder_without_maps_is_refused(tmp_path, make):
    path = tmp_path / "nothing"
    if make:
        path.mkdir()
    spec = {"_target_": "rbc_lightning.masks.sources.FolderOfMasks", "path": str(path)}
    with pytest.raises(InputError, match=r"masks\.path=.*nothing: no label maps there; expected a directory of 16-bit PNG"):
        build(spec, "masks", train=LabelMapNode("none"), seed=0)
