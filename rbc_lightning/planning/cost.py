"""The arithmetic of `stage=plan`: from timed units to seconds and bytes, and when the last of several jobs would be done."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rbc_lightning.core.recipe import Recipe
from rbc_lightning.data.mix import Mix
from rbc_lightning.data.sample import Sample, common_spec
from rbc_lightning.data.stream import CACHE_BYTES, CACHE_SHARES, VALIDATION_BYTES
from rbc_lightning.planning.work import (
    FCN_SCORE,
    MEMBER,
    SEGMENTERS,
    SYNTHETIC,
    TRANSLATOR,
    PlannedWork,
    Timing,
    train_samples,
)
from rbc_lightning.sweeps.places import visible_devices

# Bytes per pixel of a kept label map (see `PairCache`).
_LABEL_BYTES = 2


@dataclass(frozen=True)
class Place:
    """Where the jobs would run: Hydra's launcher, jobs at once, and threads of each job where the launcher says so."""

    launcher: str = "basic"
    jobs: int = 1
    threads: int | None = None


def place_of(launcher: str, settings: Mapping[str, object], on_gpu: bool) -> Place:
    """How many jobs a launcher with these settings (`hydra.launcher`) runs at once, and with how many threads each."""
    jobs = cores = os.cpu_count() or 1
    if launcher == "submitit_slurm":
        return Place(launcher, int(str(settings["array_parallelism"])))
    if launcher not in ("joblib", "submitit_local"):
        return Place(launcher)
    if launcher == "joblib":
        asked = int(str(settings["n_jobs"]))
        # joblib counts from the number of cores: -1 is all of them, -2 all but one.
        jobs = asked if asked > 0 else max(1, cores + 1 + asked)
    if on_gpu:
        return Place(launcher, min(jobs, max(1, len(visible_devices()))))
    return Place(launcher, jobs, threads=1)


def costs_of(jobs: Iterable[Sequence[PlannedWork]], timings: Mapping[str, Timing]) -> dict[str, PlannedWork]:
    """Each thing with what is left to pay for it, by key, from timings by probe: once however many jobs share it."""
    costs: dict[str, PlannedWork] = {}
    for works in jobs:
        timed = {work.kind: timings.get(work.probe, Timing(problem="it is not timed")) for work in works}
        for work in works:
            # A set of pairs is as large as the most that any job asks for.
            if work.key not in costs or costs[work.key].units < work.units:
                costs[work.key] = cost_of(work, timed)
    return costs


def cost_of(work: PlannedWork, timed: Mapping[str, Timing]) -> PlannedWork:
    """A work with what is left to pay for it, from what was timed for its job, by kind."""
    if not work.left:
        return work
    timing = timed[work.kind]
    work, values, recipe = replace(work, timing=timing), timing.values, work.recipe
    if timing.problem:
        return work
    if work.kind in SEGMENTERS:
        return _training_cost(work, timed)
    if "step" in values:
        n_train = len(train_samples(recipe))
        # Loading is the gap between two steps.
        unit = step_seconds(values, values["gap"], values["gap"], recipe.trainer.num_workers)
        seconds = work.left * unit + work.left / n_train * values["epoch_end"] + values["prepare"] * n_train
        disk = values["checkpoint"] * (1 + getattr(recipe, "candidates", 0))
    else:
        unit, disk = values["unit"], work.left * values.get("disk", 0.0)
        seconds = work.left * unit + _choosing(recipe, timed)
    return replace(work, unit_seconds=unit, seconds=seconds, memory=values["memory"], disk=disk)


def wall_seconds(jobs: Iterable[Sequence[PlannedWork]], costs: Mapping[str, PlannedWork], places: int) -> float:
    """Seconds until the last job is done, when each takes the first free one of the places in the order of the sweep.

    The first of several jobs makes what they share, and the others wait for it, each holding its place.
    """
    free = [0.0] * places
    ready: dict[str, float] = {}
    there: dict[str, int] = {}
    for works in jobs:
        time = heapq.heappop(free)
        for work in works:
            cost = costs[work.key]
            missing = work.units - max(there.get(work.key, 0), work.done)
            time = max(time, ready.get(work.key, 0.0))
            if missing > 0 and cost.left:
                time += cost.seconds * missing / cost.left
                ready[work.key], there[work.key] = time, work.units
        heapq.heappush(free, time)
    return max(free)


def step_seconds(values: Mapping[str, float], load: float, trial_load: float, workers: int) -> float:
    """Seconds of an optimiser step, from those in which one process loads its batch, and has loaded a timed one.

    What else lies in the `gap` between two steps is bookkeeping; loader processes work while the step computes.
    """
    own = values["step"] - min(values["gap"], trial_load)
    return own + load if workers == 0 else max(own, load / workers)


def load_seconds(values: Mapping[str, float], mix: Mix, kept: Mapping[str, float]) -> float:
    """Mean seconds in which a process loads a sample of a mix; of its real and synthetic pairs these shares are kept."""
    augmented = sum(kept[source] for source in mix.augmented_from) / len(mix.augmented_from)
    decoded = mix.real * (1 - kept["real"]) + mix.synthetic * (1 - kept["synthetic"]) + mix.augmented * (1 - augmented)
    return values["crop"] + (decoded * values["decode"] + mix.augmented * values["augment"]) / mix.total


def _training_cost(work: PlannedWork, timed: Mapping[str, Timing]) -> PlannedWork:
    """Of a run, or of the FCN-score network, which sees flipped real images: they cost no more than real ones."""
    values, recipe = work.timing.values, work.recipe
    if work.unit == "members":
        return _ensemble_cost(work)
    train, training = train_samples(recipe), recipe.training
    mix = getattr(recipe, "mix", None) or Mix(len(train), 0, 0)
    kept, cache = _kept(mix, train)
    batch, workers = training.batch_size // recipe.trainer.processes, recipe.trainer.num_workers
    # Timed on real images, read for the first time but for those of a small data set; the first step is not among these.
    draws = values["measured"] * batch
    again = min(1.0, max(0.0, draws + batch - values["images"]) / draws)
    trial = load_seconds(values, Mix(1, 0, 0), {"real": again, "synthetic": 0.0})
    step = step_seconds(values, batch * load_seconds(values, mix, kept), batch * trial, workers)
    step += _generating(recipe, mix, batch, timed)
    n_val, n_test = _held_out(recipe)
    epochs = -(-work.left // training.steps_per_epoch)
    validations = epochs * (n_val * values["val"] + values["epoch_end"])
    # The best weights and the last ones; a member keeps but the best, and is not tested.
    copies, tests = (1, 0.0) if work.kind == MEMBER else (2, n_test * values["test"])
    seconds = work.left * step + validations + tests + values["build"]
    held = min(VALIDATION_BYTES, n_val * _pair_bytes(train))
    memory, disk = values["memory"] + cache * max(1, workers) + held, copies * values["checkpoint"]
    return replace(work, unit_seconds=step, seconds=seconds, memory=memory, disk=disk)


def _ensemble_cost(work: PlannedWork) -> PlannedWork:
    """Of a run whose members are made: each is shown validation twice, for its score and for thresholds, and the tests."""
    values, (n_val, n_test) = work.timing.values, _held_out(work.recipe)
    unit = (2 * n_val + n_test) * values["val"]
    disk = work.units * values["checkpoint"]
    return replace(work, unit_seconds=unit, seconds=work.left * unit, memory=values["memory"], disk=disk)


def _held_out(recipe: Any) -> tuple[int, int]:  # noqa: ANN401 (a run, or the FCN-score network)
    """Images, or slices of scans, of a validation and of the final tests, that of another source included."""
    manifest = getattr(recipe, "manifest", None)
    if manifest is None:
        return len(recipe.val), 0
    n_test, n_external = (sum(sample.split == split for sample in manifest.samples) for split in ("test", "external"))
    return n_test if recipe.protocol == "paper" else len(manifest.split("val")), n_test + n_external


def _kept(mix: Mix, train: Sequence[Sample]) -> tuple[dict[str, float], float]:
    """Shares of the pairs that stay in a loading process's memory, and the bytes they take."""
    size = _pair_bytes(train)
    drawn = {"real": len(train) if mix.real or "real" in mix.augmented_from else 0, "synthetic": mix.synthetic}
    room = {str(name): share * CACHE_BYTES for name, share in CACHE_SHARES.items()}
    kept = {name: min(1.0, room[name] / (count * size)) if count else 0.0 for name, count in drawn.items()}
    return kept, sum(kept[name] * count * size for name, count in drawn.items())


def _pair_bytes(samples: Sequence[Sample]) -> float:
    """That a kept image takes with its label map."""
    spec = common_spec(samples)
    return (spec.n_channels * spec.dtype.itemsize + _LABEL_BYTES) * _mean_pixels(samples)


def _mean_pixels(samples: Sequence[Sample]) -> float:
    """Of images, from their headers."""
    return float(np.mean([height * width for height, width in (sample.size for sample in samples)]))


def _generating(recipe: Any, mix: Mix, batch: int, timed: Mapping[str, Timing]) -> float:  # noqa: ANN401 (as above)
    """Seconds of a step in which pairs are made on the fly, from what a whole pair takes."""
    source, pairs = getattr(recipe, "synthetic", None), timed.get(SYNTHETIC)
    if source is None or isinstance(source, Recipe) or pairs is None or pairs.problem:
        return 0.0
    crop = recipe.training.crop
    share = 1.0 if crop is None else min(1.0, crop**2 / _mean_pixels(train_samples(recipe)))
    return float(batch * mix.synthetic / mix.total * pairs.values["unit"] * share)


def _choosing(recipe: Any, timed: Mapping[str, Timing]) -> float:  # noqa: ANN401 (any recipe)
    """Seconds in which every kept checkpoint of a translator is measured, where one is chosen."""
    chooser = getattr(recipe, "chooser", None) if recipe.kind == TRANSLATOR else None
    by_loss = chooser is not None and not hasattr(chooser, "network")
    # Where no pairs are made, generating an image is not timed.
    needed = (SYNTHETIC,) if by_loss else (FCN_SCORE, SYNTHETIC)
    if chooser is None or any(kind not in timed or timed[kind].problem for kind in needed):
        return 0.0
    if by_loss:
        return float(len(chooser.val) * (1 + recipe.candidates) * timed[SYNTHETIC].values["unit"])
    # Imported here: few plans have a choice.
    from rbc_lightning.evaluation.measure import COLOR_SIDE, COLOR_STYLES, STYLES

    pair, look = timed[SYNTHETIC].values["unit"], timed[FCN_SCORE].values["val"]
    small = min(1.0, COLOR_SIDE**2 / _mean_pixels(train_samples(recipe)))
    each = STYLES * (pair + look) + COLOR_STYLES * small * pair
    return float(min(chooser.images, len(chooser.network.val)) * (2 * look + (1 + recipe.candidates) * each))
