"""Where the cells of a plan would run, and when the last one would be done."""

import heapq
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rbc_lightning.stages.planning.cost import Cost
from rbc_lightning.stages.planning.stopwatch import Limits
from rbc_lightning.stages.planning.work import CellWork
from rbc_lightning.stages.sweep import visible_devices


@dataclass(frozen=True)
class Place:
    """Where the cells would run.

    Args:
        launcher: Hydra's name of it.
        cells: at once.
        threads: of each cell, where the launcher says so.
    """

    launcher: str = "basic"
    cells: int = 1
    threads: int | None = None


@dataclass(frozen=True)
class Plan:
    """What a run or a sweep would cost.

    Args:
        name: of the sweep or run.
        cells: what each cell needs, in order.
        costs: what is left to pay, by key.
        place: where they would run.
        wall_seconds: until the last one is done.
        machine: what the steps were timed on.
        limits: how many were timed.
        processes: devices of one cell.
    """

    name: str
    cells: tuple[CellWork, ...]
    costs: Mapping[str, Cost]
    place: Place
    wall_seconds: float
    machine: Mapping[str, str | int]
    limits: Limits
    processes: int

    @property
    def device_seconds(self) -> float:
        """Of all devices together; without what could not be timed."""
        return self.processes * sum(cost.seconds for cost in self.costs.values())

    @property
    def problems(self) -> dict[str, str]:
        """Why something could not be timed, by what it is."""
        return {cost.work.kind: cost.timing.problem for cost in self.costs.values() if cost.timing.problem}


def place_of(launcher: str, settings: Mapping[str, object], on_gpu: bool) -> Place:
    """How many cells a launcher runs at once, and with how many threads each.

    Args:
        launcher: its name.
        settings: of it, `hydra.launcher`.
        on_gpu: whether cells need a GPU each.
    """
    cores = os.cpu_count() or 1
    if launcher == "submitit_slurm":
        return Place(launcher, int(str(settings["array_parallelism"])))
    if launcher not in ("joblib", "submitit_local"):
        return Place(launcher)
    cells = cores
    if launcher == "joblib":
        asked = int(str(settings["n_jobs"]))
        # joblib counts from the number of cores: -1 is all of them, -2 all but one.
        cells = asked if asked > 0 else max(1, cores + 1 + asked)
    if on_gpu:
        return Place(launcher, min(cells, max(1, len(visible_devices()))))
    return Place(launcher, cells, threads=1)


def wall_seconds(cells: Sequence[CellWork], costs: Mapping[str, Cost], places: int) -> float:
    """Seconds until the last cell is done, when each takes the first free place in the order of the sweep.

    Whoever comes first builds what several need, and the others wait for it, each holding its place.

    Args:
        cells: in order.
        costs: by key; of a synthetic set, of all pairs that any cell asks for.
        places: cells at once.
    """
    free = [0.0] * places
    ready: dict[str, float] = {}
    there: dict[str, int] = {}
    for cell in cells:
        time = heapq.heappop(free)
        for work in cell.works:
            cost = costs[work.key]
            missing = work.units - max(there.get(work.key, 0), work.done)
            time = max(time, ready.get(work.key, 0.0))
            if missing > 0 and cost.work.left:
                time += cost.seconds * missing / cost.work.left
                ready[work.key], there[work.key] = time, work.units
        heapq.heappush(free, time)
    return max(free)
