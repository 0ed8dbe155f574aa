"""A few units of each kind of work, timed: what `stage=plan` runs in fresh processes, in a directory that is then removed."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from rbc_lightning.core.progress import tell
from rbc_lightning.core.recipe import Node, Recipe
from rbc_lightning.core.store import Store
from rbc_lightning.core.trainer import TrainerSettings
from rbc_lightning.core.training import LAST
from rbc_lightning.data.manifest import Manifest, Samples
from rbc_lightning.data.mix import Mix, MixStream
from rbc_lightning.data.sample import SPLITS, Sample, common_spec
from rbc_lightning.data.stream import MixDataset, PairCache
from rbc_lightning.errors import InputError
from rbc_lightning.planning.stopwatch import Stopwatch, mean, now, peak_memory, reset_peak
from rbc_lightning.planning.work import (
    LAYOUT_FIT,
    SEGMENTERS,
    TRANSLATOR,
    PlannedWork,
    PlanSettings,
    Timing,
    train_samples,
    trainer_of,
    tried_as,
)
from rbc_lightning.sweeps.job import run_apart
from rbc_lightning.tracking.base import Tracking
from rbc_lightning.tracking.curves import CsvTracking

if TYPE_CHECKING:
    from rbc_lightning.data.augment import TrainingAugmentation

# Samples that a probe is given at most: as many as its steps take.
_LEAST_IMAGES, _MOST_IMAGES = 4, 64
# Donor cells and empty label maps need some choice of images.
_LOADED = 8
# Whole images of validation and test that are looked at, the first of them to warm up.
_HELD_OUT = 2
# One epoch, no checkpoints besides the last, no choice among them, no search.
_ONE_EPOCH = {"n_epochs": 1, "n_epochs_decay": 0, "n_epochs_fix_global": 0}
_PLAIN = {**_ONE_EPOCH, "candidates": 0, "choose": "last", "chooser": None, "generations": 0, "population": 4}
# Of these, what stands among the arguments of a task.
_OF_TASKS = {*_ONE_EPOCH, "batch_size"}
_MEMORY = re.compile(r"SIGKILL|out of memory|OutOfMemory|(can't|cannot) allocate|MemoryError|bad_alloc", re.IGNORECASE)


def time_work(work: PlannedWork, limits: PlanSettings, threads: int | None, scratch: Path) -> Timing:
    """Time some units of a work in a process of its own, with so many threads, in a directory for everything tried."""
    tell(f"Timing {work.name} ...")
    if work.kind in SEGMENTERS:
        batch = work.recipe.training.batch_size
    else:
        # The same images for all that is upstream of a translator, or made by it.
        translators: list[Any] = [node for node in work.job.nodes() if node.kind == TRANSLATOR]
        batch = max((size for each in translators for size in each.batch_sizes().values()), default=1)
    images = _LEAST_IMAGES
    if work.kind != LAYOUT_FIT:
        images = max(images, min((1 + limits.steps) * batch, _MOST_IMAGES))
    probe = partial(time_recipe, tried_as(work.recipe), images, scratch / "artifacts", limits)
    return measure(probe, log=scratch / "log.txt", threads=threads)


def measure(probe: Callable[[], Mapping[str, float]], *, log: Path, threads: int | None) -> Timing:
    """Run a picklable probe in a process of its own, so that its memory is its own, and whatever befalls it ends here."""
    outcome = run_apart(partial(_probe, probe), threads, log=log)
    timing = Timing(**json.loads(outcome.message)) if outcome.status == "finished" else Timing(problem=outcome.message)
    # An argument check may have been handed the system's word on memory.
    if _MEMORY.search(timing.problem):
        return Timing(problem=f"does not fit into the memory of this machine ({timing.problem})")
    return timing


def _probe(probe: Callable[[], Mapping[str, float]], threads: int | None) -> Timing:
    with suppress(OSError):
        # Where memory ends the kernel shall kill this process first.
        Path("/proc/self/oom_score_adj").write_text("1000")
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        return Timing({**probe(), **peak_memory()})
    except InputError as error:
        return Timing(problem=" ".join(str(error).split()), refused=True)


def time_recipe(recipe: Recipe[Any], images: int, scratch: Path, limits: PlanSettings) -> dict[str, float]:
    """Make a short copy of a recipe, after all that lies upstream of it and is not in the scratch store yet.

    Args:
        recipe: what is timed.
        images: training images at most.
        scratch: root of a store.
        limits: how many steps, and how long.

    Returns:
        Of a training seconds: `step`, of it `gap` between two steps (loading and bookkeeping), `epoch_end` (checkpoints),
        `val` and `test` per image, `build` before the first step, `prepare` outside of all steps per training image; and
        `checkpoint`, bytes, and `images`, those trained on; of a segmenter what `time_loading` finds, too. Else `unit`,
        seconds per unit, and `disk`, bytes per unit.
    """
    watch, store = Stopwatch(limits), Store(scratch)
    trial = trial_of(recipe, images, 1 + limits.steps, watch)
    samples = train_samples(trial)
    loading = {}
    if recipe.kind in SEGMENTERS:
        crop = recipe.training.crop  # type: ignore[attr-defined]  # all segmenters have it
        loading = time_loading(train_samples(recipe)[:_LOADED], getattr(recipe, "augmentation", None), crop, limits.seconds)
    for upstream in trial.upstream():
        store.ensure(upstream)
    watch.reset()
    reset_peak()
    seconds, directory = _make(trial, store), store.path(trial)
    if watch.steps:
        # Members keep their best weights alone.
        one = recipe.kind in SEGMENTERS and (directory / LAST).is_file()
        size = float((directory / LAST).stat().st_size) if one else _bytes_below(directory / LAST.parent)
        prepare = max(0.0, seconds - (watch.ended - watch.steps[0][1])) / len(samples)
        return {**watch.numbers(), **loading, "prepare": prepare, "checkpoint": size, "images": len(samples)}
    if trial.grows:
        return _file_times(directory)
    if recipe.kind == LAYOUT_FIT:
        # One round of the search more than none; the first time has warmed up.
        more = _make(replace(trial, generations=1), store) - _make(trial, store)  # type: ignore[type-var]
        units = trial.population * len(samples)  # type: ignore[attr-defined]  # see `LayoutFitRecipe`
        return {"unit": max(1e-6, more) / units, "measured": units}
    work = trial.work()
    units = len(samples) if work is None else work.units
    return {"unit": seconds / units, "measured": units, "disk": _bytes_below(directory) / units}


def trial_of(recipe: Recipe[Any], images: int, units: int, watch: Stopwatch) -> Recipe[Any]:
    """A short copy of a recipe and of all that it is made from; what lies upstream is the same whichever recipe is tried.

    A run is tried on real samples: loading synthetic and augmented ones is timed apart. `images` are the most training
    images, `units` are steps or pairs.
    """
    names = {**_PLAIN, "count": units, "steps": units, "steps_per_epoch": units}
    shorter = {*names, "batch_size"}

    def shorten(name: str, value: Any, processes: int) -> Any:  # noqa: ANN401 (the value of any field)
        if name in names:
            return names[name]
        if name == "batch_size":
            return max(1, value // processes)
        if isinstance(value, Samples | Manifest):
            return type(value)(_first(value.samples, images))
        if isinstance(value, TrainerSettings):
            return replace(value, devices=1, strategy="auto", num_workers=0, progress_bar=False, callbacks=(watch,))
        if isinstance(value, Tracking):
            return CsvTracking()
        if isinstance(value, Mapping):
            return {key: shorten(key, each, processes) if key in _OF_TASKS else each for key, each in value.items()}
        # Recipes have parts: settings of a training, or of a search.
        if not isinstance(value, Node) and not shorter & set(getattr(value, "__dataclass_fields__", ())):
            return value
        processes = trainer_of(value).processes if isinstance(value, Node) else processes
        changes = {entry.name: shorten(entry.name, getattr(value, entry.name), processes) for entry in fields(value)}
        return replace(value, **changes)

    if getattr(recipe, "mix", None) is not None:
        real = Mix(min(images, len(train_samples(recipe))), 0, 0)
        recipe = replace(recipe, mix=real, synthetic=None)  # type: ignore[type-var]  # a dataclass that has both
    short: Recipe[Any] = shorten("", recipe, 1)
    return short


def time_loading(
    samples: Sequence[Sample], augmentation: TrainingAugmentation | None, crop: int | None, limit: float
) -> dict[str, float]:
    """Load training samples: seconds per sample to `decode` it, to `crop` it, and what it takes more to `augment` it.

    After `limit` seconds of one kind no other sample is loaded; `crop` is the side of the crops, None for whole images.
    """
    n = len(samples)
    augment = augmentation.build(samples, 0, common_spec(samples)) if augmentation else None

    def from_memory(mix: Mix) -> float:
        # All in memory: what is left is crop, augmentation, and the change to tensors.
        data = MixDataset(samples, (), MixStream(mix, n, 0, 0), augment=augment, crop=crop, seed=0, cache_bytes=2**40)
        for index in range(n):
            data[index]
        return _seconds_each([partial(data.__getitem__, n + index) for index in range(max(n, 16))], limit)

    cropped = from_memory(Mix(n, 0, 0))
    augmented = from_memory(Mix(0, 0, n)) if augmentation else cropped
    decode = _seconds_each([partial(PairCache(0).read, sample) for sample in samples], limit)
    return {"decode": decode, "crop": cropped, "augment": max(0.0, augmented - cropped)}


def _first(samples: Sequence[Sample], images: int) -> tuple[Sample, ...]:
    """The first training samples, and of every other split as many as are looked at."""
    most = dict.fromkeys(SPLITS, _HELD_OUT) | {"train": images}
    return tuple(sample for split in SPLITS for sample in [s for s in samples if s.split == split][: most[split]])


def _make(recipe: Recipe[Any], store: Store) -> float:
    """Seconds in which a recipe is made, though another one may have had the same short copy."""
    shutil.rmtree(store.path(recipe), ignore_errors=True)
    started = now()
    store.ensure(recipe)
    return now() - started


def _file_times(directory: Path) -> dict[str, float]:
    """Seconds of a pair, from the times at which the images were written: nothing else is done in between."""
    images = sorted((directory / "images").iterdir())
    gaps = [b - a for a, b in itertools.pairwise(path.stat().st_mtime_ns / 1e9 for path in images)]
    disk = sum(_bytes_below(directory / name) for name in ("images", "labels")) / len(images)
    return {"unit": mean(gaps), "measured": len(gaps), "disk": disk}


def _seconds_each(actions: Sequence[Callable[[], object]], limit: float) -> float:
    """Mean seconds of the actions behind the first one, for as long as the limit allows."""
    times: list[float] = []
    for action in actions:
        started = now()
        action()
        times.append(now() - started)
        if sum(times) > limit:
            break
    return mean(times[1:] or times)


def _bytes_below(directory: Path) -> float:
    return float(sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()))
