"""The recipe of a pix2pixHD: what its key depends on, what it refuses, and the whole of it on images of any channels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pix2pixhd_helpers import TINY, TRAINER, make_samples
from translator_helpers import Highest

from rbc_lightning.core.build import build
from rbc_lightning.core.seeds import derive_seed
from rbc_lightning.core.store import Store
from rbc_lightning.data.spec import RGB, ImageSpec
from rbc_lightning.errors import InputError
from rbc_lightning.translators.given import GivenTranslator
from rbc_lightning.translators.pix2pixhd.translator import Pix2PixHDTranslator

TASK = {"_target_": "rbc_lightning.translators.pix2pixhd.task.Pix2PixHDTask", **TINY}
STAGE2 = {"crop": 32, "batch_size": 1, "n_epochs": 1, "n_epochs_decay": 0, "n_epochs_fix_global": 0, "n_blocks_local": 1}
TRAIN = make_samples()
FLUORESCENCE = ImageSpec(channels=("nucleus", "membrane"), value_range=(0, 4095), objects="bright")


def make_recipe(task=None, stage2=None, train=TRAIN, seed=0, trainer=TRAINER, tracking=None, chooser=None, **options):
    spec = {
        "_target_": "rbc_lightning.translators.pix2pixhd.recipe.Pix2PixHDRecipe",
        "_recursive_": False,
        "stages": 1,
        "shrink": 2,
        "crop": 32,
        "task": TASK | (task or {}),
        "stage2": STAGE2 | (stage2 or {}),
        **options,
    }
    return build(spec, "translator", train=train, seed=seed, trainer=trainer, tracking=tracking, chooser=chooser)


SAME = {
    "name": {"name": "pix2pixhd_wide"},
    "tracking": {"tracking": object()},
    "loader processes": {"trainer": replace(TRAINER, num_workers=2)},
    "compile": {"task": {"compile": True}},
    "memory": {"task": {"checkpoint_activations": True}},
    "a default written out": {"task": {"beta1": 0.5}},
    "a weight of a term that is off": {"task": {"lambda_perceptual": 3}},
    "chooser without a choice": {"chooser": Highest("a")},
}
OTHER = {
    "seed": {"seed": 1},
    "samples": {"train": make_samples(2)},
    "precision": {"trainer": replace(TRAINER, precision="bf16-mixed")},
    "crop": {"crop": 48},
    "whole images": {"crop": None},
    "batch": {"batch_size": 2},
    "clusters": {"n_clusters": 3},
    "surface": {"surface": False},
    "candidates": {"candidates": 1},
    "width": {"task": {"base_channels": 6}},
    "epochs": {"task": {"n_epochs": 2}},
    "rounding": {"task": {"channels_last": True}},
    "choice": {"choose": "quality", "chooser": Highest("a")},
    "another chooser": {"choose": "quality", "chooser": Highest("b")},
    "stages": {"stages": 2},
}
OF_STAGE_2 = {
    "shrink": {"shrink": 3},
    "crop": {"stage2": {"crop": 40}},
    "batch": {"stage2": {"batch_size": 2}},
    "epochs": {"stage2": {"n_epochs": 2}},
    "blocks": {"stage2": {"n_blocks_local": 2}},
}


@pytest.mark.parametrize("stages", [1, 2])
@pytest.mark.parametrize("change", SAME)
def test_what_decides_nothing_makes_no_other_key(change, stages):
    assert make_recipe(stages=stages, **SAME[change]).key == make_recipe(stages=stages).key


def test_what_decides_makes_another_key():
    keys = [make_recipe().key, *(make_recipe(**change).key for change in OTHER.values())]
    assert len(set(keys)) == len(keys)


def test_settings_of_the_second_stage_decide_with_two_stages_only():
    one, two = ([make_recipe(stages=n, **change).key for change in ({}, *OF_STAGE_2.values())] for n in (1, 2))
    assert len(set(one)) == 1
    assert len(set(two)) == len(two)


def test_weights_of_the_perceptual_term_count_by_content(tmp_path):
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    first, copy, other = (make_recipe({"perceptual": str(tmp_path / name)}).key for name in "abc")
    assert first == copy != other
    assert make_recipe({"perceptual": "imagenet"}).key not in (first, make_recipe().key)


def test_phases_and_their_batches():
    (gan,) = make_recipe(candidates=2).phases()
    assert (gan.kind, gan.candidates, gan.gan.task.get("shrink")) == ("gan_stage1", 2, None)
    recipe = make_recipe(stages=2, candidates=2, stage2={"batch_size": 3})
    first, second = recipe.phases()
    assert (first.kind, first.candidates, first.gan.task["shrink"]) == ("gan_stage1", 0, 2)
    assert (second.kind, second.candidates, second.inputs()["first"]) == ("gan_stage2", 2, first)
    assert recipe.batch_sizes() == {"translator.batch_size": 1, "translator.stage2.batch_size": 3}
    assert make_recipe().batch_sizes() == {"translator.batch_size": 1}
    assert [*recipe.inputs()] == ["train", "gan_stage1", "gan_stage2"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stages": 3}, r"translator\.stages=3; expected one of 1, 2"),
        ({"batch_size": 0}, r"translator\.batch_size=0; expected a whole number of at least 1"),
        ({"crop": 31}, r"translator\.crop=31; expected a whole number of at least 32"),
        ({"n_clusters": 0}, r"translator\.n_clusters=0; expected a whole number of at least 1"),
        ({"candidates": True}, r"translator\.candidates=True; expected a whole number of at least 0"),
        ({"choose": "best"}, r"translator\.choose=best; expected one of last, quality, validation"),
        ({"stage2": {"crop": 1.5}}, r"translator\.stage2\.crop=1\.5; expected a whole number of at least 32"),
        ({"stage2": {"batch_size": -1}}, r"translator\.stage2\.batch_size=-1; expected a whole number of at least 1"),
        ({"n_cluster": 3}, r"translator\.n_cluster=3 is no setting of Pix2PixHDRecipe; it has .*n_clusters"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_read(options, message):
    with pytest.raises(InputError, match=message):
        make_recipe(**options)


@pytest.mark.parametrize(("spec", "stages"), [(RGB, 1), (FLUORESCENCE, 2), (ImageSpec(channels=("grey",)), 1)])
def test_images_of_any_channels_from_training_to_sheets(tmp_path, spec, stages):
    store = Store(tmp_path, announce=lambda line: None)
    task = {"style": "modulated", "diff_augment": "color,translation,cutout", "pool_size": 2, "ema_decay": 0.5}
    recipe = make_recipe(task, train=make_samples(spec=spec), stages=stages, name="pix2pixhd_wide", n_clusters=2)
    translator = store.make(recipe)
    assert isinstance(translator, Pix2PixHDTranslator)
    assert translator.order_seed == derive_seed(0, "synthetic")
    assert translator.settings.image_channels == spec.n_channels
    samples = make_samples(2, spec, "test").samples
    label_map = samples[0].load_label_map()
    image = translator.paint(label_map, 0)
    assert (image.shape, image.dtype) == ((64, 64, spec.n_channels), spec.dtype)
    # Mean colours stand in the styles: even an untrained generator gets what is bright and what is dark right.
    brighter = image[label_map > 0].mean() > image[label_map == 0].mean()
    assert brighter == (spec.objects == "bright")
    sheets = translator.sheets(samples, tmp_path, 0)
    assert [path.name for path in sheets] == ["translations.png", "styles.png"]
    directory = recipe.directory(store)
    given = GivenTranslator(path=directory, train=recipe.train, seed=0, trainer=TRAINER)
    assert np.array_equal(store.make(given).paint(label_map, 0), image)


def test_all_checkpoints_are_scored_and_one_is_taken(tmp_path):
    class Scorer:
        def score(self, translator):
            return -float(sum(weight.abs().sum() for weight in translator.generator.state_dict().values()))

    class Smallest(Highest):
        def open(self, store):
            return Scorer()

    store = Store(tmp_path, announce=lambda line: None)
    recipe = make_recipe({"n_epochs": 3}, candidates=1, choose="quality", chooser=Smallest("smallest"))
    directory = recipe.directory(store)
    weights = torch.load(directory / "generator.pt", weights_only=True)["generator"]
    checkpoints = Path(store.path(recipe.phases()[0]), "checkpoints")
    stored = [
        torch.load(path, weights_only=True)["state_dict"]
        for path in (*(checkpoints / "candidates").iterdir(), checkpoints / "last.ckpt")
    ]
    assert len(stored) == 2
    sizes = [sum(float(content[f"generator.{name}"].abs().sum()) for name in weights) for content in stored]
    best = stored[int(np.argmin(sizes))]
    assert all(torch.equal(weight, best[f"generator.{name}"]) for name, weight in weights.items())
