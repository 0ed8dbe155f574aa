"""Which settings decide a run, and which do not: the table that replaces hand-kept lists."""

import json

import pytest

from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.pairs.synthetic_set import synthetic_samples
from rbc_lightning.runs.labels import RunLabels


@pytest.fixture(scope="module")
def recipe_of(tmp_path_factory, compose_tiny):
    directory = tmp_path_factory.mktemp("recipes")

    def build(*overrides):
        column = "" if any("experiment" in override for override in overrides) else "+experiment=rd_sd_aug"
        return Experiment(compose_tiny(directory, *filter(None, [column, *overrides]))).run()

    return build


BASE = ()
ADHESION = ("sampler=adhesion",)
CHOSEN = ("translator.choose=quality", "translator.candidates=1")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (BASE, ("seed=1",)),
        (BASE, ("protocol=paper",)),
        (BASE, ("training.steps=2",)),
        (BASE, ("training.ema_decay=0.9",)),
        (BASE, ("model.net.width=0.125",)),
        (BASE, ("model.task.threshold=0.7",)),
        (BASE, ("model.task.optimizer.lr=1e-3",)),
        (BASE, ("mix.total=10",)),
        (BASE, ("augment=flips",)),
        (BASE, ("synthetic.mode=online",)),
        (BASE, ("synthetic.style=per_cell",)),
        (BASE, ("sampler.generations=2",)),
        (BASE, ("translator.task.base_channels=8",)),
        (BASE, ("translator.n_clusters=5",)),
        (BASE, ("translator.stages=2",)),
        (BASE, ("translator=pix2pix",)),
        (BASE, ("masks=real",)),
        (BASE, ("trainer.precision=32-true", "trainer=ddp_cpu", "translator.batch_size=2")),
        (("translator.stages=2",), ("translator.stages=2", "translator.stage2.n_epochs=3")),
        # Two FCN-score networks choose two translators, perhaps.
        (CHOSEN, (*CHOSEN, "fcn_score.net.width=0.125")),
        (CHOSEN, (*CHOSEN, "fcn_score.task.optimizer.lr=1e-4")),
        (CHOSEN, (*CHOSEN, "translator.quality.images=2")),
    ],
)
def test_what_decides_makes_another_run(recipe_of, first, second):
    assert recipe_of(*first).key != recipe_of(*second).key


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (BASE, ("trainer.num_workers=2", "trainer.progress_bar=true")),
        (BASE, ("logger=wandb",)),
        (BASE, ("synthetic.count=7", "report.gallery=3", "predict.score=0.1")),
        (BASE, ("translator.name=pix2pixhd_wide", "model.name=mine", "data.name=elsewhere")),
        (BASE, ("translator.stage2.n_epochs=9", "translator.shrink=3")),
        (BASE, ("translator.task.compile=true",)),
        (BASE, ("translator.quality.steps=2", "translator.quality.images=5", "fcn_score.net.width=0.125")),
        (BASE, ("fit=true",)),
        (ADHESION, (*ADHESION, "sampler.generations=3", "sampler.population=8")),
        # No samples of a kind: its settings decide nothing.
        (("+experiment=rd",), ("+experiment=rd", "augment=strong", "translator=pix2pix", "sampler=uniform", "masks=real")),
        (("+experiment=rd_aug",), ("+experiment=rd_aug", "synthetic.style=per_cell")),
    ],
)
def test_what_decides_nothing_makes_no_other_run(recipe_of, first, second):
    assert recipe_of(*first).key == recipe_of(*second).key


def test_parts_know_neither_seed_nor_data(recipe_of):
    first, second = recipe_of(), recipe_of("seed=1")
    assert first.parts() == second.parts()
    assert first.parts()["synthetic"]["pairs"]["translator"]["name"] == "pix2pixhd"
    assert recipe_of("+experiment=rd").parts()["synthetic"] is None


@pytest.mark.parametrize("augment", ["paper", "strong", "copy_paste"])
def test_parts_can_be_written_as_they_are(recipe_of, augment):
    parts = recipe_of(f"augment={augment}").parts()
    assert json.loads(json.dumps(parts)) == parts


def test_a_run_knows_the_formats_of_everything_upstream(recipe_of):
    formats = recipe_of().formats()
    assert {"train", "synthetic", "pairs", "masks", "shape_bank", "layout_fit", "translator", "gan_stage1"} <= set(formats)
    assert all(isinstance(number, int) for number in formats.values())


def test_no_synthetic_samples_need_nothing():
    assert synthetic_samples(None, None, None) == ((), None)
    assert RunLabels().command == ()
