from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from rbc_lightning.data.augment import build_augmentation
from rbc_lightning.data.datamodule import SmearDataModule
from rbc_lightning.data.dataset import MixDataset, PairCache, SmearDataset, StreamSampler, empty_label_maps
from rbc_lightning.data.folder import read_folder
from rbc_lightning.data.formats import read_image, read_label_map, write_label_map
from rbc_lightning.data.manifest import Lineage, cut_validation, merge_validation
from rbc_lightning.data.mix import Mix, MixStream
from rbc_lightning.errors import InputError

FLIPS = {"horizontal_flip": {"p": 0.5}, "vertical_flip": {"p": 0.5}}


@pytest.fixture(scope="module")
def manifest(tiny_folder):
    return cut_validation(read_folder(tiny_folder), 0.2, seed=0)


def mixed(manifest, seed=0, crop=48, augmented=6):
    train = manifest.split("train")
    stream = MixStream(Mix(real=4, synthetic=0, augmented=augmented), len(train), 0, seed)
    return MixDataset(train, (), stream, augment=build_augmentation(FLIPS), crop=crop, seed=seed)


def test_a_sample_is_the_file_as_tensors(manifest):
    record = manifest.split("test")[0]
    sample = SmearDataset([record])[0]
    image, label_map = read_image(record.image_path), read_label_map(record.label_path)
    assert sample["image"].dtype == torch.float32
    assert sample["label_map"].dtype == torch.int64
    np.testing.assert_array_equal((sample["image"].permute(1, 2, 0) * 255).round().numpy().astype(np.uint8), image)
    np.testing.assert_array_equal(sample["label_map"].numpy(), label_map)
    assert (sample["sample_id"], sample["origin"]) == ("smear_05", "real")


def test_items_depend_on_seed_and_serial_number_alone(manifest):
    first, second = mixed(manifest), mixed(manifest)
    for serial in (7, 0, 23):
        torch.testing.assert_close(first[serial]["image"], second[serial]["image"], rtol=0, atol=0)
    assert not torch.equal(first[0]["image"], mixed(manifest, seed=1)[0]["image"])


def test_any_number_of_workers_gives_the_same_batches(manifest):
    def load(workers):
        sampler = StreamSampler(8)
        sampler.set_epoch(2)
        loader = DataLoader(mixed(manifest), batch_size=2, sampler=sampler, num_workers=workers)
        return torch.cat([batch["image"] for batch in loader])

    torch.testing.assert_close(load(0), load(2), rtol=0, atol=0)


def test_the_sampler_walks_on_from_epoch_to_epoch_and_shares_out():
    sampler = StreamSampler(6)
    assert list(sampler) == [0, 1, 2, 3, 4, 5]
    sampler.set_epoch(3)
    assert list(sampler) == [18, 19, 20, 21, 22, 23]
    shares = [StreamSampler(6, rank, 2) for rank in range(2)]
    assert [list(share) for share in shares] == [[0, 2, 4], [1, 3, 5]]
    with pytest.raises(ValueError, match="7 samples per epoch over 2 processes"):
        StreamSampler(7, 0, 2)


def test_image_and_label_map_stay_together_through_flips_and_crop(manifest):
    dataset = mixed(manifest)
    for serial in range(20):
        sample = dataset[serial]
        # The discs are darker than the ground by far more than the noise.
        dark = sample["image"].mean(0) < 0.76
        assert (dark == (sample["label_map"] > 0)).float().mean() > 0.99


def test_held_out_samples_never_enter_a_training_set(manifest):
    for split in ("val", "test"):
        with pytest.raises(ValueError, match=f"of split '{split}' in a training set"):
            MixDataset(manifest.split(split), (), None, augment=None, crop=None, seed=0)


HALF_AUGMENTED = Mix(real=4, synthetic=0, augmented=4)


def datamodule(manifest, synthetic=(), mix=HALF_AUGMENTED, **options):
    settings = {"augment": build_augmentation(FLIPS), "crop": 48, "batch_size": 2, "steps_per_epoch": 3, "seed": 0}
    return SmearDataModule(manifest, synthetic, mix, **settings | options)


def painted(manifest, n=3):
    """Records that stand for synthetic samples, made from train."""
    train = manifest.split("train")
    lineage = Lineage("0/0", "aa", "bb", manifest.ids("train"))
    names = [f"s{index}" for index in range(n)]
    return tuple(
        replace(train[index % len(train)], sample_id=name, group=name, origin="synthetic", lineage=lineage)
        for index, name in enumerate(names)
    )


def test_the_datamodule_draws_train_only_and_tells_what_it_drew(manifest):
    data = datamodule(manifest)
    counts = data.drawn_counts(steps=8)
    assert sum(counts.values()) == 16
    assert {sample_id for _, sample_id, _ in counts} <= set(manifest.ids("train"))
    assert sum(n for (_, _, augmented), n in counts.items() if augmented) == 8
    assert [batch["sample_id"][0] for batch in data.test_dataloader()] == list(manifest.ids("test"))
    assert [batch["sample_id"][0] for batch in data.val_dataloader()] == list(manifest.ids("val"))


def test_a_synthetic_sample_that_descends_from_test_is_refused(manifest):
    lineage = Lineage("0/0", "aa", "bb", (manifest.ids("test")[0],))
    leaky = replace(manifest.split("train")[0], sample_id="s0", group="s0", origin="synthetic", lineage=lineage)
    with pytest.raises(InputError, match=r"'s0'.*'smear_05', which is in the test split"):
        datamodule(manifest, (leaky,), Mix(real=1, synthetic=1, augmented=0))


@pytest.mark.parametrize("workers", [0, 2])
def test_what_the_loader_gives_out_follows_the_ratio(manifest, workers):
    mix = Mix.resolve(4, real="all", synthetic="rest", augmented="rest", total=8, ratio=[1, 2, 1])
    data = datamodule(manifest, painted(manifest), mix, steps_per_epoch=4, num_workers=workers)
    loader, drawn = data.train_dataloader(), Counter()
    for epoch in range(5):  # five passes over the mix
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            assert batch["augmented"].dtype == torch.bool
            drawn.update(zip(batch["origin"], batch["augmented"].tolist(), strict=True))
    assert drawn == {("real", False): 10, ("synthetic", False): 20, ("real", True): 10}
    told = Counter()
    for (origin, _, augmented), count in data.drawn_counts(steps=20).items():
        told[origin, augmented] += count
    assert told == drawn


def test_an_augmented_synthetic_draw_counts_as_augmented(manifest):
    mix = Mix(real=0, synthetic=2, augmented=4, augmented_from=("synthetic",))
    dataset = datamodule(manifest, painted(manifest), mix).train_set
    drawn = Counter((dataset[serial]["origin"], dataset[serial]["augmented"]) for serial in range(6))
    assert drawn == {("synthetic", False): 2, ("synthetic", True): 4}


def test_weights_may_be_chosen_on_test_and_training_still_never_sees_it(manifest):
    merged = merge_validation(manifest)
    data = datamodule(merged, painted(merged), Mix(real=20, synthetic=10, augmented=20), select_on="test")
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


def test_a_kept_image_is_not_read_again_and_the_bound_is_kept(own_folder, monkeypatch):
    records = read_folder(own_folder).split("train")
    reads = []
    monkeypatch.setattr("rbc_lightning.data.dataset.read_image", lambda path: reads.append(path) or read_image(path))
    pair_bytes = 96 * 128 * (3 + 2)
    cache = PairCache(2 * pair_bytes + 1)
    for _ in range(3):
        for record in records:
            image, label_map = cache.read(record)
            assert np.array_equal(image, read_image(record.image_path))
            assert np.array_equal(label_map, read_label_map(record.label_path))
            assert label_map.dtype == np.int32
    assert cache.used_bytes == 2 * pair_bytes
    assert Counter(reads) == {record.image_path: 1 if place < 2 else 3 for place, record in enumerate(records)}
    with pytest.raises(ValueError, match="read-only"):
        cache.read(records[0])[0][0, 0] = 0


def test_label_maps_without_a_cell_are_named_and_refused_if_all_are(own_folder):
    records = read_folder(own_folder).split("train")
    assert empty_label_maps(records) == ()
    for record in records[:2]:
        write_label_map(record.label_path, np.zeros((96, 128), np.int32))
    assert empty_label_maps(records) == ("smear_00", "smear_01")
    with pytest.raises(InputError, match=r"none of the 2 training label maps has a cell \(.*smear_00\.png is the first\)"):
        empty_label_maps(records[:2])


def test_a_field_without_cells_is_background_to_train_on(own_folder):
    manifest = cut_validation(read_folder(own_folder), 0.2, seed=0)
    record = manifest.split("train")[0]
    write_label_map(record.label_path, np.zeros((96, 128), np.int32))
    samples = [datamodule(manifest).train_set[serial] for serial in range(8)]
    empty = [sample for sample in samples if sample["sample_id"] == record.sample_id]
    assert empty
    assert not any(sample["label_map"].any() for sample in empty)
