import os
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from plain_samples import TWO_CHANNELS, fluorescent_sample

from rbc_lightning.core.label_files import write_label_map
from rbc_lightning.data.augment.transforms import FLIPS, build_augmentation
from rbc_lightning.data.datamodule import VALIDATION_BYTES, PairDataModule
from rbc_lightning.data.lineage import Ancestor, Lineage
from rbc_lightning.data.manifest import Manifest, Samples
from rbc_lightning.data.mix import Mix
from rbc_lightning.data.readers.folder import read_folder
from rbc_lightning.data.sample import FilePair
from rbc_lightning.data.splits import cut_validation, merge_validation
from rbc_lightning.errors import InputError

HALF_AUGMENTED = Mix(real=4, synthetic=0, augmented=4)


@pytest.fixture(scope="module")
def manifest(tiny_folder):
    return cut_validation(read_folder(tiny_folder), 0.2, seed=0)


def datamodule(manifest, synthetic=(), mix=HALF_AUGMENTED, **options):
    settings = {"augment": build_augmentation(FLIPS), "crop": 48, "batch_size": 2, "steps_per_epoch": 3, "seed": 0}
    return PairDataModule(manifest, synthetic, mix, **settings | options)


def synthetic_samples(manifest, n=3):
    """Samples that stand for synthetic samples, made from train."""
    train = manifest.split("train")
    lineage = Lineage("0/0", "aa", "bb", tuple(map(Ancestor.of, train)))
    names = [f"s{index}" for index in range(n)]
    return tuple(
        replace(train[index % len(train)], sample_id=name, group=name, origin="synthetic", lineage=lineage)
        for index, name in enumerate(names)
    )


def test_the_datamodule_draws_train_only_and_counts_what_it_drew(manifest):
    data = datamodule(manifest)
    counts = data.drawn_counts(steps=8)
    assert sum(counts.values()) == 16
    assert {sample_id for _, sample_id, _ in counts} <= set(manifest.ids("train"))
    assert sum(n for (_, _, augmented), n in counts.items() if augmented) == 8
    assert [batch["sample_id"][0] for batch in data.test_dataloader()] == list(manifest.ids("test"))
    assert [batch["sample_id"][0] for batch in data.val_dataloader()] == list(manifest.ids("val"))


def test_a_synthetic_sample_that_descends_from_test_is_refused(manifest):
    lineage = Lineage("0/0", "aa", "bb", (Ancestor.of(manifest.split("test")[0]),))
    leaky = replace(manifest.split("train")[0], sample_id="s0", group="s0", origin="synthetic", lineage=lineage)
    with pytest.raises(InputError, match=r"'s0'.*'smear_05', which is in the test split"):
        datamodule(manifest, (leaky,), Mix(real=1, synthetic=1, augmented=0))


@pytest.mark.parametrize("workers", [0, 2])
def test_what_the_loader_gives_out_follows_the_ratio(manifest, workers):
    mix = Mix.resolve(4, real="all", synthetic="rest", augmented="rest", total=8, ratio=[1, 2, 1])
    data = datamodule(manifest, synthetic_samples(manifest), mix, steps_per_epoch=4, num_workers=workers)
    loader, drawn = data.train_dataloader(), Counter()
    for epoch in range(5):  # five passes over the mix
        loader.sampler.current_epoch = lambda epoch=epoch: epoch
        for batch in loader:
            assert batch["augmented"].dtype == torch.bool
            drawn.update(zip(batch["origin"], batch["augmented"].tolist(), strict=True))
    assert drawn == {("real", False): 10, ("synthetic", False): 20, ("real", True): 10}
    counted = Counter()
    for (origin, _, augmented), count in data.drawn_counts(steps=20).items():
        counted[origin, augmented] += count
    assert counted == drawn


def test_an_augmented_synthetic_draw_counts_as_augmented(manifest):
    mix = Mix(real=0, synthetic=2, augmented=4, augmented_from=("synthetic",))
    dataset = datamodule(manifest, synthetic_samples(manifest), mix).train_set
    drawn = Counter((dataset[serial]["origin"], dataset[serial]["augmented"]) for serial in range(6))
    assert drawn == {("synthetic", False): 2, ("synthetic", True): 4}


def test_weights_may_be_chosen_on_test_and_training_still_never_sees_it(manifest):
    merged = merge_validation(manifest)
    data = datamodule(merged, synthetic_samples(merged), Mix(real=20, synthetic=10, augmented=20), select_on="test")
    assert [batch["sample_id"][0] for batch in data.val_dataloader()] == list(manifest.ids("test"))
    drawn = {sample_id for _, sample_id, _ in data.drawn_counts(steps=50)}
    assert drawn == {*manifest.ids("train"), *manifest.ids("val"), "s0", "s1", "s2"}
    given_out = {name for batch in data.train_dataloader() for name in batch["sample_id"]}
    assert given_out.isdisjoint(manifest.ids("test"))
    with pytest.raises(ValueError, match="select_on='train'; expected 'val' or 'test'"):
        datamodule(manifest, select_on="train")


def test_without_a_validation_part_validation_is_one_clear_line(manifest):
    with pytest.raises(InputError, match="split 'val' is empty; expected at least one sample"):
        datamodule(merge_validation(manifest)).val_dataloader()


def test_kept_images_give_the_same_items_as_files(manifest):
    cached, read = (datamodule(manifest, cache_bytes=size).train_set for size in (2**20, 0))
    for serial in (*range(12), *range(12)):
        first, second = cached[serial], read[serial]
        torch.testing.assert_close(first["image"], second["image"], rtol=0, atol=0)
        torch.testing.assert_close(first["label_map"], second["label_map"], rtol=0, atol=0)


def test_a_field_without_cells_is_background_to_train_on(own_folder):
    manifest = cut_validation(read_folder(own_folder), 0.2, seed=0)
    field = manifest.split("train")[0]
    write_label_map(field.loader.label_path, np.zeros((96, 128), np.int32))
    samples = [datamodule(manifest).train_set[serial] for serial in range(8)]
    empty = [sample for sample in samples if sample["sample_id"] == field.sample_id]
    assert empty
    assert not any(sample["label_map"].any() for sample in empty)


def equal_items(first, second):
    assert {key: first[key] for key in first if key not in ("image", "label_map")} == {
        key: second[key] for key in second if key not in ("image", "label_map")
    }
    return torch.equal(first["image"], second["image"]) and torch.equal(first["label_map"], second["label_map"])


@pytest.mark.parametrize("per_pass", [None, 3, 7])
def test_flipped_samples_are_a_mix_of_augmented_ones_alone(manifest, per_pass):
    train, val = Samples(manifest.split("train")), manifest.split("val")
    settings = {"crop": 48, "batch_size": 2, "steps_per_epoch": 3, "seed": 5}
    data = PairDataModule.flipped(train, val, per_pass=per_pass, **settings)
    mix = Mix(real=0, synthetic=0, augmented=len(train) if per_pass is None else per_pass)
    same = datamodule(manifest, (), mix, **settings)
    assert all(equal_items(data.train_set[serial], same.train_set[serial]) for serial in range(12))
    assert data.drawn_counts(5) == same.drawn_counts(5)
    assert all(augmented for _, _, augmented in data.drawn_counts(5))
    assert [batch["sample_id"][0] for batch in data.val_dataloader()] == list(manifest.ids("val"))


def test_further_transforms_follow_on_the_mirror_image(manifest):
    settings = {"crop": 48, "batch_size": 2, "steps_per_epoch": 3, "seed": 0}
    train = manifest.split("train")
    plain, turned = (
        PairDataModule.flipped(train, transforms=transforms, **settings).train_set[0]
        for transforms in (None, {"affine": {"p": 1, "rotate": [90, 90], "keep_ratio": True}})
    )
    assert plain["sample_id"] == turned["sample_id"]
    assert not torch.equal(plain["image"], turned["image"])
    assert not torch.equal(plain["label_map"], turned["label_map"])


def test_flipped_samples_need_no_validation_part_and_may_have_any_channels():
    train = [fluorescent_sample(name, seed) for seed, name in enumerate("abc")]
    data = PairDataModule.flipped(train, crop=None, batch_size=1, steps_per_epoch=3, seed=0)
    assert {batch["image"].shape for batch in data.train_dataloader()} == {(1, 2, 96, 128)}
    with pytest.raises(InputError, match="split 'val' is empty"):
        data.val_dataloader()


def test_pairs_made_on_the_fly_get_their_images_on_the_device():
    manifest = Manifest((fluorescent_sample("a", 0), fluorescent_sample("b", 1, "test")))
    label_map = fluorescent_sample("c", 2).load_label_map()

    def paint(label_maps, seeds):
        assert len(seeds) == len(label_maps)
        return torch.full((len(seeds), TWO_CHANNELS.n_channels, *label_maps.shape[1:]), 0.5)

    mix = Mix(real=1, synthetic=1, augmented=0)
    data = datamodule(manifest, lambda seed: label_map, mix, paint=paint)
    batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    filled = [bool((image == 0.5).all()) for image in batch["image"]]
    assert sorted(filled) == [False, True]
    assert filled == [origin == "synthetic" for origin in batch["origin"]]
    with pytest.raises(ValueError, match="label maps drawn on the fly need `paint`"):
        datamodule(manifest, lambda seed: label_map, mix)
    with pytest.raises(InputError, match=r"mix\.augmented_from names synthetic, .*take synthetic.mode=offline"):
        datamodule(manifest, lambda seed: label_map, Mix(1, 1, 1, ("synthetic",)), paint=paint)


@pytest.mark.parametrize("select_on", ["val", "test"])
def test_a_validation_decodes_its_images_once_for_all_epochs(manifest, monkeypatch, select_on):
    reads = []
    load = FilePair.image
    monkeypatch.setattr(FilePair, "image", lambda files: reads.append(files.image_path.stem) or load(files))
    loader = datamodule(manifest, select_on=select_on).val_dataloader()
    first, *later = [[(b["image"], b["label_map"]) for b in loader] for _ in range(3)]
    assert reads == list(manifest.ids(select_on))
    for epoch in later:
        assert all(
            torch.equal(a, b) for pair, again in zip(first, epoch, strict=True) for a, b in zip(pair, again, strict=True)
        )


def test_workers_keep_the_images_of_a_validation_each_its_own(manifest, tmp_path, monkeypatch):
    load, log = FilePair.image, tmp_path / "reads"

    def read(files):
        with log.open("a") as handle:  # of all processes
            handle.write(f"{os.getpid()} {files.image_path.stem}\n")
        return load(files)

    monkeypatch.setattr(FilePair, "image", read)
    samples = [replace(manifest.split("test")[0], sample_id=str(n), group=str(n), split="val") for n in range(5)]
    data = datamodule(Manifest((*manifest.split("train"), *samples)), num_workers=2)
    loader = data.val_dataloader()
    epochs = [[batch["sample_id"][0] for batch in loader] for _ in range(3)]
    assert epochs == [["0", "1", "2", "3", "4"]] * 3
    readers = [line.split()[0] for line in log.read_text().splitlines()]
    assert len(readers) == 5
    assert sorted(readers.count(reader) for reader in set(readers)) == [2, 3]
    assert str(os.getpid()) not in readers
    assert loader.dataset._cache.max_bytes == VALIDATION_BYTES // 2
    test = datamodule(manifest, num_workers=2).test_dataloader()
    assert test.num_workers == 2
    assert [batch["sample_id"][0] for batch in test] == list(manifest.ids("test"))


@pytest.mark.parametrize(("count", "size"), [(5, 2), (4, 2), (3, 3), (2, 3)])
def test_processes_share_the_images_of_a_validation_unless_they_are_fewer(manifest, monkeypatch, count, size):
    samples = [replace(manifest.split("test")[0], sample_id=str(n), group=str(n), split="val") for n in range(count)]
    data, seen = datamodule(Manifest((*manifest.split("train"), *samples))), []
    for rank in range(size):
        monkeypatch.setattr("rbc_lightning.data.datamodule.rank_and_size", lambda rank=rank: (rank, size))
        seen.append([int(batch["sample_id"][0]) for batch in data.val_dataloader()])
    everything = list(range(count))
    assert seen == ([everything[rank::size] for rank in range(size)] if count >= size else [everything] * size)


def test_a_validation_keeps_no_more_than_its_bound(manifest, monkeypatch):
    monkeypatch.setattr("rbc_lightning.data.datamodule.VALIDATION_BYTES", 96 * 128 * 5 + 1)
    loader = datamodule(manifest, select_on="test").val_dataloader()
    assert [len(list(loader)) for _ in range(2)] == [2, 2]
    assert loader.dataset._cache.used_bytes == 96 * 128 * 5
    test = datamodule(manifest).test_dataloader()
    assert len(list(test)) == 2
    assert test.dataset._cache.used_bytes == 0


def test_external_images_are_tested_alone_and_nothing_else_sees_them(manifest):
    *rest, last = manifest.samples
    apart = Manifest((*rest, replace(last, split="external")))
    data = datamodule(apart, select_on="test")
    names = {
        place: [name for batch in load() for name in batch["sample_id"]]
        for place, load in (
            ("external", data.external_dataloader),
            ("test", data.test_dataloader),
            ("val", data.val_dataloader),
        )
    }
    assert names.pop("external") == [last.sample_id]
    drawn = {sample_id for _, sample_id, _ in data.drawn_counts(steps=8)}
    assert last.sample_id not in {*drawn, *names["test"], *names["val"]}
    with pytest.raises(InputError, match="split 'external' is empty"):
        datamodule(manifest).external_dataloader()
