"""The base of translators: a recipe that is trained by nobody and one with checkpoints to choose from."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from pix2pixhd_helpers import make_samples
from translator_helpers import GREY, VAL, Flat, FlatRecipe, Highest, TrainedRecipe, make_recipe

from rbc_lightning.core.store import Store
from rbc_lightning.data.lineage import Ancestor, to_rows
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.spec import ImageSpec
from rbc_lightning.errors import InputError
from rbc_lightning.translators.base import LoadContext


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path, announce=lambda line: None)


def test_a_made_translator_knows_its_class_its_files_and_its_samples(store):
    recipe = make_recipe(level=8)
    translator = store.make(recipe)
    directory = recipe.directory(store)
    assert (type(translator), translator.level) == (Flat, 8)
    assert translator.context == LoadContext(recipe.train, 5, "cpu", store)
    assert sorted(path.name for path in directory.iterdir()) == [
        "level.txt",
        "lineage.json",
        "trained_on.json",
        "translator.json",
    ]
    assert recipe.trained_on(store) == recipe.train.ancestors
    assert json.loads((directory / "trained_on.json").read_text()) == to_rows(recipe.train.ancestors)


def test_a_single_method_is_enough_to_generate_pairs_and_batches(store):
    translator = store.make(make_recipe(level=500))
    label_map = np.array([[0, 1], [2, 0]], dtype=np.int32)
    batch = translator.paint_batch(torch.from_numpy(label_map)[None].long(), [0])
    assert (batch.dtype, batch.tolist()) == (torch.float32, [[[[0.0, 0.5], [0.5, 0.0]]]])
    assert translator.measure(None, Path(), 0) is None


@pytest.mark.parametrize("spec", [GREY, ImageSpec(), ImageSpec(channels=("a", "b"), objects="bright")])
def test_the_sheet_shows_images_of_any_channels(store, tmp_path, spec):
    translator = store.make(make_recipe(spec=spec))
    (sheet,) = translator.sheets(make_samples(2, spec, "test").samples, tmp_path, 0)
    assert sheet.name == "translations.png"
    assert sheet.read_bytes().startswith(b"\x89PNG")


def test_what_decides_makes_another_key_and_what_does_not_makes_none():
    key = make_recipe().key
    chooser = Highest("a")
    same = [make_recipe(name="wide"), make_recipe(tracking=object()), make_recipe(chooser=chooser)]
    assert {recipe.key for recipe in same} == {key}
    chosen = [make_recipe(choose="quality", chooser=Highest(name)) for name in "ab"]
    others = [make_recipe(level=8), make_recipe(candidates=1), make_recipe(spec=ImageSpec()), *chosen]
    assert len({key, *(recipe.key for recipe in others)}) == 1 + len(others)

    @dataclass(frozen=True, kw_only=True)
    class Other(FlatRecipe):
        pass

    assert make_recipe(Other).key != key


def test_the_last_checkpoint_is_taken_or_the_one_of_the_highest_score(store):
    assert store.make(make_recipe(TrainedRecipe)).level == 5
    chosen = make_recipe(TrainedRecipe, choose="quality", chooser=Highest("a"))
    assert store.make(chosen).level == 9
    directory = chosen.directory(store)
    assert json.loads((directory / "checkpoints.json").read_text()) == {"3": 3.0, "9": 9.0, "last": 5.0}
    assert json.loads((directory / "chosen_on.json").read_text()) == {"val": to_rows(VAL)}
    # Neither decides what it generates.
    assert json.loads((directory / "translator.json").read_text())["files"] == ["level.txt"]


def test_a_translator_chosen_on_test_samples_is_refused():
    train, test = make_samples(2), make_samples(2, split="test")
    manifest = Manifest((*train, *test))
    chooser = Highest("a", chosen_on=(*VAL, Ancestor.of(test.samples[1])))
    make_recipe().refuse_held_out(manifest)
    with pytest.raises(InputError, match=r"was chosen on sample 'test_1', which is in the test split here: train one"):
        make_recipe(choose="quality", chooser=chooser).refuse_held_out(manifest)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"candidates": -1}, r"translator\.candidates=-1; expected a whole number of at least 0"),
        ({"choose": "best"}, r"translator\.choose=best; expected one of last, quality, validation"),
        ({"choose": "quality"}, r"choose=quality needs held-out pairs to choose on; take translator\.choose=last"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        make_recipe(**options)
