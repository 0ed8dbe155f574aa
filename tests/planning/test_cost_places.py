"""Where jobs would run, and when the last one is done."""

from dataclasses import replace

from plan_recipes import Graph

from rbc_lightning.data.mix import Mix
from rbc_lightning.planning.cost import Place, place_of, wall_seconds
from rbc_lightning.planning.work import works_of


def test_jobs_wait_for_what_another_makes_and_never_make_it_again(tmp_path):
    graph = Graph(tmp_path)
    jobs = [works_of(graph.job(graph.run(mix))) for mix in (Mix(4, 10, 0), Mix(4, 30, 0), Mix(4, 0, 0))]
    # Of thirty pairs.
    seconds = {"gan_stage1": 100.0, "synthetic": 60.0, "train": 10.0}
    costs = {work.key: replace(work, seconds=seconds.get(work.kind, 0.0)) for works in jobs for work in works}
    costs |= {work.key: replace(work, seconds=60.0) for work in jobs[1] if work.kind == "synthetic"}
    assert wall_seconds(jobs, costs, places=1) == 190.0
    # The first: 100 + 20 + 10. The second waits until 120, adds twenty pairs, trains: 170. The third is done at 140.
    assert wall_seconds(jobs, costs, places=2) == 170.0
    assert wall_seconds(jobs, costs, places=45) == 170.0


def test_launchers_have_so_many_places(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert place_of("basic", {}, on_gpu=False) == Place("basic", 1)
    assert place_of("joblib", {"n_jobs": -1}, on_gpu=False) == Place("joblib", 8, threads=1)
    assert place_of("joblib", {"n_jobs": -3}, on_gpu=False) == Place("joblib", 6, threads=1)
    assert place_of("joblib", {"n_jobs": 3}, on_gpu=True) == Place("joblib", 2)
    assert place_of("submitit_local", {}, on_gpu=False) == Place("submitit_local", 8, threads=1)
    assert place_of("submitit_slurm", {"array_parallelism": 16}, on_gpu=True) == Place("submitit_slurm", 16)
