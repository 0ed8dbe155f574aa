"""What the jobs of the sweeps in conf/sweep are, and what launchers are asked for."""

import itertools
import os

import hydra
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode

from rbc_lightning.app import CONF_DIR, compose
from rbc_lightning.core.seeds import Seeds
from rbc_lightning.data.mix import Mix

# pytest's own filters come after the one that the package sets.
pytestmark = pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/")


def whole_config(*overrides):
    with hydra.initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return hydra.compose("config", overrides=list(overrides), return_hydra_config=True)


def jobs_of(sweep):
    """The configurations of a sweep for seed 0."""
    params = dict(whole_config(f"+sweep={sweep}").hydra.sweeper.params)
    assert params.pop("seed") == "0,1,2"
    parsed = OverridesParser.create().parse_overrides([f"{key}={values}" for key, values in params.items()])
    choices = [[f"{o.key_or_group}={value}" for value in o.sweep_string_iterator()] for o in parsed]
    return [compose([f"+sweep={sweep}", *overrides]) for overrides in itertools.product(*choices)]


def test_table2_has_each_column_of_each_model():
    jobs = [(cfg.model.name, Mix.resolve(16, **cfg.mix).column) for cfg in jobs_of("table2")]
    columns = ("rd", "sd", "rd_aug", "rd_sd", "rd_sd_aug")
    assert sorted(jobs) == sorted(itertools.product(("fcn8s", "faster_rcnn", "dcan"), columns))


def test_ratio_goes_from_augmented_to_synthetic_within_one_total():
    mixes = [Mix.resolve(16, **cfg.mix) for cfg in jobs_of("ratio")]
    assert {(mix.total, mix.real) for mix in mixes} == {(160, 16)}
    assert [mix.synthetic for mix in mixes] == [0, 36, 72, 108, 144]
    assert (mixes[0].column, mixes[-1].column) == ("rd_aug", "rd_sd")


def test_real_images_varies_their_number_in_three_columns():
    jobs = jobs_of("real_images")
    assert {cfg.data.n_real_images for cfg in jobs} == {5, 10, 20, 40, None}
    assert {Mix.resolve(16, **cfg.mix).column for cfg in jobs} == {"rd", "rd_aug", "rd_sd_aug"}
    assert len(jobs) == 15


def test_real_patients_varies_their_number_in_three_columns():
    jobs = jobs_of("real_patients")
    assert {cfg.data.n_real_patients for cfg in jobs} == {1, 2, 3, 6, None}
    assert {Mix.resolve(16, **cfg.mix).column for cfg in jobs} == {"rd", "rd_aug", "rd_sd_aug"}


def test_leave_one_out_asks_for_all_folds_of_five_columns():
    params = dict(whole_config("+sweep=leave_one_out").hydra.sweeper.params)
    assert params == {"data.fold": "all", "mix": "rd,sd,rd_aug,rd_sd,rd_sd_aug", "seed": "0"}


def test_luck_crosses_training_and_translator_on_one_split():
    params = dict(whole_config("+sweep=luck").hydra.sweeper.params)
    assert params == {"translator.seed": "0,1,2", "training.seed": "0,1,2", "seed": "0"}
    cfg = compose(["+sweep=luck", "translator.seed=2", "training.seed=1", "seed=4"])
    assert Mix.resolve(16, **cfg.mix).column == "rd_sd_aug"
    assert Seeds.of(cfg) == Seeds(base=4, split=4, masks=4, translator=2, synthetic=4, training=1)
    assert Mix.resolve(16, **compose(["+sweep=luck", "mix=rd_sd"]).mix).column == "rd_sd"


@pytest.mark.parametrize("sweep", ["table2", "ratio", "real_images", "real_patients", "leave_one_out", "luck"])
def test_a_sweep_needs_no_flag_and_names_its_record(sweep):
    cfg = whole_config(f"+sweep={sweep}", "runs_dir=elsewhere")
    assert cfg.hydra.mode == RunMode.MULTIRUN
    assert cfg.hydra.sweep.dir.startswith(f"elsewhere/sweeps/{sweep}_20")


@pytest.mark.parametrize("launcher", ["basic", "joblib", "submitit_local", "submitit_slurm"])
def test_a_launcher_composes(launcher):
    settings = whole_config(f"hydra/launcher={launcher}", "sweep_name=mine").hydra.launcher
    assert settings._target_.endswith(launcher.split("_")[-1].capitalize() + "Launcher") or launcher in ("basic", "joblib")
    if launcher.startswith("submitit"):
        assert "/sweeps/mine_20" in settings.submitit_folder


def test_the_cluster_is_asked_for_what_the_configuration_says(tmp_path, monkeypatch):
    """The batch script that Hydra's launcher would submit, without a cluster."""
    submitit = pytest.importorskip("submitit", reason="an optional package")
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


@pytest.mark.parametrize(("scale", "total"), [("demo", 300), ("paper", 300), ("tiny", 40)])
def test_novoselov_has_thirty_slices_and_three_ways_to_three_hundred(scale, total):
    jobs = [compose([*overrides, f"scale={scale}", "data.root=scans"]) for overrides in NOVOSELOV]
    mixes = [Mix.resolve(30, **cfg.mix) for cfg in jobs]
    assert [mix.column for mix in mixes] == ["rd", "rd_aug", "rd_sd", "rd_sd_aug"]
    assert [mix.total for mix in mixes] == [30, total, total, total]
    for cfg in jobs:
        assert (cfg.data.name, cfg.data.slices_per_patient) == ("mri", 5)
        assert cfg.scale.large_per_real is None
    assert len({(cfg.training.steps, cfg.training.batch_size, cfg.training.epochs) for cfg in jobs}) == 1


NOVOSELOV = [["+sweep=novoselov", f"mix={mix}"] for mix in ("rd", "rd_aug", "rd_sd", "rd_sd_aug")]


def test_a_data_set_of_scans_chooses_what_suits_it_and_the_command_line_wins():
    cfg = compose(["+experiment=rd_sd_aug", "data=mri", "data.root=scans"])
    chosen = (cfg.masks._target_.rpartition(".")[2], cfg.translator.name, cfg.floor.name, "affine" in cfg.augment.transforms)
    assert chosen == ("RealMasks", "pix2pix_slices", "global_threshold", True)
    own = ["masks=folder", "translator=pix2pix", "floor=none", "augment=none"]
    cfg = compose(["data=mri", "data.root=scans", *own])
    chosen = (cfg.masks._target_.rpartition(".")[2], cfg.translator.name, cfg.floor.name, cfg.augment.transforms)
    assert chosen == ("FolderOfMasks", "pix2pix", None, {})
