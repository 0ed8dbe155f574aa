"""Plans: what would be made, how often, what it comes to, and that nothing is made of it."""

import csv
import json

import pytest
import torch

from rbc_lightning.app import main, run
from rbc_lightning.errors import InputError
from rbc_lightning.stages import plan as plan_stage
from rbc_lightning.stages.inputs import load_inputs
from rbc_lightning.stages.plan import plan_cells
from rbc_lightning.stages.planning.probes import Timing, time_artifact, time_training
from rbc_lightning.stages.planning.schedule import Place
from rbc_lightning.stages.planning.work import cell_work
from rbc_lightning.stages.segmenter import build_task, with_measured_sizes
from rbc_lightning.stages.sweep import take_planned

pytestmark = pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/")

MODELS = ("fcn8s", "faster_rcnn", "dcan")
COLUMNS = ("rd", "rd_aug", "sd", "rd_sd", "rd_sd_aug")
# Seconds as a probe would find them, chosen so that sums can be made by hand.
TRAINING = {"step": 2.0, "gap": 0.5, "val": 3.0, "test": 4.0, "epoch_end": 1.0, "build": 10.0, "checkpoint": 100, "warm": 1.0}
LOADING = {"decode": 0.1, "crop": 0.05, "augment": 0.2}
ARTIFACTS = {
    "shape_bank": {"unit": 1.0, "disk": 10},
    "gan_stage1": {"step": 5.0, "gap": 0.0, "epoch_end": 7.0, "prepare": 0.0, "disk": 1000},
    "gan_stage2": {"step": 50.0, "gap": 0.0, "epoch_end": 7.0, "prepare": 2.0, "disk": 2000},
    "translator": {"unit": 2.0, "disk": 20},
    "synthetic": {"unit": 6.0, "disk": 30},
}


@pytest.fixture
def timed(monkeypatch):
    """Given times instead of measured ones; the list of what was asked for."""
    asked = []

    def give(probe, cfg, *arguments, log, limits):
        kind = arguments[-1] if probe is time_artifact else probe.__name__
        asked.append((kind, cfg.model.name if probe is time_training else ""))
        values = {"time_training": TRAINING, "time_loading": LOADING, "time_layout_fit": {"unit": 0.5}} | ARTIFACTS
        return Timing({**values[kind], "memory": 1e9, "gpu_memory": 0.0})

    monkeypatch.setattr(plan_stage, "measure", give)
    return asked


@pytest.fixture
def cells(tmp_path, compose_tiny):
    """Five columns of one model with two seeds."""
    return {
        f"mix={mix} seed={seed}": compose_tiny(tmp_path, "stage=plan", f"mix={mix}", f"seed={seed}")
        for mix in COLUMNS
        for seed in (0, 1)
    }


def kinds(plan):
    return sorted(cost.work.kind for cost in plan.costs.values())


def seconds(plan, kind):
    return [cost.seconds for cost in plan.costs.values() if cost.work.kind == kind]


# --- what is made


def test_shared_things_count_once_for_each_seed_and_each_kind_of_step_is_timed_once(cells, timed, tmp_path):
    plan = plan_cells(cells, Place()).plan
    shared = ("gan_stage1", "layout_fit", "shape_bank", "synthetic", "translator")
    assert kinds(plan) == sorted([*["train"] * 10, *shared * 2])
    once = [("time_training", "fcn8s"), ("time_loading", ""), ("time_layout_fit", "")]
    assert sorted(timed) == sorted([*once, *((kind, "") for kind in ARTIFACTS if kind != "gan_stage2")])
    for cell in plan.cells[:4]:
        assert cell.upstream == (), "real images need no generator"
    # Four training images beside that of validation: 4 + 4, one pair for each of 4 in RD+SD.
    units = {cost.work.kind: cost.work.units for cost in plan.costs.values()}
    made = {"shape_bank": 4, "gan_stage1": 8, "translator": 4, "layout_fit": (1 * 4 + 1) * 4, "synthetic": 4}
    assert units == {"train": 4, **made}
    # Nothing but the plan is there.
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["plan.csv", "plan.json"]


def test_a_set_of_pairs_is_as_large_as_the_most_that_a_cell_asks_for(tmp_path, compose_tiny, timed):
    mixes = {f"{n}": compose_tiny(tmp_path, "stage=plan", "mix=rd_sd", f"mix.total={4 + n}") for n in (3, 9, 5)}
    plan = plan_cells(mixes, Place()).plan
    (pairs,) = [cost for cost in plan.costs.values() if cost.work.kind == "synthetic"]
    assert (pairs.work.units, pairs.seconds, pairs.disk) == (9, 9 * 6.0, 9 * 30)


def test_a_second_stage_is_trained_behind_the_first(tmp_path, compose_tiny, timed):
    stage2 = (f"translator.stage2.{key}=2" for key in ("n_epochs", "batch_size"))
    overrides = ("translator.stages=2", "translator.candidates=1", *stage2)
    plan = plan_cells({"one": compose_tiny(tmp_path, "stage=plan", *overrides)}, Place()).plan
    assert [work.kind for work in plan.cells[0].works] == [
        "shape_bank",
        "gan_stage1",
        "gan_stage2",
        "translator",
        "layout_fit",
        "synthetic",
        "train",
    ]
    second = next(cost for cost in plan.costs.values() if cost.work.kind == "gan_stage2")
    # 2 + 1 epochs of 4 images in pairs; the images are encoded first; a checkpoint is kept on the way.
    assert second.work.units == 3 * 2
    assert second.seconds == pytest.approx(6 * 50.0 + 3 * 7.0 + 4 * 2.0)
    assert second.disk == 2 * 2000


def test_what_is_finished_costs_nothing_and_is_not_timed(tmp_path, compose_tiny, timed):
    cfg = compose_tiny(tmp_path, "stage=plan", "mix=sd")
    before = plan_cells({"one": cfg}, Place()).plan
    gan = next(work for work in before.cells[0].upstream if work.kind == "gan_stage1")
    (tmp_path / "artifacts" / "gan_stage1" / gan.key).mkdir(parents=True)
    assert seconds(plan_cells({"one": cfg}, Place()).plan, "gan_stage1") == [0.0]
    finished = tmp_path / "runs" / before.cells[0].training.key
    finished.mkdir()
    (finished / "metrics.json").write_text("{}")
    timed.clear()
    result = plan_cells({"one": cfg}, Place())
    assert (result.plan.device_seconds, result.plan.wall_seconds, timed) == (0.0, 0.0, [])
    assert kinds(result.plan) == ["train"]
    cfg.rerun = True
    assert plan_cells({"one": cfg}, Place()).plan.device_seconds > 0


def test_an_interrupted_training_is_paid_for_from_where_it_stopped(tmp_path, compose_tiny):
    cfg = compose_tiny(tmp_path, "mix=rd_sd")
    inputs = load_inputs(cfg)
    fresh = cell_work("one", cfg, inputs)
    gan = next(work for work in fresh.upstream if work.kind == "gan_stage1")
    for directory in (tmp_path / "runs" / fresh.training.key, tmp_path / "artifacts" / "gan_stage1" / f"{gan.key}.partial"):
        (directory / "checkpoints").mkdir(parents=True)
        torch.save({"epoch": 0}, directory / "checkpoints" / "last.ckpt")
    begun = cell_work("one", cfg, inputs)
    # One of two epochs each: two steps of four, four of eight.
    assert (fresh.training.left, begun.training.left) == (4, 2)
    assert (gan.left, next(work for work in begun.upstream if work.kind == "gan_stage1").left) == (8, 4)


def test_keys_are_those_under_which_things_are_really_made(tmp_path, compose_tiny):
    cfg = compose_tiny(tmp_path, "mix=rd_sd", "sampler=adhesion")
    planned = cell_work("one", cfg, load_inputs(cfg))
    result = run(cfg)
    assert planned.training.key == result.directory.name
    again = cell_work("one", cfg, load_inputs(cfg))
    assert {work.kind for work in again.upstream} == {"shape_bank", "gan_stage1", "translator", "synthetic"}
    assert all(work.left == 0 for work in (*again.upstream, again.training))
    used = result.metrics["artifacts"]
    assert {work.kind: work.key for work in again.upstream} == {kind: used[kind] for kind in used if kind != "phantom"}
    made = {work.kind: work.key for work in planned.upstream}
    assert all(made[kind] == used[kind] for kind in ("shape_bank", "gan_stage1", "translator"))


# --- what it comes to


def test_the_seconds_of_a_cell_are_those_reckoned_by_hand(tmp_path, compose_tiny, timed):
    cfg = compose_tiny(tmp_path, "stage=plan", "mix=rd_sd_aug")
    plan = plan_cells({"one": cfg}, Place()).plan
    # 4 real, 2 synthetic, 2 augmented of 8, all kept in memory; a batch of 2 took 2 x (0.1 + 0.05) s of the gap to load.
    step = 2.0 - 0.3 + 2 * (0.05 + 2 / 8 * 0.2)
    # 4 steps, two epochs, one validation image, two test images.
    assert seconds(plan, "train") == [pytest.approx(4 * step + 2 * (1 * 3.0 + 1.0) + 2 * 4.0 + 10.0)]
    # 2 epochs of 4 images; 4 images; 20 masks; 2 pairs.
    assert seconds(plan, "gan_stage1") == [pytest.approx(8 * 5.0 + 2 * 7.0)]
    assert (*seconds(plan, "translator"), *seconds(plan, "layout_fit"), *seconds(plan, "synthetic")) == (8.0, 10.0, 12.0)
    assert plan.device_seconds == pytest.approx(4 * step + 26.0 + 54.0 + 30.0 + 4 * 1.0)
    assert plan.wall_seconds == pytest.approx(plan.device_seconds)


def test_pairs_made_on_the_fly_are_paid_for_in_every_step(tmp_path, compose_tiny, timed):
    plan = run(compose_tiny(tmp_path, "stage=plan", "mix=rd_sd", "synthetic.mode=online")).plan
    # Half of a batch of 2 is painted, crops of 64 x 64 of images of 96 x 128.
    assert [cost.unit_seconds for cost in plan.costs.values() if cost.work.kind == "train"] == [
        pytest.approx(2.0 - 0.3 + 2 * 0.05 + 2 * 0.5 * 6.0 / 3)
    ]


def test_a_choice_among_checkpoints_needs_a_judge_and_takes_its_time(tmp_path, compose_tiny, timed):
    overrides = ("translator.choose=quality", "translator.candidates=2", "training.steps=8")
    plan = run(compose_tiny(tmp_path, "stage=plan", "mix=sd", "translator.quality.steps=4", *overrides)).plan
    # No test, two epochs with one validation image.
    assert seconds(plan, "judge") == [pytest.approx(4 * (2.0 - 0.3 + 2 * 0.05) + 2 * (3.0 + 1.0) + 10.0)]
    # 4 images; for each of 3 checkpoints one held-out mask is painted 4 + 12 times, 4 of them and 2 real ones are looked at.
    assert seconds(plan, "translator") == [pytest.approx(4 * 2.0 + 2 * 4.0 + 3 * (16 * 6.0 + 4 * 4.0))]


# --- what is measured


@pytest.mark.slow
def test_every_model_is_timed_at_its_real_size(tmp_path, compose_tiny):
    cells = {model: compose_tiny(tmp_path, "stage=plan", "plan.steps=2", f"model={model}", "mix=rd") for model in MODELS}
    plan = plan_cells(cells, Place()).plan
    assert plan.problems == {}
    costs = [plan.costs[cell.training.key] for cell in plan.cells]
    assert [cost.timing.values["measured"] for cost in costs] == [2, 2, 2]
    for cost in costs:
        # Of a checkpoint: weights, their running mean, and two moments of each, in 32 bits.
        task = build_task(with_measured_sizes(cost.work.cfg, cost.work.inputs.manifest))
        weights = 4 * sum(parameter.numel() for parameter in task.parameters())
        assert 3.9 * weights < cost.timing.values["checkpoint"] < 4.5 * weights + 2**20
        assert 1e8 < cost.memory < 8e9
        assert cost.timing.values["step"] > cost.timing.values["gap"] > 0
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"plan.csv", "plan.json"}


@pytest.mark.slow
def test_all_upstream_is_timed_and_the_time_limit_holds(tmp_path, compose_tiny):
    cfg = compose_tiny(tmp_path, "stage=plan", "translator.stages=2", "mix=rd_sd", "plan.seconds=1e-6")
    plan = plan_cells({"one": cfg}, Place()).plan
    assert plan.problems == {}
    timings = {cost.work.kind: cost.timing.values for cost in plan.costs.values()}
    assert set(timings) == {"shape_bank", "gan_stage1", "gan_stage2", "translator", "layout_fit", "synthetic", "train"}
    for kind in ("train", "gan_stage1", "gan_stage2"):
        assert (timings[kind]["warm"], timings[kind]["measured"]) == (0.0, 1)
    assert not (tmp_path / "artifacts").exists()


# --- the command


def test_a_sweep_is_planned_whatever_its_launcher_and_nothing_is_run(tmp_path, monkeypatch, capsys, tiny_folder, timed):
    monkeypatch.setattr("sys.argv", ["rbc_lightning"])
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    places = (f"artifacts_dir={tmp_path}/artifacts", f"runs_dir={tmp_path}/runs")
    fewer = ("model=fcn8s,faster_rcnn", "mix=rd,rd_sd_aug", "seed=0,1", "scale=tiny")
    sweep = ("stage=plan", "+sweep=table2", *fewer, "data=folder", f"data.root={tiny_folder}", *places)
    assert main([*sweep, "hydra/launcher=submitit_slurm", "hydra.launcher.array_parallelism=7"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Plan of table2: 8 trainings" in out
    assert "faster_rcnn RD+SD+aug 4/2/2 2 of 2 4 1.9 34 s 67 s 1.0 GB" in out
    assert "GAN, stage 1 2 of 2 8 steps 5 54 s 2 min 1.0 GB" in out
    assert "with 7 cells at once (hydra/launcher=submitit_slurm)" in out
    assert "Plan on the kind of node that will do the work" in out
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert files == [f"runs/plans/table2/{name}" for name in ("multirun.yaml", "plan.csv", "plan.json")]
    directory = tmp_path / "runs" / "plans" / "table2"
    with (directory / "plan.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    totals = json.loads((directory / "plan.json").read_text())
    assert len(rows) == len(totals["works"]) == 8 + 2 * 5
    assert sum(float(row["seconds"]) for row in rows) == pytest.approx(totals["device_seconds"])
    assert (totals["cells"], totals["cells_at_once"], totals["memory_bytes"]) == (8, 7, pytest.approx(1e9, rel=0.01))
    assert not take_planned().cells
    # The same with two cells at once on this machine, in half the time where nothing is waited for.
    assert main([*sweep, "mix=rd", "model=fcn8s", "hydra/launcher=joblib"]) == 0
    totals = json.loads((directory / "plan.json").read_text())
    assert totals["wall_seconds"] == pytest.approx(totals["device_seconds"] / 2)


def test_a_bad_cell_is_told_and_the_others_are_planned(tmp_path, monkeypatch, capsys, tiny_folder, timed):
    monkeypatch.setattr("sys.argv", ["rbc_lightning"])
    places = (f"artifacts_dir={tmp_path}/artifacts", f"runs_dir={tmp_path}/runs", "data=folder", f"data.root={tiny_folder}")
    assert main(["-m", "stage=plan", "mix=rd", "scale=tiny", "training.crop=64,1", *places]) == 1
    out, err = capsys.readouterr()
    assert "Plan of multirun: 1 training" in out
    assert err == "error: cell stage=plan mix=rd scale=tiny training.crop=1 data=folder " + (
        f"data.root={tiny_folder}: training.crop=1; expected a whole number of at least 32\n"
    )


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("plan.steps=0", "plan.steps=0; expected a whole number of at least 1"),
        ("plan.seconds=-1", "plan.seconds=-1; expected a number above 0"),
        ("training.batch_size=0", "training.batch_size=0; expected a whole number of at least 1"),
        ("mix.total=2", "mix.total=2 with 4 samples already fixed"),
        ("trainer.accelerator=gpu", "trainer.accelerator=gpu, yet no CUDA device is at hand"),
    ],
)
def test_a_mistake_is_told_before_anything_is_timed(tmp_path, compose_tiny, timed, override, message, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(InputError, match=message):
        run(compose_tiny(tmp_path, "stage=plan", override))
    assert timed == []


def test_the_table_says_what_could_not_be_timed(tmp_path, compose_tiny, monkeypatch, capsys):
    def give(probe, cfg, *arguments, log, limits):
        if probe is time_artifact and arguments[-1] == "gan_stage1":
            return Timing(problem="does not fit into the memory of this machine (killed)")
        return Timing({**TRAINING, **LOADING, "unit": 1.0, "warm": 0.0, "memory": 2e9, "gpu_memory": 0.0})

    monkeypatch.setattr(plan_stage, "measure", give)
    plan = run(compose_tiny(tmp_path, "stage=plan", "mix=sd")).plan
    out = " ".join(capsys.readouterr().out.split())
    assert "GAN, stage 1 1 of 1 8 steps - does not fit - -" in out
    assert "In all without what could not be timed: " in out
    assert "* fcn8s: timed on its first step alone" in out
    # What is made from it was not tried; training on real images in their place was.
    assert set(plan.problems) == {"gan_stage1", "translator", "synthetic"}
    assert seconds(plan, "train")[0] > 0
    assert "Plan of folder_sd_fcn8s_seed0_" in out
