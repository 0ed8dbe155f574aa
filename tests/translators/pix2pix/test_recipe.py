"""The recipe of a Pix2Pix: what its keys depend on, what it refuses, and its training from samples to translator."""

import json
from dataclasses import dataclass, replace
from typing import ClassVar

import hydra
import pytest
import torch
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from pix2pix_helpers import TWO_16, make_manifest, make_train, pair_of, pix2pix_recipe
from training_helpers import Killed, assert_same, count_steps, die_at, weights

from rbc_lightning.core.build import build
from rbc_lightning.core.recipe import Node, aside
from rbc_lightning.core.store import Store
from rbc_lightning.core.trainer import TrainerSettings
from rbc_lightning.data.lineage import Ancestor, to_rows
from rbc_lightning.errors import InputError
from rbc_lightning.translators.pix2pix.task import ModeSeekingPix2PixTask
from rbc_lightning.usage import CONF_DIR

EXACT = TrainerSettings(precision="32-true", progress_bar=False)
FILES = ("structure_generator.pt", "translator.json", "trained_on.json")


@dataclass(frozen=True)
class Sharpest(Node):
    """Prefers the candidate whose first image varies most."""

    kind: ClassVar[str] = "chooser"
    name: str
    chosen_on: tuple[Ancestor, ...] = aside((Ancestor("s4", "4", "4"),))

    def open(self, store):
        return self

    def score(self, translator):
        return float(translator.paint(pair_of(9)[1], 0).std())


# --- keys


SAME = {
    "name": {"name": "pix2pix_wide"},
    "loader processes": {"trainer": replace(EXACT, num_workers=2)},
    "no augmentation": {"augment": {}},
    "epochs of all there are": {"epoch_size": 100},
    "a default written out": {"task": {"beta1": 0.5}},
    "threshold without structure maps": {"task": {"structure": False, "structure_method": "li"}},
    "strides of another discriminator": {"task": {"discriminator_strides": [2, 1]}},
    "padding of another discriminator": {"task": {"discriminator_padding": "same"}},
    "chooser without a choice": {"chooser": Sharpest("a")},
}
OTHER = {
    "seed": {"seed": 1},
    "samples": {"train": make_train(n=3)},
    "precision": {"trainer": replace(EXACT, precision="bf16-mixed")},
    "batch": {"batch_size": 2},
    "candidates": {"candidates": 1},
    "noise": {"noise": False},
    "short epochs": {"epoch_size": 1},
    "augmentation": {"augment": {"affine": {"p": 1}, "elastic": {"p": 1}}},
    "augmentation in another order": {"augment": {"elastic": {"p": 1}, "affine": {"p": 1}}},
    "width": {"task": {"base_channels": 6}},
    "epochs": {"task": {"n_epochs": 2}},
    "threshold": {"task": {"structure_method": "li"}},
    "term": {"task": {"lambda_mode_seeking": 0}},
    "kind of image": {"train": make_train(TWO_16)},
    "choice": {"choose": "quality", "chooser": Sharpest("a")},
    "another chooser": {"choose": "quality", "chooser": Sharpest("b")},
}


def recipe_of(change):
    return pix2pix_recipe(**{"trainer": EXACT, **change})


@pytest.mark.parametrize("change", SAME)
def test_what_has_no_effect_makes_no_other_key(change):
    without = {"task": {"structure": False}} if change == "threshold without structure maps" else {}
    assert recipe_of(SAME[change]).key == recipe_of(without).key


def test_what_has_an_effect_makes_another_key():
    keys = [recipe_of(change).key for change in ({}, *OTHER.values())]
    assert len(set(keys)) == len(keys)


def test_one_training_serves_translators_that_differ_beside_it():
    first, *others = (recipe_of(change).phases()[0].key for change in ({}, OTHER["noise"], OTHER["choice"], SAME["name"]))
    assert {first} == set(others)


def test_everything_upstream_is_known_before_it_is_made():
    recipe = recipe_of({"task": {"n_epochs_decay": 2}, "batch_size": 2})
    assert [node.kind for node in recipe.walk()] == ["samples", "pix2pix", "shape_bank", "structure_bank", "translator"]
    assert recipe_of({"task": {"structure": False}}).formats() == {"samples": 1, "pix2pix": 2, "translator": 3}
    (phase,) = recipe.phases()
    work = phase.work()
    # Three epochs of two steps.
    assert (work.units, work.unit) == (6, "steps")
    assert work.about == recipe_of({"batch_size": 2, "seed": 3}).phases()[0].work().about
    assert recipe.batch_sizes() == {"translator.batch_size": 2}


# --- bad settings


BAD = [
    ({"structure_method": "ostu"}, r"translator\.task: a structure threshold must be one of otsu, .*got 'ostu'"),
    ({"structure_method": 999}, r"translator\.task: .* a grey level from 0 to 255, got 999"),
    ({"structure_method": 0}, r"memory/s0: no structure threshold: 0 gives grey level 0, which leaves"),
    ({"size": 36}, r"size must be a multiple of 8 pixels with n_downsample=3, got 36: take 32"),
    ({"kernel_size": 4}, r"translator\.task: kernel_size must be odd, got 4"),
    ({"second": "latent"}, r'latent_channels must be at least 1 with second="latent"'),
    ({"sise": 3}, r"translator\.task\.sise=3 is no setting of ModeSeekingPix2PixTask; it has size, "),
]


@pytest.mark.parametrize(("task", "message"), BAD, ids=[str(task) for task, _ in BAD])
def test_a_bad_setting_is_one_line_before_anything_is_trained(tmp_path, task, message):
    with pytest.raises(InputError, match=message) as error:
        Store(tmp_path, str).make(pix2pix_recipe(task=task))
    assert "\n" not in str(error.value)
    assert not [path for path in tmp_path.glob("*/*") if path.suffix != ".lock"]


def test_settings_of_the_recipe_are_checked_when_it_is_made():
    with pytest.raises(InputError, match=r"translator\.batch_size=0; expected a whole number of at least 1"):
        pix2pix_recipe(batch_size=0)
    with pytest.raises(InputError, match="Unknown augmentation 'afine'; known are"):
        pix2pix_recipe(augment={"afine": {}})
    with pytest.raises(InputError, match=r"translator\.noize=True is no setting of Pix2PixRecipe"):
        pix2pix_recipe(noize=True)


# --- training


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("pix2pix"), str)
    recipe = recipe_of({"task": {"n_epochs_decay": 1}})
    store.ensure(recipe)
    return store, recipe


def test_a_training_leaves_a_translator(made):
    store, recipe = made
    assert sorted(path.name for path in store.path(recipe).iterdir()) == sorted((*FILES, "lineage.json"))
    assert json.loads((store.path(recipe) / "trained_on.json").read_text()) == to_rows(make_train().ancestors)
    assert recipe.trained_on(store) == make_train().ancestors
    last = store.path(recipe.phases()[0]) / "checkpoints" / "last.ckpt"
    stored = weights(last)
    translator = store.make(recipe)
    for name, tensor in translator.generator.state_dict().items():
        assert torch.equal(tensor, stored[f"generator.{name}"])
    # Each image takes two samples, yet an epoch has as many images as there are samples: two of four, two optimisers.
    assert torch.load(last, weights_only=True)["global_step"] == 16
    assert len(translator.bank) == len(store.make(recipe.structures)) > 0
    assert store.make(recipe.phases()[0]).hparams["n_epochs_decay"] == 1


def test_short_epochs_take_as_many_steps_and_show_every_image(tmp_path, monkeypatch):
    seen = []
    losses = ModeSeekingPix2PixTask.losses
    monkeypatch.setattr(
        ModeSeekingPix2PixTask,
        "losses",
        lambda task, batch, *rest: seen.extend(batch["sample_id"]) or losses(task, batch, *rest),
    )
    recipe = pix2pix_recipe(trainer=EXACT, epoch_size=1, task={"n_epochs": 4, "structure": False, "lambda_mode_seeking": 0})
    (phase,) = recipe.phases()
    assert (phase.steps, phase.work().units) == (4, 4)
    Store(tmp_path).make(phase)
    assert len(seen) == 4
    assert len(set(seen)) == min(4, len(recipe.train))


def test_a_killed_training_goes_on_and_ends_as_an_undisturbed_one(made, tmp_path, monkeypatch):
    whole, recipe = made
    store, (phase,) = Store(tmp_path, str), recipe.phases()
    with monkeypatch.context() as patch:
        die_at(ModeSeekingPix2PixTask, patch, 6)
        with pytest.raises(Killed):
            store.ensure(recipe)
    partial = store.path(phase).with_suffix(".partial")
    assert not store.path(recipe).exists()
    # An epoch has four steps.
    assert phase.done_units(partial) == 4
    steps = count_steps(ModeSeekingPix2PixTask, monkeypatch)
    store.ensure(recipe)
    assert len(steps) == 4
    ours, theirs = (torch.load(one.path(phase) / "checkpoints" / "last.ckpt", weights_only=True) for one in (store, whole))
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "global_step"):
        assert_same(ours[part], theirs[part])
    assert any(state["exp_avg"].any() for state in ours["optimizer_states"][0]["state"].values())
    assert_same(*(torch.load(one.path(recipe) / FILES[0], weights_only=True) for one in (store, whole)))


def test_two_processes_share_a_training(tmp_path):
    forked = replace(EXACT, devices=2, strategy="ddp_fork")
    store, recipe = Store(tmp_path, str), pix2pix_recipe(trainer=forked, batch_size=2)
    store.ensure(recipe.phases()[0])
    last = store.path(recipe.phases()[0]) / "checkpoints" / "last.ckpt"
    # An epoch of four images in batches of two, a pair for each process; two optimisers.
    assert torch.load(last, weights_only=True)["global_step"] == 4


def test_a_chosen_checkpoint_is_the_one_with_the_best_score(tmp_path):
    store = Store(tmp_path, str)
    choice = {"choose": "quality", "chooser": Sharpest("a"), "candidates": 1}
    recipe = pix2pix_recipe(trainer=EXACT, task={"n_epochs": 4}, **choice)
    directory = store.ensure(recipe)
    scores = json.loads((directory / "checkpoints.json").read_text())
    assert len(scores) == 2
    best, checkpoints = max(scores, key=scores.get), store.path(recipe.phases()[0]) / "checkpoints"
    stored = weights(checkpoints / "last.ckpt" if best == "last" else checkpoints / "candidates" / f"{best}.ckpt")
    generator = torch.load(directory / FILES[0], weights_only=True)["generator"]
    assert all(torch.equal(value, stored[f"generator.{name}"]) for name, value in generator.items())
    assert json.loads((directory / "chosen_on.json").read_text()) == {"val": [["s4", "4", "4"]]}


def test_other_kinds_of_images_are_learned_too(tmp_path):
    store, recipe = Store(tmp_path, str), recipe_of({"train": make_train(TWO_16)})
    image = store.make(recipe).paint(pair_of(9)[1], 0)
    assert (image.shape, str(image.dtype)) == ((64, 80, 2), "uint16")


def test_a_preview_is_drawn_where_structure_maps_are_used(tmp_path):
    path = tmp_path / "structures.png"
    assert recipe_of({"task": {"structure": False}}).preview(make_manifest(), path) is None
    assert not path.exists()
    assert recipe_of({}).preview(make_manifest(), path) == path
    assert path.is_file()


# --- configuration


def compose(*overrides):
    with hydra.initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return hydra.compose("config", overrides=list(overrides), return_hydra_config=True)


@pytest.mark.parametrize("name", ["mode_seeking_pix2pix", "pix2pix", "pix2pix_novoselov"])
@pytest.mark.parametrize("scale", ["demo", "paper", "tiny"])
def test_every_choice_of_the_group_builds_a_recipe(name, scale):
    values = compose(f"translator={name}", f"scale={scale}").translator
    spec = {key: values[key] for key in values if key not in ("path", "quality", "sizes")}
    recipe = build(_plain(spec), "translator", train=make_train(), seed=0, trainer=EXACT, tracking=None, chooser=None)
    assert recipe.name == name
    assert recipe.task["size"] == {"demo": 256, "paper": 256, "tiny": 64}[scale]
    assert recipe.task["base_channels"] == {"demo": 16, "paper": 64, "tiny": 4}[scale]
    if scale == "tiny":
        build(recipe.task, "translator.task")


def test_the_ablation_has_the_four_variants_of_the_paper():
    params = compose("+sweep=mode_seeking").hydra.sweeper.params
    overrides = OverridesParser.create().parse_overrides([f"{key}={value}" for key, value in params.items()])
    (jobs,) = BasicSweeper.split_arguments(overrides, None)
    cfgs = [compose("+sweep=mode_seeking", *job) for job in jobs]
    assert {(cfg.stage, cfg.plan.stage, cfg.seed) for cfg in cfgs} == {("translator", "translator", 0)}
    names = ["mode_seeking_pix2pix", "mode_seeking_without_term", "mode_seeking_without_structure", "mode_seeking_conditional"]
    assert [cfg.translator.name for cfg in cfgs] == names
    full, *others = [_plain(cfg.translator.task) for cfg in cfgs]
    assert (full["lambda_mode_seeking"], full["lambda_l1"], full["structure"], full["conditional"]) == (10, 10, True, False)
    differences = [{key: task[key] for key in full if task[key] != full[key]} for task in others]
    assert differences == [{"lambda_mode_seeking": 0}, {"structure": False}, {"conditional": True}]
    tasks = [build(_plain(cfg.translator.task), "task", base_channels=2, discriminator_channels=2) for cfg in cfgs]
    assert [task.samples_per_image for task in tasks] == [2, 1, 2, 2]
    assert [task.generator.in_channels for task in tasks] == [2, 2, 1, 2]


def _plain(values):
    from omegaconf import OmegaConf

    if isinstance(values, dict):
        return {key: _plain(value) for key, value in values.items()}
    return OmegaConf.to_container(values, resolve=True) if OmegaConf.is_config(values) else values
