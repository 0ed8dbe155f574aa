"""One threshold for all images: the best of those it is measured on, tested as every model, never on what it is tested on."""

import json

import numpy as np
import pytest
import torch
import yaml
from evaluation_helpers import sample
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.global_threshold_plainly import best_mean_dice, mean_dice
from PIL import Image
from slice_samples import slice_manifest
from torch import nn

from rbc_lightning.app import run
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.data.manifest import Samples
from rbc_lightning.data.spec import RGB, ImageSpec
from rbc_lightning.segmenters.model import Model
from rbc_lightning.segmenters.threshold.global_threshold import GlobalThresholdTask, best_threshold
from rbc_lightning.segmenters.threshold.head import inner_head

GREY = ImageSpec(channels=("flair", "t1"), value_range=(0, 20), objects="bright")


def samples_of(pairs, spec):
    return [sample(index, "train", spec, pair) for index, pair in enumerate(pairs)]


def task(channel=0, level=0.5, **options):
    return GlobalThresholdTask(nn.Identity(), {"channel": channel, "level": level}, **options)


def test_of_equally_good_thresholds_the_middle_one_is_taken():
    """Objects of 200 on a ground of 100 in channel 1: every cut from 101 to 200 parts them, of which 151 is the middle."""
    label_map = np.zeros((4, 4), np.int32)
    label_map[1:3, 1:3] = 1
    image = np.stack([np.full((4, 4), 50), np.where(label_map, 200, 100), np.where(label_map, 200, 100)], 2).astype(np.uint8)
    found = best_threshold(samples_of([(image, label_map)], RGB), "bright")
    assert found == {"channel": 1, "level": pytest.approx(150.5 / 255)}
    # Of 55 on 155 every cut from 56 to 155: 106.
    found = best_threshold(samples_of([(255 - image, label_map)], RGB), "dark")
    assert found == {"channel": 1, "level": pytest.approx(105.5 / 255)}


def test_it_is_the_mean_over_images_that_counts_not_over_pixels():
    """A large image whose objects are best cut at 9.5, and two small ones best cut at 4.5, where the large one has a third."""
    pairs = []
    for size, ground, objects in ((40, 9, 12), (4, 3, 6), (4, 3, 6)):
        label_map = np.zeros((size, size), np.int32)
        label_map[: size // 4] = 1
        image = np.repeat(np.where(label_map, objects, ground)[..., None], 2, 2).astype(np.uint8)
        pairs.append((image, label_map))
    # Cut at 9.5: (1 + 0 + 0) / 3; between 3 and 6: (2 / 5 + 1 + 1) / 3.
    assert 3 < best_threshold(samples_of(pairs, GREY), "bright")["level"] * 20 < 6


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.sampled_from(["dark", "bright"]), st.sampled_from([(0, 20), (3, 17)]))
def test_no_threshold_does_better(seed, count, objects, value_range):
    rng = np.random.default_rng(seed)
    pairs = [
        (rng.integers(0, 21, (5, 7, 2)).astype(np.uint8), (rng.random((5, 7)) < rng.choice([0, 0.3])).astype(np.int32))
        for _ in range(count)
    ]
    samples = samples_of(pairs, ImageSpec(channels=("flair", "t1"), value_range=value_range))
    found = best_threshold(samples, objects)
    assert mean_dice(samples, found["channel"], found["level"], objects) == pytest.approx(best_mean_dice(samples, objects))


def test_deep_images_are_cut_between_their_own_levels():
    label_map = np.eye(6, dtype=np.int32)
    image = np.where(label_map, 30001, 30000).astype(np.uint16)[..., None]
    spec = ImageSpec(channels=("flair",), value_range=(0, 65535), objects="bright")
    found = best_threshold(samples_of([(image, label_map)], spec), "bright")
    assert found == {"channel": 0, "level": pytest.approx(30000.5 / 65535, abs=1e-7)}


def test_nothing_to_measure_is_refused():
    with pytest.raises(ValueError, match="expected samples to find a threshold on, got none"):
        best_threshold([], "dark")


def test_of_several_classes_it_is_that_of_the_one_it_tells_best():
    """Two is the brightest, one lies between it and the ground; three, which no image has, any empty answer would find."""
    spec = ImageSpec(
        channels=("flair",), value_range=(0, 20), labels="classes", classes=("one", "two", "three"), objects="bright"
    )
    pairs = []
    for value in (1, 2, 2):
        label_map = np.zeros((6, 6), np.int32)
        label_map[0], label_map[1, :value] = 1, value
        pairs.append((np.choose(label_map, (3, 7, 15, 0)).astype(np.uint8)[..., None], label_map))
    # Seen on the two images that have it alone.
    assert best_threshold(samples_of(pairs, spec), "bright") == {"channel": 0, "level": pytest.approx(11.5 / 20), "value": 2}
    darker = [((18 - image).astype(np.uint8), label_map) for image, label_map in pairs]
    assert best_threshold(samples_of(darker, spec), "dark")["value"] == 2


def test_what_is_found_is_of_the_class_of_the_threshold():
    image = torch.zeros(1, 6, 6)
    image[0, 2] = 0.9
    values = {"channel": 0, "level": 0.5, "value": 2}
    made = GlobalThresholdTask(nn.Identity(), values, objects="bright", classes=["one", "two"])
    assert (made.finds, np.unique(made.predict(image).classes).tolist()) == ("two", [0, 2])
    assert task(objects="bright", classes=["one"]).finds is None
    with pytest.raises(ValueError, match="global_threshold has value 2, the classes have values 1 to 1"):
        GlobalThresholdTask(nn.Identity(), values, classes=["one"])


def test_patches_beyond_the_threshold_are_objects():
    image = torch.zeros(2, 12, 12)
    image[1, 1:4, 1:4] = image[1, 7:9, 7:11] = 0.9
    image[1, 11, 0] = 0.6
    found = task(channel=1, objects="bright").predict_instances(image)
    areas = sorted(np.bincount(found.label_map.ravel())[1:].tolist())
    assert (areas, len(found.boxes)) == ([1, 8, 9], 3)
    assert len(task(channel=1, objects="bright", min_area=2).predict_instances(image).boxes) == 2
    # Dark ones: the rest of the image.
    assert (task(channel=1).predict_instances(image).label_map > 0).sum() == 144 - 18
    assert len(task(channel=1, level=0.95, objects="bright").predict_instances(image).boxes) == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"global_threshold": 0.5}, r"must be channel and level, such as \{channel: 0, level: 0\.5\}, got 0\.5"),
        ({"global_threshold": {"level": 0.5}}, r"must be channel and level"),
        ({"global_threshold": {"channel": 0, "level": 0.5}, "min_area": 0}, r"min_area must be at least 1 pixel, got 0"),
    ],
)
def test_what_makes_no_sense_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        GlobalThresholdTask(nn.Identity(), **values)


def test_a_channel_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="has channel 3, the image has channels 0 to 2"):
        task(channel=3).predict_instances(torch.zeros(3, 4, 4))


def test_the_objects_asked_for_decide_on_which_side_it_is_looked_for():
    label_map = np.zeros((4, 4), np.int32)
    label_map[0] = 1
    image = np.repeat(np.where(label_map, 15, 5)[..., None], 2, 2).astype(np.uint8)
    train = Samples(tuple(samples_of([(image, label_map)], GREY)))
    spec = {"_target_": f"{GlobalThresholdTask.__module__}.GlobalThresholdTask", "global_threshold": None, "objects": None}
    for objects, score in ((None, 1.0), ("bright", 1.0), ("dark", 0.4)):
        model = Model("m", {"_target_": "torch.nn.Identity"}, {**spec, "objects": objects})
        found = model.facts(train)["global_threshold"]
        side = objects or "bright"
        assert mean_dice(train.samples, found["channel"], found["level"], side) == pytest.approx(score)
        assert model.with_facts(model.facts(train)).build().level == found["level"]


def test_a_run_reads_the_train_split_alone_and_is_tested_with_what_it_found(own_folder, tmp_path, compose_tiny):
    def threshold_and_result():
        cfg = compose_tiny(tmp_path, "+experiment=rd", "model=global_threshold", root=own_folder)
        result = run(cfg)
        kept = yaml.safe_load((result.directory / "config.yaml").read_text())["model"]["task"]["global_threshold"]
        assert kept == best_threshold(Experiment(cfg).train, "dark")
        return kept, result, Experiment(cfg).manifest

    kept, result, manifest = threshold_and_result()
    metrics = json.loads((result.directory / "metrics.json").read_text())
    assert (metrics["column"], metrics["selected_on"], metrics["test/dice"] > 0.97) == ("without_training", None, True)
    # Held-out images of other grey levels change the figure, never the threshold.
    held_out = [*manifest.split("val"), *manifest.split("test")]
    for one in held_out:
        path = own_folder / "images" / f"{one.sample_id}.png"
        Image.fromarray(255 - np.array(Image.open(path))).save(path)
    again, other, _ = threshold_and_result()
    assert (len(held_out), again, other.directory == result.directory) == (3, kept, False)
    assert other.metrics["test/dice"] < 0.6


def test_the_best_threshold_of_scans_is_that_of_whole_scans_inside_the_head():
    train = Samples(slice_manifest().split("train"))
    found = best_threshold(train, "bright")
    scans = {}
    for each in train:
        image, truth = each.load_image(), each.load_label_map() > 0
        inside = inner_head(image.transpose(2, 0, 1) / 4095, (0.4, 0.1))
        scans.setdefault(each.volume, []).append((np.where(inside, image[..., 0], 0), truth))
    scans = [tuple(map(np.stack, zip(*slices, strict=True))) for slices in scans.values()]
    assert len(scans) == 2

    def dice(level):
        return np.mean([2 * ((v > level) & t).sum() / ((v > level).sum() + t.sum()) for v, t in scans])

    assert dice(found["level"] * 4095) == pytest.approx(max(dice(level) for level in range(1500, 3500, 20)), abs=1e-3)
    assert found["channel"] == 0
    # Without knowing where the head is, scalp is most of what is found.
    everywhere = np.stack([each.load_image()[..., 0] for each in train]) > found["level"] * 4095
    truths = np.stack([each.load_label_map() > 0 for each in train])
    assert (everywhere & truths).sum() < 0.3 * everywhere.sum()
    assert dice(found["level"] * 4095) > 0.95


def test_what_is_found_in_scans_is_of_the_first_class():
    (first, *_) = slice_manifest("core", "rim").split("test")
    found = task(level=0.5, objects="bright", classes=["core", "rim"], standard=[0.4, 0.1])
    image = torch.from_numpy(first.load_image().transpose(2, 0, 1) / np.float32(4095))
    prediction = found.predict(image)
    assert set(np.unique(prediction.classes)) == {0, 1}
    assert np.array_equal(prediction.classes > 0, first.load_label_map() > 0)
    assert prediction.cells.classes.tolist() == [1] * len(prediction.cells)
