"""Folds by patient: whatever a fold makes or learns from descends from its training patients alone."""

import pytest
from volume_samples import write_scans

from rbc_lightning.app import compose
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.errors import InputError
from rbc_lightning.pairs.synthetic_set import SyntheticSet
from rbc_lightning.usage import CONF_DIR

FOLDS = 5  # of p1, p2 (two scans), p4, p5 and p6
# Cells of smears alone.
SOURCES = sorted({path.stem for path in (CONF_DIR / "pairs").glob("*.yaml")} - {"copy_paste"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_scans(tmp_path_factory.mktemp("scans") / "scans")


def of_fold(folder, fold, *overrides):
    place = [f"data.root={folder}", f"artifacts_dir={folder.parent / 'artifacts'}", f"runs_dir={folder.parent / 'runs'}"]
    size = ["data.side=40", "data.spacing=null", f"data.folds={FOLDS}", f"data.fold={fold}"]
    return Experiment(compose(["scale=tiny", "data=mri", *place, *size, "mix=rd_sd_aug", *overrides]))


@pytest.mark.parametrize("pairs", SOURCES)
def test_no_held_out_patient_is_in_any_lineage_of_any_fold(folder, pairs):
    tested = []
    for fold in range(FOLDS):
        experiment = of_fold(folder, fold, f"pairs={pairs}")
        recipe, manifest = experiment.run(), experiment.manifest
        group_of = {sample.sample_id: sample.group for sample in manifest.samples}
        train = {sample.group for sample in manifest.split("train")}
        held_out = {sample.group for sample in manifest.samples if sample.split != "train"}
        assert not train & held_out
        assert isinstance(recipe.synthetic, SyntheticSet)
        descent = recipe.synthetic.pairs.trained_on(experiment.store)
        assert {group_of[ancestor.sample_id] for ancestor in descent} == train
        # Of everything upstream, the GAN among it, as well.
        for node in recipe.walk():
            for sample in getattr(node, "samples", ()):
                assert sample.group in train
        tested.append({sample.group for sample in manifest.split("test")})
    # Every patient once.
    assert sorted(group for groups in tested for group in groups) == ["p1", "p2", "p4", "p5", "p6"]


def test_pairs_of_another_fold_are_refused(folder):
    other = of_fold(folder, 1).manifest
    source = of_fold(folder, 0).pairs()
    with pytest.raises(InputError, match="test"):
        source.refuse_held_out(of_fold(folder, 0).store, other)


def test_patients_are_counted_within_a_fold(folder):
    experiment = of_fold(folder, 0, "data.n_real_patients=1")
    assert len({sample.group for sample in experiment.manifest.split("train")}) == 1
