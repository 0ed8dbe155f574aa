"""Plans: what is timed, how often, what it comes to, and that nothing is made of it."""

import csv
import json

import pytest
from plan_recipes import MEMORY, TRAINING, Chooser, Graph

from rbc_lightning.data.mix import Mix
from rbc_lightning.errors import InputError
from rbc_lightning.planning import probes as probes_module
from rbc_lightning.planning.cost import Place
from rbc_lightning.planning.plan import plan_jobs
from rbc_lightning.planning.tables import summary_lines
from rbc_lightning.planning.work import PlanSettings, Timing

MIXES = {"rd": Mix(4, 0, 0), "rd_aug": Mix(4, 0, 4), "sd": Mix(0, 4, 0), "rd_sd": Mix(4, 4, 0), "rd_sd_aug": Mix(4, 2, 2)}
TIMES = {
    "shape_bank": {"unit": 1.0, "disk": 10},
    "gan_stage1": {"step": 5.0, "gap": 0.0, "epoch_end": 7.0, "prepare": 0.0, "checkpoint": 1000},
    "translator": {"unit": 2.0, "disk": 20},
    "synthetic": {"unit": 6.0, "disk": 30},
    "train": TRAINING,
    "fcn_score": TRAINING,
    "layout_fit": {"unit": 0.5},
}
SETTINGS = PlanSettings("train", 3, 60)


class Probes:
    """Given times instead of measured ones."""

    def __init__(self):
        self.asked, self.problems = [], {}

    def measure(self, probe, *, log, threads):
        name = probe.args[0].kind
        self.asked.append(name)
        return self.problems.get(name) or Timing({**TIMES[name], **MEMORY})


@pytest.fixture
def probes(monkeypatch):
    probes = Probes()
    monkeypatch.setattr(probes_module, "measure", probes.measure)
    return probes


def plan_of(jobs, directory, **more):
    return plan_jobs(list(jobs), "mine", directory / "plan", settings=SETTINGS, **{"place": Place(), **more})


def kinds(plan):
    return sorted(cost.kind for cost in plan.costs.values())


def seconds(plan, kind):
    return [cost.seconds for cost in plan.costs.values() if cost.kind == kind]


def grid(directory):
    """Five columns of one model with two seeds."""
    graphs = [Graph(directory, seed=seed) for seed in (0, 1)]
    return [graph.job(graph.run(mix), f"{name} {graph.seed}") for name, mix in MIXES.items() for graph in graphs]


def test_shared_things_count_once_for_each_seed_and_each_kind_of_step_is_timed_once(tmp_path, probes):
    plan = plan_of(grid(tmp_path), tmp_path).plan
    shared = ("gan_stage1", "layout_fit", "synthetic", "translator")
    # The same shapes whatever the seed: here both have the same samples.
    assert kinds(plan) == sorted([*["train"] * 10, *shared * 2, "shape_bank"])
    assert sorted(probes.asked) == sorted(["train", "shape_bank", *shared])
    assert [len(works) for works in plan.jobs.values()] == [1] * 4 + [6] * 6
    # Nothing but the plan is there.
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["plan.csv", "plan.json"]


def test_a_set_of_pairs_is_as_large_as_the_most_that_a_job_asks_for(tmp_path, probes):
    graph = Graph(tmp_path)
    plan = plan_of([graph.job(graph.run(Mix(4, n, 0)), str(n)) for n in (3, 9, 5)], tmp_path).plan
    (pairs,) = [cost for cost in plan.costs.values() if cost.kind == "synthetic"]
    assert (pairs.units, pairs.seconds, pairs.disk) == (9, 9 * 6.0, 9 * 30)


def test_a_plan_is_the_sum_of_its_works(tmp_path, probes):
    graph = Graph(tmp_path)
    plan = plan_of([graph.job(graph.run(Mix(4, 2, 2)))], tmp_path).plan
    # 8 steps and 2 epochs; 4 images; 20 masks; 2 pairs.
    assert seconds(plan, "gan_stage1") == [8 * 5.0 + 2 * 7.0]
    assert (*seconds(plan, "translator"), *seconds(plan, "layout_fit"), *seconds(plan, "synthetic")) == (8.0, 10.0, 12.0)
    assert plan.device_seconds == pytest.approx(sum(seconds(plan, "train")) + 54.0 + 30.0 + 4 * 1.0)
    assert plan.wall_seconds == pytest.approx(plan.device_seconds)


def test_what_is_finished_costs_nothing_and_is_not_timed(tmp_path, probes):
    graph = Graph(tmp_path)
    job = graph.job(graph.run(Mix(0, 4, 0)))
    gan = next(node for node in job.recipe.walk() if node.kind == "gan_stage1")
    graph.store.path(gan).mkdir(parents=True)
    assert seconds(plan_of([job], tmp_path).plan, "gan_stage1") == [0.0]
    graph.finish(job)
    probes.asked.clear()
    plan = plan_of([job], tmp_path).plan
    assert (plan.device_seconds, plan.wall_seconds, probes.asked, kinds(plan)) == (0.0, 0.0, [], ["train"])


def test_pairs_made_while_training_are_timed_by_one(tmp_path, probes):
    graph = Graph(tmp_path)
    job = graph.job(graph.run(Mix(4, 4, 0), synthetic=graph.source()), beside=(graph.pairs(1),))
    plan = plan_of([job], tmp_path).plan
    (train,) = [cost for cost in plan.costs.values() if cost.kind == "train"]
    assert train.unit_seconds == pytest.approx(2.0 - 0.3 + 2 * 0.05 + 2 * 0.5 * 6.0 / 3)
    assert seconds(plan, "synthetic") == [6.0]


def test_translators_are_planned_with_the_network_that_measures_them(tmp_path, probes, capsys):
    graph = Graph(tmp_path)
    jobs = [
        graph.job(graph.translator(name=name, candidates=n), name, beside=(graph.network(),))
        for n, name in enumerate(("one", "other"))
    ]
    plan = plan_of(jobs, tmp_path).plan
    assert kinds(plan) == sorted([*["gan_stage1", "translator"] * 2, "fcn_score"])
    out = " ".join(capsys.readouterr().out.split())
    assert "Plan of mine: 2 runs of stage=translator" in out
    assert "GAN, stage 1, other 1 of 1 8 steps 5 54 s 54 s" in out
    assert "Not counted: sheets and quality cards, which stage=translator makes anew each time." in out


def test_a_choice_among_checkpoints_times_what_chooses(tmp_path, probes):
    graph = Graph(tmp_path)
    translator = graph.translator(choose="quality", chooser=Chooser(network=graph.network(), images=1))
    plan = plan_of([graph.job(translator)], tmp_path).plan
    assert "fcn_score" in probes.asked
    assert "; the choice among checkpoints." in " ".join(summary_lines(plan))


def test_what_is_made_from_something_that_does_not_fit_is_not_tried(tmp_path, probes, capsys):
    probes.problems["gan_stage1"] = Timing(problem="does not fit into the memory of this machine (killed)")
    graph = Graph(tmp_path)
    plan = plan_of([graph.job(graph.run(Mix(0, 4, 0)))], tmp_path).plan
    assert set(plan.problems) == {"gan_stage1", "translator", "synthetic"}
    assert set(probes.asked) == {"shape_bank", "layout_fit", "gan_stage1", "train"}
    assert seconds(plan, "train")[0] > 0
    out = " ".join(capsys.readouterr().out.split())
    assert "GAN, stage 1 1 of 1 8 steps - does not fit - -" in out
    assert "In all without what could not be timed: " in out


def test_settings_that_a_trial_refuses_end_the_plan_or_the_job(tmp_path, monkeypatch):
    asked = []

    def give(probe, *, log, threads):
        asked.append(probe.args[0].model.name)
        if asked[-1] == "bad":
            return Timing(problem="model.net: width must be positive", refused=True)
        return Timing(TRAINING)

    monkeypatch.setattr(probes_module, "measure", give)
    graph = Graph(tmp_path)
    bad, twin, good = (
        graph.job(graph.run(Mix(4, 0, 0), model=model), label)
        for model, label in (("bad", "bad"), ("bad", "twin"), ("unet", "good"))
    )
    with pytest.raises(InputError, match=r"^model\.net: width must be positive$"):
        plan_of([bad], tmp_path)
    assert not list(tmp_path.rglob("plan.csv"))
    # The others of a sweep are planned, as they would be run; a job that could not be read is named, too.
    asked.clear()
    result = plan_of([bad, twin, good], tmp_path, failed=["first: seed=-1"])
    wrong = "model.net: width must be positive"
    assert result.failed == ("first: seed=-1", f"bad: {wrong}", f"twin: {wrong}")
    assert result.reasons() == ["job first: seed=-1", f"job bad and 1 more: {wrong}"]
    assert list(result.plan.jobs) == ["good"]
    assert asked == ["bad", "unet"]


def test_the_files_hold_each_work_and_the_sums(tmp_path, probes):
    result = plan_of(grid(tmp_path), tmp_path, place=Place("joblib", 2, 1))
    with (result.directory / "plan.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    totals = json.loads((result.directory / "plan.json").read_text())
    assert len(rows) == len(totals["works"]) == 10 + 2 * 4 + 1
    assert sum(float(row["seconds"]) for row in rows) == pytest.approx(totals["device_seconds"])
    assert (totals["jobs"], totals["jobs_at_once"], totals["memory_bytes"]) == (10, 2, pytest.approx(1e9, rel=0.01))
    train = next(row for row in rows if row["kind"] == "train" and row["column"] == "rd_sd_aug" and row["seed"] == "1")
    assert [train[name] for name in ("model", "real", "synthetic", "augmented")] == ["fcn8s", "4", "2", "2"]
