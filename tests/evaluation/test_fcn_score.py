import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluation_helpers import Place, fcn8s, sample

from rbc_lightning.core.trainer import TrainerSettings
from rbc_lightning.data.manifest import Samples
from rbc_lightning.data.spec import ImageSpec
from rbc_lightning.errors import InputError
from rbc_lightning.evaluation import fcn_score
from rbc_lightning.evaluation.fcn_score import FcnScoreNetwork, view
from rbc_lightning.segmenters.segmentation import SegmentationTask


def test_it_learns_from_flipped_real_training_pairs_alone(place, monkeypatch):
    seen = []
    monkeypatch.setattr(fcn_score, "fit", lambda trainer, training, directory, task, data, **rest: seen.append((data, rest)))
    recipe = place.network(60, 20, seed=7)
    with pytest.raises(InputError, match=r"no checkpoint of a training \(FileNotFoundError\)"):
        place.store.make(recipe)
    data, rest = seen[0]
    assert data.train_set.pools["synthetic"] == ()
    assert {one.sample_id for one in data.train_set.pools["real"]} == set(place.train.ids)
    assert [one.sample_id for one in data.val_dataloader().dataset.samples] == list(place.val.ids)
    # A run of the same seed draws from another stream.
    assert rest["seed"] == int(np.random.SeedSequence([fcn_score.derive_seed(7, "training"), 1]).generate_state(1)[0])


def test_it_is_found_again_in_evaluation_mode(place, network, capsys):
    again = place.store.make(place.recipe)
    assert not again.training
    state = network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in again.state_dict().items())
    assert "Training" not in capsys.readouterr().out


def test_a_network_stopped_in_its_training_ends_as_an_undisturbed_one(tmp_path, monkeypatch):
    places = [Place(tmp_path / name) for name in "ab"]
    undisturbed = places[0].store.make(places[0].network(4, 2))
    original, calls = SegmentationTask.training_step, []

    # `wraps`: Lightning looks at the signature to know what to pass.
    @functools.wraps(original)
    def die_once(self, batch):
        calls.append(None)
        if len(calls) == 4:
            raise KeyError("killed")
        return original(self, batch)

    recipe, store = places[1].network(4, 2), places[1].store
    with monkeypatch.context() as patch:
        patch.setattr(SegmentationTask, "training_step", die_once)
        with pytest.raises(KeyError, match="killed"):
            store.make(recipe)
    assert recipe.done_units(store.path(recipe).with_suffix(".partial")) == 2
    resumed = store.make(recipe)
    state = undisturbed.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in resumed.state_dict().items())


def test_which_settings_decide_the_key(place):
    one = place.recipe
    # A name, a progress bar and the number of loaders change no weight.
    same = [replace(one, model=fcn8s("other")), replace(one, trainer=TrainerSettings(num_workers=3))]
    assert {recipe.key for recipe in same} == {one.key}
    others = [
        place.network(40, 20),
        place.network(60, 30),
        replace(one, training=replace(one.training, crop=None)),
        replace(one, training=replace(one.training, ema_decay=0.9)),
        replace(one, model=fcn8s(width=0.125)),
        replace(one, seed=1),
        replace(one, train=Samples(place.train.samples[:-1])),
        replace(one, val=Samples(place.val.samples[:-1])),
        replace(one, trainer=TrainerSettings(progress_bar=False, precision="16-mixed")),
    ]
    assert len({one.key, *(other.key for other in others)}) == len(others) + 1
    assert one.formats()["fcn_score"] == 4


def test_its_work_is_its_steps_and_no_seed_changes_what_one_takes(place):
    work = place.recipe.work()
    assert (work.units, work.unit) == (60, "steps")
    assert place.network(40, 20, seed=3).work().about == work.about
    assert place.network(40, 20, model=fcn8s(width=0.125)).work().about != work.about


def test_a_view_is_what_the_task_predicts_and_leaves_padding_out(network, rng):
    image = rng.integers(0, 255, (70, 100, 3), dtype=np.uint8)
    seen = view(network, image)
    tensor = torch.from_numpy(image.transpose(2, 0, 1)[None] / np.float32(255))
    with torch.inference_mode():
        predicted = network.predict_step({"image": tensor})[0].numpy()
    assert seen.probability == pytest.approx(predicted, abs=1e-6)
    assert [features.shape for features in seen.feature_maps] == [(16, 8, 12), (32, 4, 6)]
    assert not network.net.trunk._forward_hooks


def test_two_channels_of_16_bits_are_seen_as_they_are(tmp_path, rng):
    spec = ImageSpec(channels=("actin", "nuclei"), value_range=(0, 65535), objects="bright")
    place = Place(tmp_path)
    pairs = [(one.load_image(), one.load_label_map()) for one in place.train]
    deep = [((65535 - image[..., :2].astype(np.uint16) * 257), label_map) for image, label_map in pairs]
    train = Samples(tuple(sample(index, "train", spec, pair) for index, pair in enumerate(deep[:5])))
    val = Samples(tuple(sample(index, "val", spec, pair) for index, pair in enumerate(deep[5:], start=5)))
    recipe = place.network(2, 2, train=train, val=val)
    network = place.store.make(recipe)
    assert isinstance(recipe, FcnScoreNetwork)
    assert network.objects == "bright"
    assert view(network, deep[0][0], spec).probability.shape == deep[0][1].shape
