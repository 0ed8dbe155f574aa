"""Sets of pairs on disk: their files, lineage, growth and key."""

import csv
import json
from dataclasses import dataclass

import numpy as np
import pytest
from pix2pix_helpers import GREY_16, TWO_16, make_manifest, make_samples, make_train, pair_of

from rbc_lightning.core.files import file_sha256
from rbc_lightning.core.store import Store, read_lineage
from rbc_lightning.data.lineage import to_rows
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.spec import RGB
from rbc_lightning.errors import InputError
from rbc_lightning.pairs.base import Pair, PairSource
from rbc_lightning.pairs.synthetic_set import SyntheticSet


@dataclass(frozen=True, kw_only=True)
class Drawn(PairSource):
    """Discs by number."""

    first: int = 20
    largest_id: int = 0

    def open(self, store):
        def draw(index):
            image, label_map = pair_of(self.first + index, self.train.spec)
            label_map[0, 0] = self.largest_id
            return Pair(image, label_map, not_placed=index)

        return draw


def make_set(count=2, spec=RGB, **options):
    source = Drawn(train=make_train(spec), seed=7, **options)
    return SyntheticSet(pairs=source, count=count, manifest=make_manifest(spec))


def test_pairs_are_files_with_their_lineage(tmp_path):
    store, recipe = Store(tmp_path, str), make_set()
    samples = store.make(recipe)
    directory = store.path(recipe)
    names = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    pngs = {f"{folder}/synthetic_0000{index}.png" for folder in ("images", "labels") for index in range(2)}
    assert names == pngs | {"manifest.csv", "manifest.descent.json", "lineage.json"}
    for index, sample in enumerate(samples):
        image, label_map = pair_of(20 + index)
        assert np.array_equal(sample.load_image(), image)
        assert np.array_equal(sample.load_label_map(), label_map)
        assert (sample.sample_id, sample.split, sample.origin) == (f"synthetic_0000{index}", "train", "synthetic")
        lineage = sample.lineage
        assert (lineage.sampler_seed, lineage.config_hash) == (f"7/{index}", recipe.key)
        assert lineage.translator_hash == recipe.pairs.translator_key
        assert lineage.trained_on == make_train().ancestors
    with (directory / "manifest.csv").open(newline="") as handle:
        row = next(csv.DictReader(handle))
    assert row["image_path"] == "images/synthetic_00000.png"
    assert row["image_sha256"] == file_sha256(directory / row["image_path"])
    assert json.loads((directory / "manifest.descent.json").read_text()) == {row["trained_on"]: to_rows(make_train().ancestors)}
    assert read_lineage(directory)["inputs"] == {"pairs": recipe.pairs.key}


def test_a_larger_set_begins_with_the_smaller_one(tmp_path):
    store, small, large = Store(tmp_path, str), make_set(2), make_set(4)
    first = store.make(small)
    written = (store.path(small) / "images" / "synthetic_00000.png").stat().st_mtime_ns
    assert not large.is_complete(store.path(large))
    assert large.done_units(store.path(large)) == 2
    second = store.make(large)
    assert second[:2] == first
    assert len(second) == 4
    assert (store.path(small) / "images" / "synthetic_00000.png").stat().st_mtime_ns == written
    assert store.make(small) == first
    assert len(list(tmp_path.glob("synthetic/*/manifest.csv"))) == 1


def test_what_an_interrupted_attempt_left_is_kept(tmp_path, monkeypatch):
    store, recipe = Store(tmp_path, str), make_set(3)
    original = Drawn.open
    with monkeypatch.context() as patch:
        patch.setattr(Drawn, "open", lambda self, store: _until(original(self, store), 2))
        with pytest.raises(KeyboardInterrupt):
            store.make(recipe)
    assert recipe.done_units(store.path(recipe)) == 2
    drawn = []
    monkeypatch.setattr(Drawn, "open", lambda self, store: _noting(original(self, store), drawn))
    assert len(store.make(recipe)) == 3
    assert drawn == [2]


def _until(draw, last):
    def stopped(index):
        if index == last:
            raise KeyboardInterrupt
        return draw(index)

    return stopped


def _noting(draw, drawn):
    def noted(index):
        drawn.append(index)
        return draw(index)

    return noted


@pytest.mark.parametrize("spec", [GREY_16, TWO_16], ids=lambda spec: "_".join(spec.channels))
def test_images_keep_their_kind(tmp_path, spec):
    store, recipe = Store(tmp_path, str), make_set(2, spec)
    for _ in range(2):
        samples = store.make(recipe)
        assert [sample.spec for sample in samples] == [spec] * 2
        assert np.array_equal(samples[1].load_image(), pair_of(21, spec)[0])
    # Found again by whatever name they were written.
    larger = store.make(make_set(3, spec))
    assert larger[:2] == samples


def test_more_ids_than_16_bits_hold_are_found_again(tmp_path):
    store, recipe = Store(tmp_path, str), make_set(1, largest_id=70_000)
    (sample,) = store.make(recipe)
    assert sample.loader.label_path.suffix == ".tif"
    assert store.make(make_set(2, largest_id=70_000))[0] == sample


def test_cells_without_a_place_are_reported(tmp_path, capsys):
    Store(tmp_path, str).make(make_set(3))
    out = capsys.readouterr().out
    assert "3 cells in 3 pairs found no place: sampler=adhesion with a smaller sampler.count_mean" in out


def test_pairs_of_held_out_samples_are_refused_whether_they_are_there_or_not(tmp_path):
    store, recipe = Store(tmp_path, str), make_set()
    other = SyntheticSet(pairs=Drawn(train=make_train(n=5), seed=7), count=1, manifest=make_manifest())
    with pytest.raises(InputError, match="descends from sample 's4', which is in the val split"):
        store.make(other)
    store.make(recipe)
    moved = Manifest(make_samples(3) + make_samples(1, split="test", first=3))
    with pytest.raises(InputError, match="descends from sample 's3', which is in the test split"):
        store.make(SyntheticSet(pairs=recipe.pairs, count=2, manifest=moved))


def test_the_key_is_that_of_the_source_whatever_the_count():
    first = make_set(2)
    assert first.key == make_set(9).key == SyntheticSet(pairs=first.pairs).key
    assert first.key != make_set(2, first=21).key
    work = make_set(9).work()
    assert (work.units, work.unit) == (9, "pairs")
