"""Pix2Pix on masks of several classes: their colours, S2's sizes, training and use."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from head_slices import SLICES, slice_samples
from pix2pix_helpers import pix2pix_recipe

from rbc_lightning.core.build import build
from rbc_lightning.core.store import Store
from rbc_lightning.core.trainer import TrainerSettings
from rbc_lightning.data.spec import ImageSpec
from rbc_lightning.errors import InputError
from rbc_lightning.evaluation.held_out_loss import LossChooser
from rbc_lightning.translators.pix2pix.generator import condition_channels, mask_channels, mask_planes
from rbc_lightning.translators.pix2pix.task import ModeSeekingPix2PixTask
from rbc_lightning.usage import CONF_DIR

WHOLE = SLICES.with_context()
PLAIN = {"structure": False, "conditional": True, "lambda_mode_seeking": 0}
S2 = {
    **PLAIN,
    "kernel_size": 4,
    "dropout": 0.3,
    "n_dropout": None,
    "first_dropout": 0,
    "discriminator": "patch",
    "discriminator_strides": (2, 2, 2, 2, 2, 1),
    "discriminator_padding": "same",
}


def test_every_class_has_a_corner_of_the_colour_cube():
    spec = replace(WHOLE, classes=tuple("abcdefg"))
    planes = mask_planes(torch.arange(8).reshape(1, 2, 4), spec)
    colours = planes[0].flatten(1).T.tolist()
    assert colours[:5] == [[-1, -1, -1], [1, -1, -1], [-1, 1, -1], [1, 1, -1], [-1, -1, 1]]
    assert len(set(map(tuple, colours))) == 8
    assert set(planes.unique().tolist()) == {-1, 1}


def test_a_mask_of_cells_stays_one_plane():
    cells = torch.tensor([[[0, 1], [7, 900]]])
    assert mask_channels(ImageSpec()) == 1
    assert condition_channels(cells, None, None).tolist() == [[[[-1, 1], [1, 1]]]]


def test_more_classes_than_the_cube_has_corners_have_further_planes():
    many = replace(WHOLE, classes=tuple("abcdefgh"), context=())
    planes = mask_planes(torch.arange(9).view(1, 3, 3), many)
    assert planes.shape == (1, mask_channels(many), 3, 3) == (1, 4, 3, 3)
    few = mask_planes(torch.arange(6).view(1, 2, 3), replace(many, classes=tuple("abcdefg")))
    assert torch.equal(planes[:, :3, :2], few)
    assert len(planes.flatten(2)[0].T.unique(dim=0)) == 9


def test_unknown_values_are_refused():
    with pytest.raises(ValueError, match="holds the value 4; expected 0 to 3: lesion, ventricles, brain"):
        mask_planes(torch.full((1, 2, 2), 4), WHOLE)


def test_a_class_has_the_colour_of_one_that_it_is_told_as():
    label_map = torch.tensor([[[0, 1], [2, 3]]])
    planes = mask_planes(label_map, WHOLE, {"lesion": "brain"})
    assert torch.equal(planes, mask_planes(torch.tensor([[[0, 3], [2, 3]]]), WHOLE))


def test_networks_learn_and_paint_classes_that_are_alike_without_a_mark(tmp_path):
    train, alike = slice_samples(4).with_context(), {"lesion": "brain"}
    recipe = pix2pix_recipe(train, task={**PLAIN, "dropout": 0, "n_epochs": 1, "size": 48, "alike": alike})
    store = Store(tmp_path, str)
    translator = store.make(recipe)
    label_map = train.samples[0].load_label_map()
    assert (label_map == 1).any()
    for painter in (translator, recipe.load(recipe.directory(store), store)):
        np.testing.assert_array_equal(painter.paint(label_map, 0), painter.paint(np.where(label_map == 1, 3, label_map), 0))
    told = pix2pix_recipe(train, task={**PLAIN, "dropout": 0, "n_epochs": 1, "size": 48})
    assert told.key != recipe.key
    # Keys of before this setting stay.
    assert told.key == pix2pix_recipe(train, task={**PLAIN, "dropout": 0, "n_epochs": 1, "size": 48, "alike": {}}).key
    assert "alike" not in str(told.phases()[0].settings())
    # Before anything is made.
    with pytest.raises(InputError, match=r"translator.task.alike names 'wmh'; expected .*: lesion, ventricles, brain"):
        pix2pix_recipe(train, task={**PLAIN, "alike": {"lesion": "brain", "wmh": "brain"}})


@pytest.mark.parametrize("alike", [{"lesion": "bright"}, {"bright": "lesion"}])
def test_alike_names_classes_that_there_are(alike):
    image = {"channels": WHOLE.channels, "value_range": WHOLE.value_range, "labels": "classes", "classes": WHOLE.classes}
    with pytest.raises(ValueError, match="alike names 'bright'; expected classes of the label maps: lesion, ventricles, brain"):
        ModeSeekingPix2PixTask(size=48, n_downsample=4, image=image, alike=alike, **PLAIN)
    with pytest.raises(ValueError, match="expected classes of the label maps: none here"):
        ModeSeekingPix2PixTask(size=48, n_downsample=4, alike=alike, **PLAIN)


def test_the_sizes_of_novoselov_and_smirnov():
    image = {"channels": ("a", "b", "c"), "value_range": (0, 4095), "labels": "classes", "classes": ("x", "y", "z")}
    with torch.device("meta"):
        task = ModeSeekingPix2PixTask(size=256, image=image, **S2)
    sizes = [sum(weight.numel() for weight in net.parameters()) for net in (task.generator, task.discriminator)]
    assert sizes == [54_419_459, 6_965_441]


def test_the_configuration_has_the_settings_of_the_paper():
    def read(name):
        values = yaml.safe_load((CONF_DIR / "translator" / f"{name}.yaml").read_text())
        below = [entry for entry in values.pop("defaults", []) if entry != "_self_"]
        parent = read(below[0]) if below else {}
        return {**parent, **values, "task": {**parent.get("task", {}), **values.get("task", {})}}

    task = read("pix2pix_novoselov")["task"]
    assert {key: task[key] for key in S2 if key != "discriminator_strides"} == {
        key: value for key, value in S2.items() if key != "discriminator_strides"
    }
    assert (tuple(task["discriminator_strides"]), task["lambda_l1"]) == (S2["discriminator_strides"], 100)
    assert float(task["learning_rate"]) == 1e-4


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    train, store = slice_samples(4).with_context(), Store(tmp_path_factory.mktemp("slices"), str)
    chooser = LossChooser(val=slice_samples(2, "val", 4).with_context(), style="per_image", seed=0)
    recipe = pix2pix_recipe(
        train, chooser=chooser, choose="validation", candidates=1, task={**PLAIN, "dropout": 0.3, "n_epochs": 2, "size": 48}
    )
    return recipe, store, store.make(recipe)


def test_images_of_two_channels_are_painted_from_classes(trained):
    recipe, _, translator = trained
    label_map = recipe.train.samples[0].load_label_map()
    assert label_map.max() == 3
    image = translator.paint(label_map, 0)
    assert (image.shape, image.dtype) == ((48, 48, 2), np.uint16)
    # Dropout stays on: two seeds differ, and one gives the same image again.
    np.testing.assert_array_equal(image, translator.paint(label_map, 0))
    assert np.any(image != translator.paint(label_map, 1))
    # Each class has a say.
    assert np.any(image != translator.paint(np.where(label_map == 2, 3, label_map), 0))
    assert translator.spec.classes == ("lesion", "ventricles", "brain")


def test_the_checkpoint_is_chosen_by_validation_patients_alone(trained):
    recipe, store, translator = trained
    assert recipe.chooser.chosen_on == slice_samples(2, "val", 4).ancestors
    scores = (recipe.directory(store) / "checkpoints.json").read_text()
    assert '"last"' in scores
    score = recipe.chooser.score(translator)
    assert -2 < score < 0
    assert score == recipe.chooser.score(translator)


def test_a_translator_of_other_classes_is_refused(trained):
    recipe, store, _ = trained
    other = slice_samples(4, spec=replace(SLICES, context=("ventricles", "skull"))).with_context()
    with pytest.raises(InputError, match=r"of the classes lesion, ventricles, brain, where .* lesion, ventricles, skull"):
        replace(recipe, train=other).load(recipe.directory(store), store)


def test_structure_maps_and_styles_of_cells_are_refused():
    train = slice_samples(4).with_context()
    with pytest.raises(InputError, match=r"structure maps of single cells.*take translator=pix2pix_novoselov"):
        pix2pix_recipe(train)
    spec = yaml.safe_load((CONF_DIR / "translator" / "pix2pixhd.yaml").read_text())
    plain = {"_target_": spec["_target_"], "_recursive_": False, "name": "pix2pixhd", "stages": 1, "shrink": 2, "crop": 32}
    with pytest.raises(InputError, match=r"translator=pix2pixhd learns styles of single cells.*translator=pix2pix_novoselov"):
        build({**plain, "task": {}, "stage2": {}}, "translator", train=train, seed=0, trainer=TrainerSettings())
