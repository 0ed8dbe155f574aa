"""`stage=plan` on real recipes: what is planned is what would be made, and nothing is made of it."""

import numpy as np
import pytest
from volume_samples import write_scans

from rbc_lightning.app import main, run
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.commands.multirun import take_planned
from rbc_lightning.commands.plan import plan_configurations
from rbc_lightning.core.recipe import Recipe
from rbc_lightning.data.formats import write_image
from rbc_lightning.data.manifest import Samples
from rbc_lightning.errors import InputError
from rbc_lightning.planning import probes
from rbc_lightning.planning.cost import Place, _held_out
from rbc_lightning.planning.work import PlanSettings, Timing

pytestmark = pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/")

MODELS = ("fcn8s", "faster_rcnn", "dcan")
STEP = {"step": 5.0, "gap": 0.0, "val": 3.0, "test": 4.0, "epoch_end": 7.0, "build": 10.0, "prepare": 0.0, "checkpoint": 100}
LOADING = {"decode": 0.1, "crop": 0.05, "augment": 0.2, "measured": 3, "images": 8}
TRAINED = ("train", "member", "fcn_score", "gan_stage1", "gan_stage2", "pix2pix")


@pytest.fixture
def timed(monkeypatch):
    """Given times instead of measured ones; the list of what was asked for."""
    asked = []

    def give(probe, *, log, threads):
        kind = probe.args[0].kind
        asked.append(kind)
        values = {**STEP, **LOADING} if kind in TRAINED else {"unit": 2.0, "disk": 20}
        return Timing({**values, "memory": 1e9, "gpu_memory": 0.0})

    monkeypatch.setattr(probes, "measure", give)
    return asked


def kinds(plan):
    return sorted(cost.kind for cost in plan.costs.values())


def test_keys_are_those_under_which_things_are_really_made(tmp_path, compose_tiny, timed):
    cfg = compose_tiny(tmp_path, "mix=rd_sd", "sampler=adhesion")
    *upstream, training = plan_configurations({"one": cfg}, Place()).plan.jobs["one"]
    result = run(cfg)
    assert training.key == result.directory.name
    used = result.metrics["artifacts"]
    assert {work.kind for work in upstream} == {"shape_bank", "gan_stage1", "translator", "synthetic"}
    assert {work.kind: work.key for work in upstream} == {work.kind: used[work.kind] for work in upstream}
    again = plan_configurations({"one": cfg}, Place()).plan
    assert (kinds(again), again.device_seconds) == (["train"], 0.0)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (("mix=rd",), ["train"]),
        (("mix=sd",), ["gan_stage1", "layout_fit", "shape_bank", "synthetic", "train", "translator"]),
        (
            ("mix=sd", "translator.stages=2", "synthetic.mode=online", "sampler=adhesion"),
            ["gan_stage1", "gan_stage2", "shape_bank", "synthetic", "train", "translator"],
        ),
        (
            ("plan.stage=translator", "translator=mode_seeking_pix2pix"),
            ["fcn_score", "pix2pix", "shape_bank", "structure_bank", "translator"],
        ),
        (("plan.stage=translator", "translator.quality.enabled=false"), ["gan_stage1", "translator"]),
    ],
)
def test_each_stage_is_planned_with_what_it_needs(tmp_path, compose_tiny, timed, overrides, expected):
    assert kinds(run(compose_tiny(tmp_path, "stage=plan", *overrides)).plan) == expected
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"plan.csv", "plan.json"}


@pytest.mark.parametrize("translator", [("translator.stages=2",), ("translator=mode_seeking_pix2pix", "sampler=adhesion")])
def test_short_copies_of_real_recipes_share_what_they_are_made_from(tmp_path, compose_tiny, translator):
    run = Experiment(compose_tiny(tmp_path, "mix=rd_sd", *translator)).run()
    watch = probes.Stopwatch(PlanSettings("train", 3, 60))
    trials = {node.kind: probes.trial_of(node, 2, 4, watch) for node in run.synthetic.walk() if isinstance(node, Recipe)}
    keys = {node.kind: node.key for node in trials["synthetic"].walk()}
    assert len(trials) == 6 - ("sampler=adhesion" in translator)
    assert {kind: trial.key for kind, trial in trials.items()} == {kind: keys[kind] for kind in trials}
    gan = next(trial for kind, trial in trials.items() if kind in TRAINED)
    assert gan.work().units <= 2


@pytest.mark.slow
def test_every_model_is_timed_at_its_real_size(tmp_path, compose_tiny):
    jobs = {model: compose_tiny(tmp_path, "stage=plan", "plan.steps=2", f"model={model}", "mix=rd") for model in MODELS}
    plan = plan_configurations(jobs, Place()).plan
    assert plan.problems == {}
    costs = [plan.costs[works[-1].key] for works in plan.jobs.values()]
    assert [cost.timing.values["measured"] for cost in costs] == [2, 2, 2]
    for cost in costs:
        # Of a checkpoint: weights, their running mean, and two moments of each, in 32 bits.
        recipe = cost.recipe
        task = recipe.model.with_facts(recipe.model.facts(Samples(recipe.manifest.split("train")))).build()
        weights = 4 * sum(parameter.numel() for parameter in task.parameters())
        assert 3.9 * weights < cost.timing.values["checkpoint"] < 4.5 * weights + 2**20
        assert 1e8 < cost.memory < 8e9
        assert cost.timing.values["step"] > cost.timing.values["gap"] > 0
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"plan.csv", "plan.json"}


@pytest.mark.slow
def test_all_upstream_is_timed_and_the_time_limit_holds(tmp_path, compose_tiny):
    cfg = compose_tiny(tmp_path, "stage=plan", "translator.stages=2", "mix=rd_sd", "plan.seconds=1e-6")
    plan = plan_configurations({"one": cfg}, Place()).plan
    assert plan.problems == {}
    timings = {cost.kind: cost.timing.values for cost in plan.costs.values()}
    assert set(timings) == {"shape_bank", "gan_stage1", "gan_stage2", "translator", "layout_fit", "synthetic", "train"}
    for kind in ("train", "gan_stage1", "gan_stage2"):
        assert (timings[kind]["warm"], timings[kind]["measured"]) == (0.0, 1)
    assert not (tmp_path / "artifacts").exists()


def test_a_network_that_cannot_be_is_refused_by_the_trial(tmp_path, compose_tiny):
    cfg = compose_tiny(tmp_path, "stage=plan", "mix=sd", "sampler=adhesion", "translator=pix2pix", "translator.task.size=100")
    with pytest.raises(InputError, match="size"):
        run(cfg)
    assert not list(tmp_path.rglob("plan.csv"))


def test_a_sweep_is_planned_whatever_its_launcher_and_nothing_is_run(tmp_path, monkeypatch, capsys, tiny_folder, timed):
    monkeypatch.setattr("sys.argv", ["rbc_lightning"])
    places = (f"artifacts_dir={tmp_path}/artifacts", f"runs_dir={tmp_path}/runs")
    fewer = ("model=fcn8s,faster_rcnn", "mix=rd,rd_sd_aug", "seed=0,1", "scale=tiny")
    sweep = ("stage=plan", "+sweep=table2", *fewer, "data=folder", f"data.root={tiny_folder}", *places)
    assert main([*sweep, "hydra/launcher=submitit_slurm", "hydra.launcher.array_parallelism=7"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Plan of table2: 8 trainings" in out
    assert "GAN, stage 1 2 of 2 8 steps 5 54 s 2 min 1.0 GB" in out
    assert "with 7 jobs at once (hydra/launcher=submitit_slurm)" in out
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert files == [f"runs/plans/table2/{name}" for name in ("multirun.yaml", "plan.csv", "plan.json")]
    assert not take_planned().jobs


def test_what_jobs_of_other_luck_share_is_planned_once(tmp_path, monkeypatch, capsys, tiny_folder, timed):
    monkeypatch.setattr("sys.argv", ["rbc_lightning"])
    places = (f"artifacts_dir={tmp_path}/artifacts", f"runs_dir={tmp_path}/runs", "data=folder", f"data.root={tiny_folder}")
    assert main(["stage=plan", "+sweep=luck", "scale=tiny", *places]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Plan of luck: 9 trainings" in out
    for shared in ("shape bank 1 of 1", "fit of the sampler 1 of 1", "GAN, stage 1 3 of 3", "synthetic pairs 3 of 3"):
        assert shared in out


def test_the_four_columns_of_slices_are_planned_with_what_they_share(tmp_path, monkeypatch, capsys, timed):
    monkeypatch.setattr("sys.argv", ["rbc_lightning"])
    places = (
        f"artifacts_dir={tmp_path}/artifacts",
        f"runs_dir={tmp_path}/runs",
        f"data.root={write_scans(tmp_path / 'scans')}",
    )
    prepared = ("data.slices_per_patient=3", "data.side=40", "data.spacing=null", "training.crop=32", "seed=0,1")
    assert main(["stage=plan", "+sweep=novoselov", "scale=tiny", *places, *prepared]) == 0
    out = capsys.readouterr().out
    assert "Plan of novoselov: 8 trainings" in out
    # Three slices of each of two patients, and as many samples in all columns but the first.
    for column, counts in (("RD", "6/0/0"), ("RD+aug", "6/0/34"), ("RD+SD", "6/34/0"), ("RD+SD+aug", "6/17/17")):
        assert f"unet_novoselov {column} {counts} 2 of 2 4" in " ".join(out.split())
    assert "Pix2Pix training 2 of 2" in out
    assert {path.name for path in (tmp_path / "artifacts").iterdir() if path.is_dir()} == {"volumes"}


def test_members_are_planned_once_for_all_that_share_them(tmp_path, compose_tiny, timed, capsys):
    two, three = (compose_tiny(tmp_path, "stage=plan", "mix=rd", f"model.members={count}") for count in (2, 3))
    plan = plan_configurations({"two": two, "three": three}, Place()).plan
    assert kinds(plan) == ["member"] * 3 + ["train"] * 2
    assert timed == ["member"]
    manifest = Experiment(three).manifest
    n_val, n_test = len(manifest.split("val")), len(manifest.split("test"))
    member, *_, run = (plan.costs[work.key] for work in plan.jobs["three"])
    # Two epochs, each with a validation, of steps of two samples; the run shows every member validation twice, and the tests.
    assert member.seconds == pytest.approx(4 * (5.0 + 2 * 0.05) + 2 * (n_val * 3.0 + 7.0) + 10.0)
    assert run.seconds == pytest.approx(3 * (2 * n_val + n_test) * 3.0)
    assert (member.disk, run.disk) == (100, 300)
    out = " ".join(capsys.readouterr().out.split())
    assert "fcn8s x3 RD 4/0/0 1 of 1 3 members - " in out
    assert "member of fcn8s 3 of 3 4 steps" in out


def test_every_fold_is_planned_with_all_that_it_needs(tmp_path, monkeypatch, capsys, tiny_folder, timed):
    monkeypatch.setattr("sys.argv", ["rbc_lightning"])
    places = (f"artifacts_dir={tmp_path}/artifacts", f"runs_dir={tmp_path}/runs", "data=folder", f"data.root={tiny_folder}")
    sweep = ("data.folds=3", "data.fold=0,1,2", "mix=rd,rd_sd", "sampler=adhesion", "scale=tiny")
    assert main(["-m", "stage=plan", *sweep, *places]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Plan of multirun: 6 trainings" in out
    # One fold has fewer training images than the others.
    for own in ("shape bank", "GAN, stage 1", "synthetic pairs"):
        assert f"{own} 1 of 1" in out
        assert f"{own} 2 of 2" in out


def test_images_of_another_source_are_planned_as_tested_and_tried(own_folder, tmp_path, compose_tiny, timed):
    def planned(root):
        (works,) = plan_configurations({"one": compose_tiny(tmp_path, "mix=rd", root=root)}, Place()).plan.jobs.values()
        return works[-1].recipe

    table, before = own_folder / "splits.csv", planned(own_folder)
    with table.open("a") as rows:
        rows.write("smear_07,external,elsewhere\n")
    for name in ("images", "labels"):
        (own_folder / name / "smear_07.png").write_bytes((own_folder / name / "smear_06.png").read_bytes())
    write_image(own_folder / "images" / "smear_07.png", np.full((96, 128, 3), 90, np.uint8))
    after = planned(own_folder)
    assert [_held_out(recipe)[1] for recipe in (before, after)] == [2, 3]
    tried = probes._first(after.manifest.samples, 2)
    assert [sample.split for sample in tried if sample.split == "external"] == ["external"]


def test_a_bad_job_is_reported_and_the_others_are_planned(tmp_path, monkeypatch, capsys, tiny_folder, timed):
    monkeypatch.setattr("sys.argv", ["rbc_lightning"])
    places = (f"artifacts_dir={tmp_path}/artifacts", f"runs_dir={tmp_path}/runs", "data=folder", f"data.root={tiny_folder}")
    assert main(["-m", "stage=plan", "mix=rd", "scale=tiny", "training.crop=64,1", *places]) == 1
    out, err = capsys.readouterr()
    assert "Plan of multirun: 1 training" in out
    assert err == "error: job stage=plan mix=rd scale=tiny training.crop=1 data=folder " + (
        f"data.root={tiny_folder}: training.crop=1; expected a whole number of at least 32\n"
    )


def test_a_reason_that_many_jobs_share_is_told_once(tmp_path, monkeypatch, capsys, tiny_folder, timed):
    monkeypatch.setattr("sys.argv", ["rbc_lightning"])
    places = (f"artifacts_dir={tmp_path}/artifacts", f"runs_dir={tmp_path}/runs", "data=folder", f"data.root={tiny_folder}")
    assert main(["-m", "stage=plan", "mix=rd,rd_sd", "seed=0,1,2", "mix.total=4,3", "scale=tiny", *places]) == 1
    errors = capsys.readouterr().err.splitlines()
    # RD of 4 real images cannot be 3 and RD+SD not either: two reasons, each of three seeds.
    assert [" and 2 more: mix.total=3" in line for line in errors] == [True, True]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("plan.steps=0", "plan.steps=0; expected a whole number of at least 1"),
        ("plan.stage=check", r"plan\.stage=check; expected one of train, translator"),
        ("training.batch_size=0", "training.batch_size=0; expected a whole number of at least 1"),
        ("mix.total=2", "mix.total=2 with 4 samples already fixed"),
        ("trainer.accelerator=gpu", "trainer.accelerator=gpu, yet no CUDA device is at hand"),
    ],
)
def test_a_mistake_is_reported_before_anything_is_timed(tmp_path, compose_tiny, timed, override, message, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(InputError, match=message):
        run(compose_tiny(tmp_path, "stage=plan", override))
    assert timed == []
