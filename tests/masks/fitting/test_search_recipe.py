import json

import pytest
from oracles.label_map_node import LabelMapNode
from oracles.mask_layouts import blob_map, disc_map

from rbc_lightning.core.seeds import derive_seed
from rbc_lightning.core.store import Store
from rbc_lightning.errors import InputError
from rbc_lightning.masks import ShapeBank
from rbc_lightning.masks.bank.recipe import ShapeBankRecipe
from rbc_lightning.masks.fitting.search import LayoutFitRecipe, fit_sampler

MAPS = tuple(blob_map(seed) for seed in range(3))


def recipe(maps=MAPS, generations=0, population=4, seed=3):
    return LayoutFitRecipe(ShapeBankRecipe(LabelMapNode("blobs", maps)), generations, population, seed)


def test_the_fit_is_that_of_the_stream_layout_and_is_kept(tmp_path):
    store = Store(tmp_path, str)
    fitted = store.make(recipe())
    bank = ShapeBank.from_label_maps(MAPS)
    assert fitted == fit_sampler(MAPS, generations=0, population=4, seed=derive_seed(3, "layout"), bank=bank)
    assert json.loads((store.path(recipe()) / "fitted.json").read_text())["margin"] == fitted.margin


def test_every_setting_and_the_bank_decide_the_key():
    one = recipe()
    others = [recipe(generations=1), recipe(population=5), recipe(seed=4)]
    assert len({one.key, *(other.key for other in others)}) == 4
    assert one.settings() == {"generations": 0, "population": 4, "seed": 3}
    assert [node.kind for node in one.walk()] == ["samples", "shape_bank", "layout_fit"]


def test_the_work_is_a_mask_for_each_image_and_candidate_and_a_last_round():
    work = recipe(generations=2, population=6).work()
    assert (work.units, work.unit) == (3 * (2 * 6 + 1), "masks")


def test_what_cannot_be_fitted_is_told_as_a_setting(tmp_path):
    one = recipe(maps=(disc_map([(20, 20)], 5, 40, 40),))
    with pytest.raises(InputError, match=r"sampler: fitting needs at least 2 images with cells, got 1; check the settings"):
        Store(tmp_path, str).make(one)
