"""Quality of painted images, on painters whose quality is known."""

import dataclasses
import functools
import json

import numpy as np
import pytest
import torch
from omegaconf import open_dict
from tiny_data import write_tiny_folder

from rbc_lightning.data.formats import read_image, read_label_map
from rbc_lightning.errors import InputError
from rbc_lightning.nets.fcn8s import FCN8s
from rbc_lightning.ops.cell_crops import cell_crops
from rbc_lightning.report.quality import Quality
from rbc_lightning.stages.inputs import load_inputs
from rbc_lightning.stages.painting import judge as judge_stage
from rbc_lightning.stages.painting.held_out import gather_held_out
from rbc_lightning.stages.painting.judge import get_judge, view
from rbc_lightning.stages.painting.quality import measure_quality, write_quality
from rbc_lightning.tasks.segmentation import SegmentationTask

# A judge of seconds that finds discs.
_SETTINGS = (
    "translator.quality.steps=60",
    "training.steps=20",
    "training.steps_per_epoch=20",
    "training.batch_size=4",
    "model.task.learning_rate=1e-2",
)


class Place:
    """Configuration and inputs of a folder with five validation images, whose test images are gone."""

    def __init__(self, directory, compose_tiny, *overrides):
        root = write_tiny_folder(directory / "data", n_train=12, n_test=2)
        self.cfg = compose_tiny(directory, "data.validation_fraction=0.4", *_SETTINGS, *overrides, root=root)
        self.inputs = load_inputs(self.cfg)
        for record in self.inputs.manifest.split("test"):
            record.image_path.unlink()
        self.pairs = [(read_image(r.image_path), read_label_map(r.label_path)) for r in self.inputs.manifest.split("val")]


class Painter:
    """Returns the real image of a mask, changed by a function of (image, label map, number of the painting)."""

    def __init__(self, place, change=lambda image, label_map, number: image):
        self.place, self.change, self.seeds = place, change, []

    def paint(self, label_map, seed, style_mode=None):
        assert style_mode == "per_image"
        (image,) = [image for image, known in self.place.pairs if np.array_equal(known, label_map)]
        self.seeds.append(tuple(seed.generate_state(2)))
        return self.change(image, label_map, len(self.seeds) - 1)


def darker(image, label_map, number):
    return (image.astype(int) - 10 * (number % 4)).astype(np.uint8)


@pytest.fixture(scope="module")
def place(tmp_path_factory, compose_tiny):
    return Place(tmp_path_factory.mktemp("quality"), compose_tiny)


@pytest.fixture(scope="module")
def held_out(place):
    return gather_held_out(place.cfg, place.inputs)


def measure(place, held_out, change=lambda image, label_map, number: image):
    return measure_quality(place.cfg, place.inputs, Painter(place, change), held_out)


def test_painting_the_real_images_gives_the_values_of_real_images(place, held_out):
    quality = measure(place, held_out)
    assert (quality.n_images, quality.n_styles) == (5, 4)
    assert quality.dice_real > 0.9
    for name in ("dice", "nearest_cell", "nearest_cell_p5", "kid", "background_spread", "cell_spread"):
        assert getattr(quality, name) == pytest.approx(getattr(quality, f"{name}_real")), name
    assert quality.ap50 == pytest.approx(quality.ap50_real, abs=0.02)
    assert (quality.background_distance, quality.cell_distance) == (0, 0)
    # Faithful, yet always the same image.
    assert (quality.color_diversity, quality.texture_diversity, quality.score) == (0, 0, 0)


def test_flat_paintings_are_the_yardstick_flat(place, held_out):
    def flatten(image, label_map, number):
        colors = [image[label_map == 0].mean(axis=0), image[label_map > 0].mean(axis=0)]
        return np.round(np.where((label_map > 0)[..., None], colors[1], colors[0])).astype(np.uint8)

    quality = measure(place, held_out, flatten)
    for name in ("dice", "kid", "nearest_cell", "nearest_cell_p5"):
        assert getattr(quality, name) == pytest.approx(getattr(quality, f"{name}_flat")), name
    assert quality.kid_flat > 2 * quality.kid_real


def test_styles_that_differ_by_known_steps_have_a_known_diversity(place, held_out):
    quality = measure(place, held_out, darker)
    # Twelve styles, three on each of the levels 0, 10, 20, 30: of 66 pairs 27 are 10 apart, 18 are 20 and 9 are 30.
    assert quality.color_diversity == pytest.approx((270 + 360 + 270) / 66)
    # Every image of a style is moved by the same step: 0, 10, 20, 30 on average.
    assert quality.background_distance == pytest.approx(15)
    assert quality.cell_distance == pytest.approx(15)
    assert quality.background_spread == pytest.approx(quality.background_spread_real)
    # The judge standardises each image, so that it sees no other texture in a darker one.
    assert quality.texture_diversity < 1e-3 < quality.texture_diversity_real
    assert quality.diversity == pytest.approx(0.5, abs=0.05)
    assert quality.score == pytest.approx(quality.dice * quality.diversity)


def test_images_that_do_not_show_their_mask_are_not_faithful(place, held_out):
    mirrored = measure(place, held_out, lambda image, label_map, number: image[::-1].copy())
    assert mirrored.dice < 0.6 < mirrored.dice_real
    assert mirrored.ap50 < mirrored.ap50_real / 2
    blank = measure(place, held_out, lambda image, label_map, number: np.full_like(image, 200))
    assert blank.dice < 0.6


def test_copied_training_cells_are_found(place, held_out):
    known = dataclasses.replace(held_out, train_crops=np.concatenate([cell_crops(*pair) for pair in place.pairs]))
    # Painted images whose every cell is a training cell in another stain; the real ones are such cells as well.
    quality = measure(place, known, darker)
    assert quality.nearest_cell < 0.01 < 0.1 < quality.nearest_cell_flat
    assert quality.nearest_cell_real < 0.01
    assert measure(place, held_out, darker).nearest_cell > 5 * quality.nearest_cell


def test_the_seed_decides_the_styles_and_no_two_paintings_share_one(place, held_out):
    painters = [Painter(place) for _ in range(3)]
    first = measure_quality(place.cfg, place.inputs, painters[0], held_out)
    assert measure_quality(place.cfg, place.inputs, painters[1], held_out) == first
    other = place.cfg.copy()
    other.seed = 1
    assert measure_quality(other, place.inputs, painters[2], held_out) != first
    assert painters[0].seeds == painters[1].seeds
    assert len(set(painters[0].seeds + painters[2].seeds)) == 2 * 5 * (4 + 12)


def test_what_is_written_is_read_back(place, held_out, tmp_path):
    quality = measure(place, held_out, darker)
    table, card = write_quality(tmp_path, quality)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["quality.json", "quality_card.png"]
    content = json.loads(table.read_text())
    assert content["score"] == pytest.approx(quality.score)
    assert Quality.from_dict(content) == quality
    assert card.read_bytes().startswith(b"\x89PNG")
    assert len(content["samples"]["background"]) == 5 * 12
    assert content["samples"]["sample_ids"] == [record.sample_id for record in place.inputs.manifest.split("val")]


def test_a_single_held_out_image_leaves_gaps_and_a_score(place, compose_tiny, tmp_path):
    cfg = place.cfg.copy()
    cfg.translator.quality.images = 1
    quality = measure_quality(cfg, place.inputs, Painter(place, darker))
    assert np.isnan([quality.kid, quality.kid_real, quality.color_diversity_real, quality.texture_diversity_real]).all()
    # Training images tell the diversity in colour.
    assert quality.score == pytest.approx(quality.dice)
    content = json.loads(write_quality(tmp_path, quality)[0].read_text(), parse_constant=pytest.fail)
    assert content["kid"] is None


def test_the_judge_learns_from_real_training_pairs_alone(place, held_out, monkeypatch):
    seen = []
    monkeypatch.setattr(judge_stage, "fit", lambda cfg, directory, task, data, **rest: seen.append(data))
    cfg = place.cfg.copy()
    cfg.seed = 7
    with pytest.raises(InputError, match=r"no checkpoint of a training \(FileNotFoundError\)"):
        get_judge(cfg, place.inputs)
    pools = seen[0].train_set.pools
    assert pools["synthetic"] == ()
    assert {record.sample_id for record in pools["real"]} == set(place.inputs.manifest.ids("train"))


def test_the_judge_is_found_again_and_another_length_is_another_judge(place, held_out, capsys):
    again = get_judge(place.cfg, place.inputs)
    assert not again.training
    state = held_out.judge.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in again.state_dict().items())
    assert "Training" not in capsys.readouterr().out
    shorter = place.cfg.copy()
    shorter.translator.quality.steps = 2
    known = set(place.inputs.store.root.glob("judge/*/lineage.json"))
    get_judge(shorter, place.inputs)
    assert len(set(place.inputs.store.root.glob("judge/*/lineage.json")) - known) == 1


def test_a_judge_stopped_in_its_training_ends_as_an_undisturbed_one(tmp_path, compose_tiny, monkeypatch):
    places = [
        Place(tmp_path / name, compose_tiny, "translator.quality.steps=4", "training.steps=4", "training.steps_per_epoch=2")
        for name in "ab"
    ]
    undisturbed = get_judge(places[0].cfg, places[0].inputs)
    original, calls = SegmentationTask.training_step, []

    # `wraps`: Lightning looks at the signature to know what to pass.
    @functools.wraps(original)
    def die_once(self, batch):
        calls.append(None)
        if len(calls) == 4:
            raise KeyError("killed")
        return original(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(SegmentationTask, "training_step", die_once)
        with pytest.raises(KeyError, match="killed"):
            get_judge(places[1].cfg, places[1].inputs)
    resumed = get_judge(places[1].cfg, places[1].inputs)
    state = undisturbed.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in resumed.state_dict().items())


def test_the_judge_of_another_model_is_an_fcn8s_still(place, monkeypatch):
    cfg = place.cfg.copy()
    with open_dict(cfg):
        cfg.model = {"name": "faster_rcnn", "net": {"_target_": "nowhere"}, "task": {"_target_": "nowhere"}}
    cfg.translator.quality.steps = 1
    net = get_judge(cfg, place.inputs).net
    assert isinstance(net, FCN8s)
    assert net.trunk.out_channels[1] == 32  # 512 channels at the width of the scale, a sixteenth


def test_a_view_is_what_the_task_predicts_and_leaves_padding_out(held_out):
    image = np.random.default_rng(0).integers(0, 255, (70, 100, 3), dtype=np.uint8)
    seen = view(held_out.judge, image)
    tensor = torch.from_numpy(image.transpose(2, 0, 1)[None] / np.float32(255))
    with torch.inference_mode():
        predicted = held_out.judge.predict_step({"image": tensor})[0].numpy()
    assert seen.probability == pytest.approx(predicted, abs=1e-6)
    assert [features.shape for features in seen.feature_maps] == [(16, 8, 12), (32, 4, 6)]
    assert not held_out.judge.net.trunk._forward_hooks


def test_bad_settings_are_told_in_one_line(place):
    cfg = place.cfg.copy()
    cfg.stage, cfg.translator.quality.steps = "translator", 50
    message = r"quality\.steps=50 is no multiple of training\.steps_per_epoch=20; .* take translator\.quality\.steps=40"
    with pytest.raises(InputError, match=message):
        load_inputs(cfg)
