"""The command line that gives a run again: with the settings that decide it, and no others."""

import pytest

from rbc_lightning.app import compose
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.commands.overrides import overrides_of


@pytest.mark.parametrize(
    ("overrides", "shown"),
    [
        ((), ["scale=tiny"]),
        (("scale.large=12", "scale.steps=8"), ["scale=tiny", "scale.large=12", "scale.steps=8"]),
        (("data.validation_fraction=0.4",), ["scale=tiny", "data.validation_fraction=0.4"]),
        (("model=dcan", "training.crop=null"), ["scale=tiny", "model=dcan", "training.crop=null"]),
        (("sampler=adhesion", "sampler.n_init=7"), ["scale=tiny", "sampler=adhesion", "sampler.n_init=7"]),
        (("translator=pix2pix", "protocol=paper"), ["scale=tiny", "translator=pix2pix", "protocol=paper"]),
        (("augment=flips",), ["scale=tiny", "augment=flips"]),
        (("model.task.cell_size=21.5", "masks=real"), ["scale=tiny", "masks=real", "model.task.cell_size=21.5"]),
        (("translator.task.diff_augment='color,cutout'",), ["scale=tiny", "translator.task.diff_augment='color,cutout'"]),
        (("training.seed=0", "synthetic.seed=1"), ["scale=tiny", "training.seed=0"]),
        (("data.folds=3", "data.fold=1"), ["scale=tiny", "data.folds=3", "data.fold=1"]),
        (("data.split_seed=5", "masks=real"), ["scale=tiny", "masks=real", "data.split_seed=5"]),
        (("~augment.transforms.grayscale",), ["scale=tiny", "~augment.transforms.grayscale.p"]),
    ],
)
def test_a_command_names_what_decides_and_gives_the_same_run(tmp_path, compose_tiny, tiny_folder, overrides, shown):
    first = Experiment(compose_tiny(tmp_path, *overrides, "mix=rd_sd_aug", "seed=1"))
    assert list(first.command) == ["data=folder", "data.name=folder", f"data.root={tiny_folder}", *shown]
    if any("~" in part for part in shown):
        return
    places = (f"artifacts_dir={tmp_path}/artifacts", f"runs_dir={tmp_path}/runs")
    again = Experiment(compose([*first.command, "mix=rd_sd_aug", "seed=1", *places]))
    assert again.run().key == first.run().key


def test_a_data_set_from_elsewhere_keeps_the_short_command():
    assert overrides_of(compose(["scale=tiny"]), ("data=mine",)) == ("data=mine", "scale=tiny")
    assert overrides_of(compose(["masks.seed=2"]), ("data=mine",)) == ("data=mine", "masks.seed=2")
    assert overrides_of(compose(["scale=tiny"]), ("data=mine", "data.root=a (1)")) == (
        "data=mine",
        "data.root='a (1)'",
        "scale=tiny",
    )


def test_a_range_of_values_is_said_once_and_stays_a_list():
    cfg = compose(["data=folder", "data.name=deep", "data.root=deep", "data.value_range=[0,4095]"])
    given = Experiment(cfg).command
    assert given == ("data=folder", "data.name=deep", "data.root=deep", "data.value_range=[0,4095]")
    assert compose([*given]).data.value_range == [0, 4095]


def test_a_table_of_classes_is_said_whole(tmp_path):
    choices = ("data=mri", f"data.root={tmp_path}")
    cfg = compose([*choices, "data.classes={1: core, 2: null, 4: enhancing}", "data.targets=null"])
    given = Experiment(cfg).command
    assert given == (
        *("data=mri", "data.name=mri", f"data.root={tmp_path}"),
        *("data.targets=null", "data.classes={1:core,2:null,4:enhancing}"),
    )
    assert compose([*given]).data.classes == cfg.data.classes == {1: "core", 2: None, 4: "enhancing"}


def test_the_default_needs_no_word_but_the_data():
    assert Experiment(compose()).command == ("data=phantom",)
    assert Experiment(compose(["data.n_train=9"])).command == ("data=phantom", "data.n_train=9")
    assert Experiment(compose(["seed=3"])).command == ("data=phantom",)
