"""`logger=wandb`: settings, what a run is filed under, and that its package is asked for when it is used."""

import os
import subprocess
import sys

import pytest
import wandb
from wandb_records import history_of, of_type, read_back, recordings

from rbc_lightning.core.build import build
from rbc_lightning.errors import InputError
from rbc_lightning.tracking.wandb_tracking import WandbTracking

pytestmark = pytest.mark.usefixtures("no_login")


def make(tmp_path, **settings):
    spec = {"_target_": "rbc_lightning.tracking.wandb_tracking.WandbTracking", **settings}
    return build(spec, "logger", config={"seed": 3, "mix": {"real": 4}}, runs_dir=tmp_path)


def test_a_run_is_filed_under_the_configuration_and_the_facts(tmp_path):
    tracking = make(tmp_path, project="mine", group="table2-a")
    directory = tmp_path / "key.partial"
    loggers = tracking.open(directory, job="train", tags=["rd", "fcn8s"], facts={"entry": "fcn8s RD"})
    tracking.show(loggers, "the summary", lambda run: run.summary.update({"test/dice": 0.5}))
    tracking.close(loggers)
    (path,) = recordings(directory)
    (run,) = of_type(read_back(path), "run")
    assert (run["project"], run["run_group"], run["job_type"], run["tags"]) == ("mine", "table2-a", "train", ["rd", "fcn8s"])
    # The store renames the directory when it is whole.
    assert run["display_name"] == "key"
    recorded = run["config"]["update"]
    assert (recorded["seed"], recorded["mix"], recorded["entry"]) == (3, {"real": 4}, "fcn8s RD")


def test_it_compares_by_its_own_settings(tmp_path):
    assert WandbTracking({"seed": 0}, tmp_path) == WandbTracking({"seed": 1}) != WandbTracking(project="mine")


def test_two_runs_of_one_process_share_nothing(tmp_path):
    tracking = make(tmp_path)
    first, second = (tracking.open(tmp_path / name, job="train", tags=[]) for name in ("first", "second"))
    first[-1].log_metrics({"val/dice": 0.25}, step=1)
    second[-1].log_metrics({"val/dice": 0.75}, step=2)
    for loggers in (first, second):
        tracking.close(loggers)
    parts = [read_back(recordings(tmp_path / name)[0]) for name in ("first", "second")]
    assert [history_of(part, "val/dice") for part in parts] == [[(1, 0.25)], [(2, 0.75)]]
    assert len({of_type(part, "run")[0]["run_id"] for part in parts}) == 2
    assert wandb.run is None
    assert not [name for name in os.environ if name.startswith("WANDB_") and name != "WANDB_SERVICE"]


def test_what_is_made_without_a_training_goes_on_with_its_run(tmp_path):
    tracking = make(tmp_path)
    for value in (1, 2):
        tracking.show_once(tmp_path / "made", job="translator", tags=[], action=lambda run, v=value: run.log({"v": v}))
    ids = {of_type(read_back(path), "run")[0]["run_id"] for path in recordings(tmp_path / "made")}
    assert len(ids) == 1


def test_a_disabled_logger_leaves_nothing_but_the_curves(tmp_path):
    assert len(make(tmp_path, mode="disabled").open(tmp_path / "run", job="train", tags=[])) == 1
    assert not (tmp_path / "run" / "wandb").exists()


def test_an_unknown_mode_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"logger\.mode=on; expected one of auto, online, offline, disabled"):
        make(tmp_path, mode="on")


def test_a_missing_package_is_named_before_anything_begins(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(InputError, match=r"logger=wandb needs the package wandb: install it .*, or take logger=csv"):
        WandbTracking()


def test_neither_wandb_nor_lightning_is_imported_before_a_training_begins():
    code = (
        "import sys, rbc_lightning.tracking.wandb_tracking as w; w.WandbTracking(); "
        "sys.exit(bool({'wandb', 'pytorch_lightning'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
