import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from plain_samples import TWO_CHANNELS, fluorescent_sample, plain_ancestor, plain_manifest, plain_sample

from rbc_lightning.core.files import content_hash, file_sha256
from rbc_lightning.core.label_files import write_label_map
from rbc_lightning.data.formats import write_image
from rbc_lightning.data.lineage import Ancestor, Lineage
from rbc_lightning.data.manifest import Manifest, Samples
from rbc_lightning.data.readers.folder import read_folder
from rbc_lightning.data.sample import FilePair
from rbc_lightning.data.spec import RGB
from rbc_lightning.errors import InputError


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ((), "manifest without a row"),
        ((plain_sample("a"), plain_sample("a")), "'a' stands twice"),
        ((plain_sample("a", group="p"), plain_sample("b", "test", group="p")), "group 'p' is in splits"),
        ((plain_sample("a", "exam"),), "split 'exam'"),
        ((plain_sample("a;b"),), "sample_id 'a;b' is empty or has one of ; / "),
        (
            (plain_sample("a"), fluorescent_sample("b", 0)),
            "samples 'a' and 'b' differ in channels: .*; expected one kind of image in a data set",
        ),
        (
            (plain_sample("s", "test", origin="synthetic", trained_on=[]),),
            "sample 's' in split 'test'; expected train",
        ),
        ((plain_sample("s", "val", origin="synthetic", trained_on=[]),), "sample 's' in split 'val'; expected train"),
        ((plain_sample("s", origin="synthetic"),), "synthetic sample 's' without lineage"),
    ],
)
def test_a_manifest_is_checked_when_made(samples, message):
    with pytest.raises(InputError, match=message):
        Manifest(samples)


def test_one_image_under_two_names_is_not_in_two_splits():
    twin = replace(plain_sample("t1", "test"), image_sha256="image a")
    with pytest.raises(InputError, match=r"samples 'a' \(train\) and 't1' \(test\) are the same image"):
        Manifest((plain_sample("a"), twin))


def test_a_manifest_survives_the_round_trip(own_folder):
    manifest = read_folder(own_folder)
    lineage = Lineage("0/3", "aa", "bb", (Ancestor("x", "c0", "ffee"), Ancestor("mask.png", "", "beef")))
    synthetic = replace(manifest.samples[0], sample_id="s0", group="s0", origin="synthetic", lineage=lineage)
    other = replace(synthetic, sample_id="s1", group="s1", lineage=replace(lineage, trained_on=lineage.trained_on[:1]))
    every = Manifest((*manifest.samples, synthetic, other, replace(synthetic, sample_id="s2", group="s2")))
    every.save(own_folder / "manifest.csv")
    read = Manifest.load(own_folder / "manifest.csv")
    assert read == every
    # A list that rows share is read once.
    assert read.samples[-1].lineage.trained_on is read.samples[-3].lineage.trained_on


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: None, "FileNotFoundError"),
        (lambda content: {}, "KeyError"),
        (lambda content: {name: [*rows, ["t", "1", "2"]] for name, rows in content.items()}, "has another hash"),
        (lambda content: {name: ["a", "b"] for name in content}, "names an ancestor as 'a', not as"),
    ],
)
def test_a_list_of_ancestors_that_is_lost_or_changed_is_refused(own_folder, change, message):
    lineage = Lineage("0/3", "aa", "bb", (Ancestor("x", "c0", "ffee"),))
    (first, *_) = read_folder(own_folder).samples
    table, beside = own_folder / "manifest.csv", own_folder / "manifest.descent.json"
    Manifest((replace(first, origin="synthetic", lineage=lineage),)).save(table)
    changed = change(json.loads(beside.read_text()))
    beside.unlink()
    if changed is not None:
        beside.write_text(json.dumps(changed))
    with pytest.raises(
        InputError, match=rf"expected a list of that name in manifest.descent.json .*{message}.*stage=synthesize"
    ):
        Manifest.load(table)


def test_a_set_of_an_older_version_names_samples_alone_and_is_refused(own_folder):
    (first, *_) = read_folder(own_folder).samples
    lineage = Lineage("0/3", "aa", "bb", (Ancestor("x", "c0", "ffee"),))
    table = own_folder / "manifest.csv"
    Manifest((replace(first, origin="synthetic", lineage=lineage),)).save(table)
    with table.open(newline="") as handle:
        header, row = csv.reader(handle)
    row[header.index("trained_on")] = "x;y"
    with table.open("w", newline="") as handle:
        csv.writer(handle).writerows([header, row])
    with pytest.raises(InputError, match=r"samples were made from what it calls 'x;y'; .*make a set of an older version again"):
        Manifest.load(table)


def test_paths_below_the_table_are_relative(own_folder, tmp_path):
    read_folder(own_folder).save(own_folder / "manifest.csv")
    own_folder.rename(tmp_path / "moved")
    assert len(Manifest.load(tmp_path / "moved" / "manifest.csv").samples) == 7


def test_changed_or_missing_files_are_named(own_folder):
    table = own_folder / "manifest.csv"
    read_folder(own_folder).save(table)
    image = own_folder / "images" / "smear_04.png"
    image.write_bytes(image.read_bytes() + b" ")
    with pytest.raises(InputError, match=r"smear_04\.png: its bytes changed"):
        Manifest.load(table)
    assert Manifest.load(table, verify=False)
    image.unlink()
    with pytest.raises(InputError, match=r"smear_04\.png: no such file"):
        Manifest.load(table, verify=False)


def test_a_table_without_its_columns(tmp_path):
    (tmp_path / "manifest.csv").write_text("sample_id,split\na,train\n")
    with pytest.raises(InputError, match="manifest lacks the columns config_hash"):
        Manifest.load(tmp_path / "manifest.csv")


def test_the_key_of_samples_follows_from_names_and_bytes():
    train = plain_manifest(3).split("train")
    samples = Samples(train)
    assert samples.key == content_hash([[s.sample_id, s.image_sha256, s.label_sha256] for s in train])
    elsewhere = [replace(s, loader=FilePair(Path("/there"), Path("/there")), group="g", split="val") for s in train]
    assert Samples(tuple(elsewhere)).key == samples.key
    assert samples.ids == ("r0", "r1", "r2")
    assert samples.ancestors == tuple(plain_ancestor(name) for name in samples.ids)
    assert (len(samples), tuple(samples), samples.spec) == (3, train, RGB)
    others = (train[:2], train[::-1], (*train[:2], replace(train[2], label_sha256="other")))
    assert len({samples.key, *(Samples(other).key for other in others)}) == 4
    assert [node.key for node in samples.walk()] == [samples.key]


def test_what_the_numbers_mean_is_part_of_a_key():
    sample = fluorescent_sample("a", 0)
    dark = replace(sample, spec=replace(TWO_CHANNELS, objects="dark"))
    assert Samples((sample,)).key != Samples((dark,)).key
    assert Manifest((sample,)).fingerprint() != Manifest((dark,)).fingerprint()
    with pytest.raises(InputError, match="samples 'a' and 'b' differ in objects: bright and dark"):
        Samples((sample, replace(dark, sample_id="b")))


def test_label_maps_of_samples():
    samples = Samples((fluorescent_sample("a", 0), fluorescent_sample("b", 1)))
    assert [label_map.max() for label_map in samples.label_maps()] == [9, 9]


def test_the_fingerprint_is_of_names_bytes_splits_and_groups():
    manifest = plain_manifest(3)
    rows = sorted((s.sample_id, s.split, s.group, s.image_sha256, s.label_sha256) for s in manifest.samples)
    assert manifest.fingerprint() == content_hash(rows)
    assert manifest.fingerprint() == Manifest(manifest.samples[::-1]).fingerprint()
    moved = Manifest((replace(manifest.samples[0], split="val"), *manifest.samples[1:]))
    assert moved.fingerprint() != manifest.fingerprint()


def test_images_of_another_kind_survive_the_round_trip(tmp_path):
    spec = replace(TWO_CHANNELS, spacing=(0.5, 0.25))
    given = [fluorescent_sample(name, seed, spec=spec) for seed, name in enumerate("ab")]
    samples = []
    for sample in given:
        image_path = write_image(tmp_path / "images" / f"{sample.sample_id}.png", sample.load_image())
        label_path = write_label_map(tmp_path / "labels" / f"{sample.sample_id}.png", sample.load_label_map())
        hashes = {"image_sha256": file_sha256(image_path), "label_sha256": file_sha256(label_path)}
        samples.append(replace(sample, loader=FilePair(image_path, label_path, spec), **hashes))
    manifest = Manifest(tuple(samples))
    manifest.save(tmp_path / "manifest.csv")
    read = Manifest.load(tmp_path / "manifest.csv")
    assert (read, read.spec) == (manifest, spec)
    for before, after in zip(given, read.samples, strict=True):
        np.testing.assert_array_equal(after.load_image(), before.load_image())
        np.testing.assert_array_equal(after.load_label_map(), before.load_label_map())
        assert after.size == before.size == (96, 128)


def test_colour_images_need_no_second_file(own_folder):
    read_folder(own_folder).save(own_folder / "manifest.csv")
    assert not list(own_folder.glob("*.json"))


def test_samples_in_memory_are_not_saved_by_path(tmp_path):
    with pytest.raises(InputError, match="memory of a: sample 'a' does not lie in files; write image and label map first"):
        Manifest((fluorescent_sample("a", 0),)).save(tmp_path / "manifest.csv")
    assert not (tmp_path / "manifest.csv").exists()
