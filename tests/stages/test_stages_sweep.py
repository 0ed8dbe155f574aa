"""Sweeps: what their cells are, that no cell can stop the others, and that an interrupted one goes on."""

import itertools
import multiprocessing
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import hydra
import pytest
import submitit
from filelock import FileLock, Timeout
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import OmegaConf
from sweep_helpers import eventually, finished, is_gone, sweep
from training_helpers import read_rows

from rbc_lightning.app import CONF_DIR, compose, main, run
from rbc_lightning.data.mix import Mix
from rbc_lightning.errors import InputError
from rbc_lightning.stages import cell
from rbc_lightning.stages.cell import run_apart
from rbc_lightning.stages.sweep import _first_free, visible_devices

# pytest's own filters come after the one that the package sets.
pytestmark = pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/")

# --- what the cells are


def whole_config(*overrides):
    with hydra.initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return hydra.compose("config", overrides=list(overrides), return_hydra_config=True)


def cells_of(sweep):
    """The configurations of a sweep for seed 0."""
    params = dict(whole_config(f"+sweep={sweep}").hydra.sweeper.params)
    assert params.pop("seed") == "0,1,2"
    parsed = OverridesParser.create().parse_overrides([f"{key}={values}" for key, values in params.items()])
    choices = [[f"{o.key_or_group}={value}" for value in o.sweep_string_iterator()] for o in parsed]
    return [compose([f"+sweep={sweep}", *overrides]) for overrides in itertools.product(*choices)]


def test_table2_has_each_column_of_each_model():
    cells = [(cfg.model.name, Mix.resolve(16, **cfg.mix).column) for cfg in cells_of("table2")]
    columns = ("rd", "sd", "rd_aug", "rd_sd", "rd_sd_aug")
    assert sorted(cells) == sorted(itertools.product(("fcn8s", "faster_rcnn", "dcan"), columns))


def test_ratio_goes_from_augmented_to_synthetic_within_one_total():
    mixes = [Mix.resolve(16, **cfg.mix) for cfg in cells_of("ratio")]
    assert {(mix.total, mix.real) for mix in mixes} == {(160, 16)}
    assert [mix.synthetic for mix in mixes] == [0, 36, 72, 108, 144]
    assert (mixes[0].column, mixes[-1].column) == ("rd_aug", "rd_sd")


def test_real_images_varies_their_number_in_three_columns():
    cells = cells_of("real_images")
    assert {cfg.data.n_real_images for cfg in cells} == {5, 10, 20, 40, None}
    assert {Mix.resolve(16, **cfg.mix).column for cfg in cells} == {"rd", "rd_aug", "rd_sd_aug"}
    assert len(cells) == 15


@pytest.mark.parametrize("sweep", ["table2", "ratio", "real_images"])
def test_a_sweep_needs_no_flag_and_names_its_record(sweep):
    cfg = whole_config(f"+sweep={sweep}", "runs_dir=elsewhere")
    assert cfg.hydra.mode == RunMode.MULTIRUN
    assert cfg.hydra.sweep.dir.startswith(f"elsewhere/sweeps/{sweep}_20")


# --- fewer real images


def test_everything_upstream_sees_the_chosen_real_images_alone(tmp_path, compose_tiny):
    everything = run(compose_tiny(tmp_path, "stage=synthesize", "synthetic.count=1"))
    fewer = run(compose_tiny(tmp_path, "stage=synthesize", "synthetic.count=1", "data.n_real_images=2"))
    sources = [read_rows(result.manifest)[0]["trained_on"].split(";") for result in (everything, fewer)]
    assert [len(names) for names in sources] == [4, 2]
    assert set(sources[1]) < set(sources[0])
    for kind in ("shape_bank", "gan_stage1", "translator", "synthetic"):
        assert len([path for path in (tmp_path / "artifacts" / kind).iterdir() if path.is_dir()]) == 2


def test_things_made_elsewhere_are_refused_where_real_images_are_counted(tmp_path, compose_tiny):
    for key in ("translator", "synthetic"):
        with pytest.raises(InputError, match=rf"data.n_real_images=2 with {key}.path=given, which may have seen more"):
            run(compose_tiny(tmp_path, "data.n_real_images=2", f"{key}.path=given"))


# --- one cell, apart


@dataclass
class Made:
    directory: Path
    reused: bool = False

    def summary(self):
        return f"made in {self.directory}"


def succeed(cfg):
    print("on its way")
    return Made(Path(cfg.where), cfg.again)


def fall(cfg):
    if cfg.how == "input":
        raise InputError("data.root=nowhere;\n expected a folder")
    if cfg.how == "bug":
        raise RuntimeError("no such thing")
    if cfg.how == "exit":
        os._exit(3)
    os.kill(os.getpid(), signal.SIGKILL)


def tell_device(cfg):
    return Made(Path(os.environ["CUDA_VISIBLE_DEVICES"]))


def test_a_cell_tells_what_it_made(tmp_path):
    log = tmp_path / "cells" / "cell.log"
    outcomes = [run_apart(succeed, OmegaConf.create({"where": "there", "again": again}), log=log) for again in (False, True)]
    assert [(outcome.status, outcome.directory) for outcome in outcomes] == [("finished", "there"), ("skipped", "there")]
    assert log.read_text() == "on its way\nmade in there\n" * 2


@pytest.mark.parametrize(
    ("how", "message", "logged"),
    [
        ("input", "data.root=nowhere; expected a folder", "error: data.root=nowhere; expected a folder\n"),
        ("bug", "RuntimeError: no such thing", "Traceback"),
        ("exit", "its process ended without a word: it ended with status 3", ""),
        ("kill", "its process ended without a word: killed by signal SIGKILL (is there enough memory?)", ""),
    ],
)
def test_whatever_befalls_a_cell_is_one_line_here(how, message, logged, tmp_path):
    log = tmp_path / "cell.log"
    outcome = run_apart(fall, OmegaConf.create({"how": how}), log=log)
    assert (outcome.status, outcome.message) == ("failed", message)
    assert logged in log.read_text()


def test_a_cell_has_its_own_device():
    assert run_apart(tell_device, OmegaConf.create({}), cuda_devices="5").directory == "5"
    assert os.environ.get("CUDA_VISIBLE_DEVICES") != "5"


def wait_for_long(cfg):
    Path(cfg.pid).write_text(str(os.getpid()))
    time.sleep(120)


def supervise(pid_file):
    # It does not train: without the imports of one that does.
    cell._IMPORTED_ONCE.clear()
    run_apart(wait_for_long, OmegaConf.create({"pid": str(pid_file)}))


def test_a_cell_ends_with_the_process_that_waits_for_it(tmp_path):
    pid_file = tmp_path / "pid"
    supervisor = multiprocessing.get_context("spawn").Process(target=supervise, args=(pid_file,))
    supervisor.start()
    assert eventually(lambda: pid_file.is_file() and pid_file.read_text())
    supervisor.kill()
    assert eventually(lambda: is_gone(pid_file.read_text()), seconds=10)


# --- places


def hold(directory, places, held):
    with _first_free(directory, places) as place:
        held.put((place, os.getpid()))
        time.sleep(120)


def test_each_cell_has_a_place_to_itself_and_a_dead_ones_is_free(tmp_path):
    context = multiprocessing.get_context("fork")
    held = context.Queue()
    holders = [context.Process(target=hold, args=(tmp_path, ["0", "1"], held)) for _ in range(2)]
    for holder in holders:
        holder.start()
    pid_of = dict(held.get(timeout=20) for _ in holders)
    assert set(pid_of) == {"0", "1"}
    killed = next(place for place, pid in pid_of.items() if pid == holders[0].pid)
    holders[0].kill()
    holders[0].join()
    # Only one of the two can be had, that of the killed one.
    with _first_free(tmp_path, ["0", "1"]) as place:
        assert place == killed
        for path in tmp_path.glob("*.lock"):
            with pytest.raises(Timeout):
                FileLock(path, timeout=0).acquire()
    holders[1].kill()
    holders[1].join()


def test_devices_are_those_that_the_process_may_see(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 5")
    assert visible_devices() == ["3", "5"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_devices() == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: One (UUID: a)'\necho 'GPU 1: Two (UUID: b)'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert visible_devices() == ["0", "1"]


# --- launchers


@pytest.mark.parametrize("launcher", ["basic", "joblib", "submitit_local", "submitit_slurm"])
def test_a_launcher_composes(launcher):
    settings = whole_config(f"hydra/launcher={launcher}", "sweep_name=mine").hydra.launcher
    assert settings._target_.endswith(launcher.split("_")[-1].capitalize() + "Launcher") or launcher in ("basic", "joblib")
    if launcher.startswith("submitit"):
        assert "/sweeps/mine_20" in settings.submitit_folder


def test_the_cluster_is_asked_for_what_the_configuration_says(tmp_path, monkeypatch):
    """The batch script that Hydra's launcher would submit, without a cluster."""
    (tmp_path / "srun").write_text("#!/bin/sh\n")
    (tmp_path / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    overrides = ("partition=gpu", "gpus_per_node=2", "timeout_min=90", "array_parallelism=7", "signal_delay_s=60")
    cfg = whole_config("hydra/launcher=submitit_slurm", *(f"hydra.launcher.{override}" for override in overrides))
    cfg.hydra.launcher.submitit_folder = str(tmp_path)
    cfg.hydra.launcher.name = "sweep"
    scripts = []

    def submit(self, *arguments):
        scripts.append(self._executor._make_submission_file_text("run", "0"))
        return []

    monkeypatch.setattr(submitit.AutoExecutor, "map_array", submit)
    launcher = hydra.utils.instantiate(cfg.hydra.launcher)
    cfg.hydra.sweep.dir = str(tmp_path)
    launcher.config = cfg
    launcher.launch([["seed=0"], ["seed=1"]], 0)
    for line in ("partition=gpu", "gpus-per-node=2", "time=90", "signal=USR2@60", "requeue", "open-mode=append"):
        assert f"#SBATCH --{line}\n" in scripts[0]


# --- whole sweeps


def test_one_bad_cell_is_told_and_the_others_are_finished_once(tmp_path, monkeypatch, capfd, tiny_folder):
    monkeypatch.setattr(sys, "argv", ["rbc_lightning"])
    folder = ("data=folder", f"data.root={tiny_folder}")
    arguments = sweep(tmp_path, "model=fcn8s", "mix=rd,rd_aug", "seed=0", "training.crop=64,1", *folder)
    assert main(arguments) == 1
    done = finished(tmp_path)
    assert [name.rsplit("_", 1)[0] for name in sorted(done)] == ["folder_rd_aug_fcn8s_seed0", "folder_rd_fcn8s_seed0"]
    out, err = capfd.readouterr()
    assert "Sweep of 4 cells: 2 finished, 2 failed; recorded in " in out
    lines = [line for line in err.splitlines() if line.startswith("error: cell ")]
    assert len(lines) == 2
    assert "mix=rd seed=0" in lines[1]
    assert "training.crop=1; expected a whole number of at least 32" in lines[1]
    assert main(arguments) == 1
    assert finished(tmp_path) == done
    assert "Sweep of 4 cells: 2 finished earlier, 2 failed" in capfd.readouterr().out
