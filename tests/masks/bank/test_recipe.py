import json

import numpy as np
import pytest
from oracles.label_map_node import LabelMapNode
from oracles.mask_layouts import blob_map, disc_map

from rbc_lightning.core.store import Store
from rbc_lightning.errors import InputError
from rbc_lightning.masks import ShapeBank
from rbc_lightning.masks.bank.recipe import ShapeBankRecipe


def test_the_bank_and_the_layout_of_a_train_split_are_made_once(tmp_path):
    said: list[str] = []
    maps = tuple(blob_map(seed) for seed in range(3))
    store, recipe = Store(tmp_path, said.append), ShapeBankRecipe(LabelMapNode("blobs", maps))
    bank = store.make(recipe)
    # Too few stand free: all whole cells are taken.
    np.testing.assert_array_equal(bank.vertices, ShapeBank.from_label_maps(maps).vertices)
    layout = recipe.layout(store)
    assert (layout.height, layout.width) == (96, 128)
    assert sorted(path.name for path in store.path(recipe).iterdir()) == ["bank.npz", "layout.json", "lineage.json"]
    assert said == [f"Building shape bank {recipe.key}"]
    assert json.loads((store.path(recipe) / "layout.json").read_text())["cell_size"] == layout.cell_size


def test_free_standing_cells_alone_are_taken_where_there_are_enough(tmp_path):
    # Sixty lone discs and a pair of touching ones.
    lone = [(12 + 20 * row, 12 + 20 * column) for row in range(6) for column in range(10)]
    label_map = disc_map([*lone, (140, 20), (140, 28)], 5, 160, 220)
    bank = Store(tmp_path, str).make(ShapeBankRecipe(LabelMapNode("discs", (label_map,))))
    assert len(bank) == 60


def test_the_samples_and_nothing_else_decide_the_key():
    first, second, same = (ShapeBankRecipe(LabelMapNode(name)) for name in ("a", "b", "a"))
    assert first.key == same.key != second.key
    assert (first.settings(), list(first.inputs())) == ({}, ["train"])


def test_without_a_whole_cell_nothing_is_made(tmp_path):
    recipe = ShapeBankRecipe(LabelMapNode("cut", (disc_map([(0, 20)], 6, 40, 40),)))
    store = Store(tmp_path, str)
    with pytest.raises(InputError, match="no cell off the border"):
        store.make(recipe)
    assert not store.path(recipe).is_dir()
