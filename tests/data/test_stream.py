from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from plain_samples import TWO_CHANNELS, fluorescent_pair, fluorescent_sample
from slice_samples import slice_manifest
from torch.utils.data import DataLoader

from rbc_lightning.core.label_files import read_label_map, write_label_map
from rbc_lightning.data.augment.transforms import FLIPS, build_augmentation
from rbc_lightning.data.formats import read_image
from rbc_lightning.data.mix import Mix, MixStream
from rbc_lightning.data.readers.folder import read_folder
from rbc_lightning.data.sample import FilePair
from rbc_lightning.data.splits import cut_validation
from rbc_lightning.data.stream import MixDataset, PairCache, SmearDataset, StreamSampler, empty_label_maps, tell_of_empty
from rbc_lightning.errors import InputError


@pytest.fixture(scope="module")
def manifest(tiny_folder):
    return cut_validation(read_folder(tiny_folder), 0.2, seed=0)


def mixed(manifest, seed=0, crop=48, augmented=6):
    train = manifest.split("train")
    stream = MixStream(Mix(real=4, synthetic=0, augmented=augmented), len(train), 0, seed)
    return MixDataset(train, (), stream, augment=build_augmentation(FLIPS), crop=crop, seed=seed)


def test_a_sample_is_the_file_as_tensors(manifest):
    given = manifest.split("test")[0]
    sample = SmearDataset([given])[0]
    image, label_map = read_image(given.loader.image_path), read_label_map(given.loader.label_path)
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
        sampler = StreamSampler(8, current_epoch=lambda: 2)
        loader = DataLoader(mixed(manifest), batch_size=2, sampler=sampler, num_workers=workers)
        return torch.cat([batch["image"] for batch in loader])

    torch.testing.assert_close(load(0), load(2), rtol=0, atol=0)


def test_the_sampler_walks_on_from_epoch_to_epoch_and_shares_out():
    epochs = [0, 3]
    sampler = StreamSampler(6, current_epoch=lambda: epochs.pop(0))
    assert list(sampler) == [0, 1, 2, 3, 4, 5]
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


def test_a_kept_image_is_not_read_again_and_the_bound_is_kept(own_folder, monkeypatch):
    samples = read_folder(own_folder).split("train")
    reads = []
    load = FilePair.image
    monkeypatch.setattr(FilePair, "image", lambda files: reads.append(files.image_path) or load(files))
    pair_bytes = 96 * 128 * (3 + 2)
    cache = PairCache(2 * pair_bytes + 1)
    for _ in range(3):
        for sample in samples:
            image, label_map = cache.read(sample)
            assert np.array_equal(image, read_image(sample.loader.image_path))
            assert np.array_equal(label_map, read_label_map(sample.loader.label_path))
            assert label_map.dtype == np.int32
    assert cache.used_bytes == 2 * pair_bytes
    assert Counter(reads) == {sample.loader.image_path: 1 if place < 2 else 3 for place, sample in enumerate(samples)}
    with pytest.raises(ValueError, match="read-only"):
        cache.read(samples[0])[0][0, 0] = 0


def test_label_maps_without_a_cell_are_named_and_refused_if_all_are(own_folder):
    samples = read_folder(own_folder).split("train")
    assert empty_label_maps(samples) == ()
    for sample in samples[:2]:
        write_label_map(sample.loader.label_path, np.zeros((96, 128), np.int32))
    assert empty_label_maps(samples) == ("smear_00", "smear_01")
    with pytest.raises(InputError, match=r"none of the 2 training label maps has a cell \(.*smear_00\.png is the first\)"):
        empty_label_maps(samples[:2])


def test_slices_without_anything_are_counted_and_refused_if_all_are():
    train = slice_manifest().split("train")
    assert tell_of_empty(train) == "note: 2 of 6 training slices show no lesion"
    assert tell_of_empty(train[:2]) is None
    with pytest.raises(InputError, match="none of the 1 training slices shows lesion; expected some"):
        tell_of_empty(train[2:3])


def test_classes_that_no_training_slice_shows_are_named():
    train = slice_manifest().split("train")
    # Their maps hold 1 and 2.
    spec = replace(train[0].spec, classes=("lesion", "outline", "stroke"), context=())
    said = tell_of_empty([replace(sample, spec=spec) for sample in train[:2]])
    assert said == (
        "note: 0 of 2 training slices show no lesion or outline or stroke; none shows stroke, which no model can learn: move "
        "scans with it into train"
    )


def two_channels(synthetic=(), mix=None, **options):
    train = [fluorescent_sample(name, seed) for seed, name in enumerate("ab")]
    stream = MixStream(mix or Mix(real=2, synthetic=0, augmented=4), 2, 1, seed=0)
    settings = {"augment": build_augmentation(FLIPS, TWO_CHANNELS), "crop": 48, "seed": 0}
    return MixDataset(train, synthetic, stream, **settings | options)


def test_two_channels_of_16_bits_are_drawn_cropped_and_mirrored():
    image, label_map = fluorescent_pair(0)
    whole = SmearDataset([fluorescent_sample("a", 0)])[0]
    assert whole["image"].dtype == torch.float32
    np.testing.assert_array_equal((whole["image"].double().numpy() * 65535).round().transpose(1, 2, 0), image)
    np.testing.assert_array_equal(whole["label_map"].numpy(), label_map)
    for serial in range(12):
        item = two_channels()[serial]
        assert item["image"].shape == (2, 48, 48)
        # The discs are brighter than the ground by far more than the noise.
        bright = item["image"].mean(0) > 0.24
        assert (bright == (item["label_map"] > 0)).float().mean() > 0.99
    kept, read = (two_channels(cache_bytes=size) for size in (2**20, 0))
    assert all(torch.equal(kept[serial % 6]["image"], read[serial % 6]["image"]) for serial in range(12))


def test_pairs_made_on_the_fly_wait_for_an_image_of_the_same_kind():
    dataset = two_channels(lambda seed: fluorescent_pair(7)[1], Mix(real=0, synthetic=1, augmented=0))
    item = dataset[0]
    assert (item["image"].shape, item["image"].any(), item["origin"]) == ((2, 48, 48), torch.tensor(False), "synthetic")


def test_a_training_set_is_of_one_kind(manifest):
    with pytest.raises(InputError, match=r"samples 'a' and 'smear_0.' differ in channels: .*one kind of image"):
        two_channels(manifest.split("train"))


def test_a_slice_names_its_scan():
    (first, *_) = slice_manifest().samples
    assert (SmearDataset([first])[0]["sample_id"], SmearDataset([first])[0]["volume"]) == ("a1_000", "a1")
    assert SmearDataset([fluorescent_sample("a", 0)])[0]["volume"] == ""


def test_a_slice_tells_its_place_and_what_is_ignored_where_they_are_known():
    first = slice_manifest().samples[1]
    item = SmearDataset([first])[0]
    assert item["place"].isnan().all()
    assert "ignored" not in item
    placed = replace(first, spec=replace(first.spec, spacing=(2.0, 3.0)), distance=6.0)
    item = SmearDataset([placed], ignored=("outline",))[0]
    assert item["place"].tolist() == [1.0, 3.0, 2.0, 6.0]
    assert np.array_equal(item["ignored"].numpy(), first.with_context().load_label_map() == 2)
    assert item["ignored"].any()
