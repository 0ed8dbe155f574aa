"""`translator.path`: the same thing wherever it lies, another thing with other bytes."""

import json
import shutil

import pytest
from pix2pixhd_helpers import TRAINER, make_samples
from translator_helpers import FlatRecipe, Highest, TrainedRecipe, make_recipe

from rbc_lightning.core.store import Store
from rbc_lightning.data.lineage import Ancestor, to_rows
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.errors import InputError
from rbc_lightning.translators.given import GivenTranslator


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "artifacts", announce=lambda line: None)


def given(path, **options):
    return GivenTranslator(path=path, train=make_samples(2), seed=1, trainer=TRAINER, **options)


def test_it_is_loaded_for_the_run_that_uses_it_and_nothing_is_made(store):
    recipe = make_recipe(FlatRecipe, level=4)
    used = given(recipe.directory(store))
    before = sorted(store.root.rglob("*"))
    translator = store.make(used)
    assert (translator.level, translator.context.seed, len(translator.context.train)) == (4, 1, 2)
    assert used.directory(store) == used.path
    assert used.assembler(store)(None).level == 4
    assert used.trained_on(store) == recipe.train.ancestors
    assert (used.batch_sizes(), used.preview(None, None)) == ({}, None)
    assert sorted(store.root.rglob("*")) == before


def test_the_key_depends_on_the_files_alone(store, tmp_path):
    directory = make_recipe(FlatRecipe, level=4).directory(store)
    shutil.copytree(directory, tmp_path / "copy")
    (tmp_path / "copy" / "sheet.png").write_bytes(b"a picture")
    key = given(directory).key
    assert given(tmp_path / "copy", name="another").key == key
    (tmp_path / "copy" / "level.txt").write_text("5")
    assert given(tmp_path / "copy").key != key


def test_one_that_was_chosen_on_test_samples_here_is_refused(store):
    directory = make_recipe(TrainedRecipe, choose="quality", chooser=Highest("a")).directory(store)
    manifest = Manifest((*make_samples(2), *make_samples(2, split="test")))
    given(directory).refuse_held_out(manifest)
    (directory / "chosen_on.json").write_text(json.dumps({"val": to_rows(map(Ancestor.of, make_samples(1, split="test")))}))
    with pytest.raises(InputError, match=r"the translator in .* was chosen on sample 'test_0'"):
        given(directory).refuse_held_out(manifest)


def test_what_is_no_translator_is_refused_in_one_line(store, tmp_path):
    with pytest.raises(InputError, match=r"translator\.path=.*gone: no such directory; expected one that stage="):
        given(tmp_path / "gone")
    directory = make_recipe(FlatRecipe).directory(store)
    (directory / "trained_on.json").write_text('["a", "b"]')
    with pytest.raises(
        InputError, match=r"trained_on\.json: names an ancestor as 'a', not as .* make it again with this version"
    ):
        given(directory).trained_on(store)
    (directory / "trained_on.json").unlink()
    with pytest.raises(InputError, match=r"not a translator \(.*trained_on\.json.*check translator\.path"):
        given(directory).trained_on(store)
    (directory / "level.txt").unlink()
    with pytest.raises(InputError, match=r"not a translator \(.*level\.txt"):
        _ = given(directory).key
