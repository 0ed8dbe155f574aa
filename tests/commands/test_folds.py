"""A sweep over all folds: as many as are given, or one for each group."""

import pytest
from omegaconf import OmegaConf
from tiny_data import write_tiny_folder

from rbc_lightning.app import compose
from rbc_lightning.commands.folds import expand_folds
from rbc_lightning.errors import InputError


def multirun_of(*overrides, fold="all"):
    cfg = OmegaConf.to_container(compose(["scale=tiny", *overrides]))
    hydra = {"sweeper": {"params": {"data.fold": fold, "seed": "0"}}, "overrides": {"task": list(overrides)}}
    return OmegaConf.create({**cfg, "hydra": hydra})


def test_each_group_but_external_ones_is_a_fold():
    """Tiny: 3 subjects to train, 2 to test, 1 of another scanner; none is drawn to know that."""
    config = multirun_of("data=mri_phantom")
    expand_folds(config)
    assert dict(config.hydra.sweeper.params) == {"data.fold": "0,1,2,3,4", "data.folds": "5", "seed": "0"}


def test_given_folds_count():
    config = multirun_of("data=mri_phantom", "data.folds=3")
    expand_folds(config)
    assert dict(config.hydra.sweeper.params) == {"data.fold": "0,1,2", "data.folds": "3", "seed": "0"}


def test_other_sweeps_stay_as_they_are():
    config = multirun_of("data=mri_phantom", fold="0,1")
    expand_folds(config)
    assert config.hydra.sweeper.params["data.fold"] == "0,1"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("data=mri_phantom", "data.folds=1"), "data.folds=1; expected 2 folds or more"),
        (("data=mri_phantom", "data.folds=6"), r"data.folds=6 of 5 patients \(groups\) .*; expected at most 5"),
        (("data=mri",), "data.root has no value; expected a folder with scans"),
    ],
)
def test_what_has_no_folds_is_refused(overrides, message):
    with pytest.raises(InputError, match=message):
        expand_folds(multirun_of(*overrides))


def test_a_single_patient_is_no_fold(tmp_path):
    root = write_tiny_folder(tmp_path / "data", n_train=2, n_test=1, group_of=lambda _: "patient_1")
    with pytest.raises(InputError, match=r"^data.fold=all with 1 patients \(groups\) .* expected at least 2: add patients$"):
        expand_folds(multirun_of("data=folder", f"data.root={root}", f"artifacts_dir={tmp_path / 'artifacts'}"))
