from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from rbc_lightning.data.augment import build_augmentation
from rbc_lightning.data.datamodule import SmearDataModule
from rbc_lightning.data.dataset import MixDataset, SmearDataset, StreamSampler
from rbc_lightning.data.folder import read_folder
from rbc_lightning.data.formats import read_image, read_label_map
from rbc_lightning.data.manifest import Lineage, cut_validation
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


def datamodule(manifest, synthetic=(), mix=HALF_AUGMENTED):
    return SmearDataModule(
        manifest, synthetic, mix, augment=build_augmentation(FLIPS), crop=48, batch_size=2, steps_per_epoch=3, seed=0
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
