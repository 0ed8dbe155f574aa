"""Pairs of a directory: what is accepted, and what decides their key."""

import shutil

import pytest
from pix2pix_helpers import make_samples, make_train

from rbc_lightning.core.files import file_sha256
from rbc_lightning.core.label_files import write_label_map
from rbc_lightning.core.store import Store
from rbc_lightning.data.formats import write_image
from rbc_lightning.data.lineage import Lineage
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.sample import FilePair, Sample
from rbc_lightning.errors import InputError
from rbc_lightning.pairs.copy_paste import CopyPastePairs
from rbc_lightning.pairs.synthetic_set import GivenPairs, SyntheticSet


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("made"), str)
    recipe = SyntheticSet(pairs=CopyPastePairs(train=make_train(), seed=0, cells=(1, 2)), count=3)
    return store.make(recipe), store.path(recipe)


def test_the_first_pairs_are_taken(made, tmp_path):
    samples, directory = made
    given = GivenPairs(path=directory, count=2)
    assert given.is_complete(tmp_path / "nowhere")
    assert Store(tmp_path, str).make(given) == samples[:2]


def test_the_bytes_of_the_manifest_decide_the_key(made, tmp_path):
    _, directory = made
    first, copy = GivenPairs(path=directory, count=2), tmp_path / "copy"
    shutil.copytree(directory, copy)
    assert first.key == GivenPairs(path=directory, count=3).key == GivenPairs(path=copy, count=1).key
    table = copy / "manifest.csv"
    table.write_text(table.read_text().replace("0/1", "0/7"))
    assert first.key != GivenPairs(path=copy, count=1).key


def test_fewer_than_asked_for_are_refused(made, tmp_path):
    with pytest.raises(InputError, match=r"3 synthetic samples where the mix asks for 40; lower mix\.total, or make more"):
        Store(tmp_path, str).make(GivenPairs(path=made[1], count=40))


def test_pairs_without_lineage_are_refused(tmp_path):
    (sample,) = make_samples(1)
    image, labels = tmp_path / "images" / "s0.png", tmp_path / "labels" / "s0.png"
    write_image(image, sample.load_image())
    write_label_map(labels, sample.load_label_map())
    hashes = file_sha256(image), file_sha256(labels)
    message = "'s0' is not a synthetic one that names what it was made from"
    for origin, lineage in (("real", None), ("synthetic", Lineage("0/0", "a", "b", ()))):
        Manifest((Sample("s0", "train", "s0", *hashes, FilePair(image, labels), origin, lineage),)).save(
            tmp_path / "manifest.csv"
        )
        with pytest.raises(InputError, match=message):
            Store(tmp_path, str).make(GivenPairs(path=tmp_path))


def test_a_directory_without_a_manifest_is_refused_at_once(tmp_path):
    with pytest.raises(InputError, match=rf"synthetic\.path={tmp_path}: no manifest\.csv there; expected a set written by"):
        GivenPairs(path=tmp_path)


def test_a_directory_that_goes_afterwards_is_refused_and_leaves_nothing(made, tmp_path):
    given, store = GivenPairs(path=shutil.copytree(made[1], tmp_path / "pairs"), count=2), Store(tmp_path / "artifacts", str)
    assert store.make(given)[0].sample_id == "synthetic_00000"
    shutil.rmtree(given.path)
    with pytest.raises(InputError, match=r"synthetic\.path=.*no manifest\.csv there; expected a set written by stage="):
        store.make(given)
    assert not [path for path in store.root.rglob("*") if path.is_dir() and path.parent != store.root]
