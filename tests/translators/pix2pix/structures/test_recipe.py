"""The structure bank as a recipe: beside the shape bank of the same samples."""

import numpy as np
import pytest
from pix2pix_helpers import TWO_16, make_train
from structure_samples import crop_of

from rbc_lightning.core.store import Store
from rbc_lightning.data.spec import RGB
from rbc_lightning.errors import InputError
from rbc_lightning.translators.pix2pix.structures.bank import StructureBank
from rbc_lightning.translators.pix2pix.structures.maps import structure_map, structure_threshold
from rbc_lightning.translators.pix2pix.structures.recipe import StructureBankRecipe


@pytest.mark.parametrize("spec", [RGB, TWO_16], ids=lambda spec: "_".join(spec.channels))
def test_the_structure_bank_goes_with_the_shape_bank(tmp_path, spec):
    store, train = Store(tmp_path, str), make_train(spec)
    recipe = StructureBankRecipe.of(train, "otsu")
    bank = store.make(recipe)
    pairs = [
        (s.load_label_map(), structure_map(s.load_image(), structure_threshold(s.load_image(), "otsu", spec), spec))
        for s in train
    ]
    # Few cells: those that touch others are among them.
    expected = StructureBank.from_samples(pairs, free_standing=False)
    assert len(bank) == len(expected) == len(store.make(recipe.shapes)) > 0
    assert all(np.array_equal(crop_of(bank, index), crop_of(expected, index)) for index in range(len(bank)))
    assert sorted(path.parent.name for path in tmp_path.glob("*/*") if path.is_dir()) == ["shape_bank", "structure_bank"]


def test_the_key_follows_method_and_samples():
    train = make_train()
    first = StructureBankRecipe.of(train, "otsu")
    assert first.key == StructureBankRecipe.of(make_train(), "otsu").key
    others = [
        StructureBankRecipe.of(train, "li"),
        StructureBankRecipe.of(train, 90),
        StructureBankRecipe.of(make_train(n=3), "otsu"),
    ]
    assert len({one.key for one in (first, *others)}) == 4
    assert first.inputs()["shapes"].key == others[0].inputs()["shapes"].key


def test_a_bank_that_does_not_go_with_the_shapes_is_refused(tmp_path, monkeypatch):
    store, recipe = Store(tmp_path, str), StructureBankRecipe.of(make_train(), "otsu")
    n_shapes = len(store.make(recipe.shapes))
    original = StructureBank.from_samples
    monkeypatch.setattr(StructureBank, "from_samples", lambda samples, free_standing: original([*samples][:2], free_standing))
    with pytest.raises(InputError, match=rf"shape_bank/\w+ holds {n_shapes} shapes where the training label maps have 12"):
        store.make(recipe)
    assert not list(tmp_path.glob("structure_bank/*/structures.npz"))


def test_an_image_without_a_threshold_is_named_at_once(tmp_path):
    with pytest.raises(InputError, match=r"memory/s0: no structure threshold: 0 gives grey level 0"):
        Store(tmp_path, str).make(StructureBankRecipe.of(make_train(), 0))
