"""From jobs to a plan: time each kind of unit once, add up, print, write down."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rbc_lightning.errors import InputError
from rbc_lightning.planning.cost import Place, costs_of, wall_seconds
from rbc_lightning.planning.probes import time_work
from rbc_lightning.planning.tables import Plan, print_plan, write_plan
from rbc_lightning.planning.work import SEGMENTERS, Job, PlannedWork, PlanSettings, Timing, trainer_of, works_of


@dataclass(frozen=True)
class PlanResult:
    """The plan, where it is written, and the jobs that could not be planned, with the reason."""

    plan: Plan
    directory: Path
    failed: tuple[str, ...] = ()

    def summary(self) -> str:
        """One line for the end of the run."""
        return f"Plan written to {self.directory} (plan.csv, plan.json); nothing was trained"

    def reasons(self) -> list[str]:
        """One line for each reason why jobs could not be planned, with the first of them and how many they are."""
        labels: dict[str, list[str]] = {}
        for line in self.failed:
            label, _, reason = line.partition(": ")
            labels.setdefault(reason, []).append(label)
        return [
            f"job {first}{f' and {len(others)} more' if others else ''}: {reason}"
            for reason, (first, *others) in labels.items()
        ]


def plan_jobs(
    jobs: Sequence[Job], name: str, directory: Path, *, settings: PlanSettings, place: Place, failed: Iterable[str] = ()
) -> PlanResult:
    """Time a few steps of each kind that the jobs need, print what it all comes to, and write it down.

    Args:
        jobs: in the order of the sweep, each with a label of its own.
        name: of the sweep or run.
        directory: gets `plan.csv` and `plan.json`.
        settings: what is timed.
        place: where the jobs would run.
        failed: jobs that cannot be planned, one line each.

    Raises:
        InputError: no job can be planned.
    """
    # Imported here: it knows all libraries.
    from rbc_lightning.study.run_record import machine

    works = {job.label: works_of(job) for job in jobs}
    with tempfile.TemporaryDirectory(prefix="rbc_plan_", ignore_cleanup_errors=True) as scratch:
        timings = time_works(works.values(), settings, place.threads, Path(scratch))
    # Settings that did not stand the trial: the run itself would end with the same line.
    refusals = {probe: timing.problem for probe, timing in timings.items() if timing.refused}
    left = [(label, work.probe) for label, needed in works.items() for work in needed if work.left]
    wrong = {label: refusals[probe] for label, probe in left if probe in refusals}
    accepted = {label: needed for label, needed in works.items() if label not in wrong}
    all_failed = (*failed, *(f"{label}: {problem}" for label, problem in wrong.items()))
    if not accepted:
        raise InputError(all_failed[0].partition(": ")[2])
    costs = costs_of(accepted.values(), timings)
    wall = wall_seconds(accepted.values(), costs, place.jobs)
    plan = Plan(name, accepted, costs, place, wall, machine(), settings, trainer_of(jobs[0].recipe).processes)
    print_plan(plan)
    write_plan(plan, directory)
    return PlanResult(plan, directory.resolve(), all_failed)


def time_works(
    jobs: Iterable[Sequence[PlannedWork]], settings: PlanSettings, threads: int | None, scratch: Path
) -> dict[str, Timing]:
    """Time each kind of unit that is left to make once, the upstream ones in the order in which they are made; by probe."""
    timings: dict[str, Timing] = {}
    for works in jobs:
        for work in (work for work in works if work.left):
            if work.probe not in timings:
                problem = _problem_above(work, works, timings)
                timings[work.probe] = Timing(problem=problem) if problem else time_work(work, settings, threads, scratch)
            if timings[work.probe].refused:
                break
    return timings


def _problem_above(work: PlannedWork, works: Sequence[PlannedWork], timings: Mapping[str, Timing]) -> str:
    """Why something upstream could not be tried, so that this cannot be either; runs are tried on real images."""
    above = set() if work.kind in SEGMENTERS else {node.key for node in work.recipe.walk()}
    problems = (timings[other.probe].problem for other in works if other.recipe.key in above and other.probe in timings)
    return next(filter(None, problems), "")
