"""From Hydra's configurations to the jobs of a sweep."""

import pytest
from omegaconf import OmegaConf

from rbc_lightning.commands import multirun
from rbc_lightning.commands.multirun import SweepCallback, in_group, take_planned
from rbc_lightning.sweeps.log import close_sweep


def master(directory, **more):
    """What Hydra's hook gets at the beginning of a multirun, as far as it matters."""
    hydra = {
        "sweep": {"dir": str(directory)},
        "overrides": {"task": ["+sweep=table2"], "hydra": []},
        "sweeper": {"params": {"seed": "0,1,2"}},
        "runtime": {"choices": {"hydra/launcher": "joblib"}},
        "launcher": {"_target_": "joblib"},
    }
    return OmegaConf.create({"sweep_name": "table2", "stage": "train", "runs_dir": "runs", "hydra": hydra, **more})


@pytest.fixture
def begun(tmp_path):
    SweepCallback().on_multirun_start(master(tmp_path / "sweep"))
    yield tmp_path / "sweep"
    close_sweep()


def test_a_job_joins_the_group_of_its_sweep(begun):
    job = OmegaConf.create({"sweep_name": "table2", "logger": {"group": None}})
    assert in_group(job, begun).logger.group.startswith("table2-")
    assert job.logger.group is None
    # One that has no record has the name alone.
    assert in_group(job, begun / "elsewhere").logger.group == "table2"


@pytest.mark.parametrize("logger", [{"group": "mine"}, {}])
def test_a_group_of_the_users_own_stays_and_a_csv_logger_needs_none(begun, logger):
    job = OmegaConf.create({"sweep_name": "table2", "logger": logger})
    assert in_group(job, begun) == job


def test_a_plan_gathers_its_jobs_in_this_process_whatever_the_launcher(tmp_path):
    config = master(tmp_path / "sweep", stage="plan")
    SweepCallback().on_multirun_start(config)
    assert config.hydra.launcher._target_.endswith("BasicLauncher")
    assert config.hydra.sweep.dir == "runs/plans/table2"
    assert not (tmp_path / "sweep").exists()


def test_planned_jobs_are_taken_once():
    multirun._planned.jobs["seed=0"] = OmegaConf.create({})
    assert list(take_planned().jobs) == ["seed=0"]
    assert not take_planned().jobs


def test_a_sweep_whose_name_names_no_directory_ends_before_anything_is_written(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        SweepCallback().on_multirun_start(master(tmp_path / "sweep", sweep_name="lab/2024"))
    assert capsys.readouterr().err.startswith("error: sweep_name=lab/2024; expected letters")
    assert not (tmp_path / "sweep").exists()
