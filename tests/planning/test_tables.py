"""The plan as tables: numbers as people say them, and what stands in a row."""

from dataclasses import replace

from plan_recipes import Graph

from rbc_lightning.data.mix import Mix
from rbc_lightning.planning.cost import Place
from rbc_lightning.planning.tables import Plan, gigabytes, hours, print_plan, summary_lines
from rbc_lightning.planning.work import PlanSettings, Timing, works_of

SETTINGS = PlanSettings("train", 3, 60.0)


def make_plan(graph, launcher="basic", jobs=1, processes=1, **values):
    """A plan of a run on real images that takes 6,800 s."""
    works = works_of(graph.job(graph.run(Mix(4, 0, 0))))
    paid = {"timing": Timing({"warm": 1.0, **values}), "unit_seconds": 1.9, "seconds": 6800.0, "memory": 1e9, "disk": 2e8}
    costs = {work.key: replace(work, **paid) for work in works}
    machine = {"device": "a processor"}
    return Plan("mine", {"this run": works}, costs, Place(launcher, jobs, 1), 6800.0, machine, SETTINGS, processes)


def test_times_and_sizes_are_said_as_people_say_them():
    times = (0, 0.055, 9.94, 9.96, 40, 720, 12240, 5.4e6)
    assert [hours(value) for value in times] == ["0 s", "0.1 s", "9.9 s", "10 s", "40 s", "12 min", "3.4 h", "1,500 h"]
    assert [gigabytes(value) for value in (512e6, 3.44e9)] == ["512 MB", "3.4 GB"]


def test_a_training_has_a_row_and_the_sums_follow(tmp_path, capsys):
    print_plan(make_plan(Graph(tmp_path), "joblib", 2))
    out = " ".join(capsys.readouterr().out.split())
    assert "Plan of mine: 1 training" in out
    assert "fcn8s RD 4/0/0 1 of 1 4 1.9 1.9 h 1.9 h 1.0 GB" in out
    assert "In all: 1.9 h of device time; 1.9 h until the last is done, with 2 jobs at once (hydra/launcher=joblib)" in out
    assert "A job needs up to 1.0 GB of memory; 200 MB of disk in all" in out
    assert "Measured on this machine: a processor, 1 thread; 3 of each kind of step after one to warm up" in out


def test_what_to_bear_in_mind_is_said(tmp_path):
    lines = summary_lines(make_plan(Graph(tmp_path), "submitit_slurm", 16, 4, warm=0.0, gpu_memory=2e9))
    assert "* fcn8s: timed on its first step alone, which takes longer than the rest; plan.seconds=... gives it more" in lines
    assert any("of GPU time" in line for line in lines)
    assert any(line.startswith("Plan on the kind of node that will do the work") for line in lines)
    assert any(line.startswith("4 devices a job: each was timed alone") for line in lines)


def test_a_finished_plan_says_so(tmp_path):
    graph = Graph(tmp_path)
    job = graph.job(graph.run(Mix(4, 0, 0)))
    graph.finish(job)
    (work,) = works_of(job)
    plan = Plan("mine", {"this run": [work]}, {work.key: work}, Place(), 0.0, {}, SETTINGS, 1)
    assert summary_lines(plan) == ["Nothing is left to do: all of it is finished."]
