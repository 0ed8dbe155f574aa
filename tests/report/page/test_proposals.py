"""Sweeps proposed for runs written by hand."""

from pathlib import Path

import pytest
import yaml
from run_records import changed, write_run

from rbc_lightning.report.page.proposals import PATIENTS, SWEPT, proposal
from rbc_lightning.study.collect import collect_runs
from rbc_lightning.usage import CONF_DIR

DATA = ["data=folder", "scale=tiny"]
REAL, RATIO = "gain against the number of real images: ", "gain against the share of synthetic samples: "
COMMAND = "python -m rbc_lightning +sweep={} data=folder scale=tiny"


@pytest.fixture
def runs(tmp_path):
    def write(*n_real, **record):
        for seed, count in enumerate(n_real):
            mix = {"real": count, "synthetic": 0, "augmented": 0}
            write_run(tmp_path, f"rd{seed}", "rd", seed, command=DATA, mix=mix, **record)
        return collect_runs(tmp_path).runs

    return write


def test_the_numbers_are_those_of_the_sweep():
    sweep = yaml.safe_load((Path(CONF_DIR) / "sweep" / "real_images.yaml").read_text())
    assert sweep["hydra"]["sweeper"]["params"]["data.n_real_images"] == ",".join([*map(str, SWEPT), "null"])
    sweep = yaml.safe_load((Path(CONF_DIR) / "sweep" / "real_patients.yaml").read_text())
    assert sweep["hydra"]["sweeper"]["params"]["data.n_real_patients"] == ",".join([*map(str, PATIENTS), "null"])


@pytest.mark.parametrize(("n_train", "told"), [(7, ""), (6, " data.n_real_patients=1,2,3,null"), (1, None)])
def test_no_more_patients_are_proposed_than_every_run_has(runs, n_train, told):
    by_image = {"nothing_mean_dice": {"x": 0.0, "y": 0.0}}
    found = proposal("real_patients", runs(30, by_image=by_image, groups={"train": n_train, "val": 1}))
    expected = None if told is None else f"gain against the number of patients: {COMMAND.format('real_patients')}{told}"
    assert found == expected


@pytest.mark.parametrize(
    ("n_real", "numbers"),
    [
        ((60, 40), ""),
        ((60, 39), " data.n_real_images=5,10,20,null"),
        ((20,), " data.n_real_images=5,10,null"),
        ((5,), " data.n_real_images=2,null"),
        ((2,), " data.n_real_images=1,null"),
    ],
)
def test_no_more_real_images_are_proposed_than_every_run_has(runs, n_real, numbers):
    found = runs(*n_real)
    assert proposal("real_images", found) == REAL + COMMAND.format("real_images") + numbers
    assert proposal("ratio", found) == RATIO + COMMAND.format("ratio")


def test_with_one_real_image_there_is_nothing_to_vary(runs):
    assert proposal("real_images", runs(1)) is None


def test_of_groups_of_images_numbers_that_they_add_up_to_are_asked_for(runs, tmp_path):
    (run,) = runs(60)
    run.groups.update({"x": "p", "y": "p"})
    assert str(proposal("real_images", [run])).endswith("scale=tiny   # with numbers that whole groups of images add up to")


@pytest.mark.parametrize(
    ("per_patient", "told"),
    [
        (
            None,
            "patients are kept or left out whole, whose numbers of slices differ; with data.slices_per_patient=5",
        ),
        (5, "python -m rbc_lightning +sweep=real_images data=folder scale=tiny data.n_real_images=5,10,20,null"),
        (3, "python -m rbc_lightning +sweep=real_images data=folder scale=tiny data.n_real_images=3,6,12,24,null"),
    ],
)
def test_of_scans_numbers_are_those_of_whole_patients(runs, per_patient, told):
    settings, by_image = changed(data__slices_per_patient=per_patient), {"nothing_mean_dice": {"x": 0.0, "y": 0.0}}
    assert str(proposal("real_images", runs(30, settings=settings, by_image=by_image))).startswith(REAL + told)
