"""A few steps of each kind of work, timed: what `stage=plan` runs in fresh processes, in a directory that is then removed."""

import itertools
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from rbc_lightning.artifacts import Artifact, ArtifactStore
from rbc_lightning.data.copy_paste import build_training_augmentation
from rbc_lightning.data.datamodule import SmearDataModule
from rbc_lightning.data.dataset import MixDataset, PairCache
from rbc_lightning.data.formats import read_label_map
from rbc_lightning.data.manifest import Manifest, Record
from rbc_lightning.data.mix import Mix, MixStream
from rbc_lightning.errors import InputError
from rbc_lightning.masks import ShapeBank
from rbc_lightning.masks.fit import fit_sampler
from rbc_lightning.stages.cell import run_apart
from rbc_lightning.stages.inputs import Inputs
from rbc_lightning.stages.planning.stopwatch import (
    Limits,
    go_first,
    mean,
    now,
    peak_gpu_memory,
    peak_memory,
    reset_peak,
    watch_trainings,
)
from rbc_lightning.stages.planning.work import GANS, SYNTHETIC, TRANSLATOR
from rbc_lightning.stages.segmenter import build_task, fit, with_measured_sizes
from rbc_lightning.stages.synthesize import get_synthetic
from rbc_lightning.stages.translator import get_translator

# Whole images of validation and test that are looked at, the first of them to warm up.
_HELD_OUT = 2
_POPULATION = 4
_MEMORY = re.compile(r"SIGKILL|out of memory|OutOfMemory|(can't|cannot) allocate|MemoryError|bad_alloc", re.IGNORECASE)


@dataclass(frozen=True)
class Timing:
    """What a probe found.

    Args:
        values: seconds per unit and other numbers by name, bytes of memory and disk among them.
        problem: one line: why there are none.
        refused: whether a setting is at fault, so that the run itself would end with this line.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""
    refused: bool = False


@dataclass(frozen=True)
class _Numbers:
    """What a probe sends back to the process that waits for it."""

    values: dict[str, float]
    refused: str = ""

    def summary(self) -> str:
        return json.dumps({"values": self.values, "refused": self.refused})


def measure(probe: Callable[..., dict[str, float]], cfg: DictConfig, *arguments: object, log: Path, limits: Limits) -> Timing:
    """Run a probe in a process of its own, so that its memory is its own, and whatever befalls it ends here.

    Args:
        probe: one of this file's.
        cfg: the configuration of the cell.
        arguments: of the probe, behind `cfg` and `limits`.
        log: takes its output.
        limits: see there.
    """
    outcome = run_apart(partial(_probe, probe, limits, arguments), cfg, log=log)
    message, refused = outcome.message, False
    if outcome.status == "finished":
        found = json.loads(outcome.message)
        message, refused = found["refused"], bool(found["refused"])
        if not refused:
            return Timing(found["values"])
    # An argument check may have been handed the system's word on memory.
    if _MEMORY.search(message):
        return Timing(problem=f"does not fit into the memory of this machine ({message})")
    return Timing(problem=message, refused=refused)


def _probe(probe: Callable[..., dict[str, float]], limits: Limits, arguments: Sequence[object], cfg: DictConfig) -> _Numbers:
    go_first()
    if limits.threads is not None:
        torch.set_num_threads(limits.threads)
    try:
        values = probe(_plain(cfg), limits, *arguments)
    except InputError as error:
        return _Numbers({}, refused=" ".join(str(error).split()))
    return _Numbers({**values, "memory": peak_memory(), "gpu_memory": peak_gpu_memory()})


def few(manifest: Manifest, n_train: int, cfg: DictConfig) -> Manifest:
    """Some samples of each split: enough to be timed with."""
    kept: list[Record] = list(manifest.split("train")[:n_train])
    for name in ("test",) if cfg.protocol == "paper" else ("val", "test"):
        kept += manifest.split(name)[:_HELD_OUT]  # type: ignore[arg-type]  # both are splits
    return Manifest(tuple(kept))


def time_training(cfg: DictConfig, limits: Limits, manifest: Manifest, directory: Path) -> dict[str, float]:
    """Train, validate and test a model of the config's size on whole batches of real images.

    Returns:
        Seconds: `step`, of it `gap` between two steps (loading and bookkeeping), `val` and `test` per image, `epoch_end`
        (checkpoints) and `build`; `checkpoint`, bytes.
    """
    watch, started = watch_trainings(limits), now()
    cfg = with_measured_sizes(cfg, manifest)
    task = build_task(cfg)
    build_seconds = now() - started
    n_train = len(manifest.split("train"))
    steps = 1 + limits.steps
    data = SmearDataModule(
        manifest,
        (),
        Mix(real=n_train, synthetic=0, augmented=0),
        augment=None,
        crop=cfg.training.crop,
        batch_size=cfg.training.batch_size,
        steps_per_epoch=steps,
        seed=0,
        select_on="test" if cfg.protocol == "paper" else "val",
        cache_bytes=0,
    )
    trainer, _ = fit(cfg, directory, task, data, seed=0, steps=steps, loggers=[])
    numbers = watch.numbers()
    trainer.test(task, datamodule=data, verbose=False)
    numbers["test"] = watch.numbers()["test"]
    return {**numbers, "build": build_seconds, "checkpoint": (directory / "checkpoints" / "last.ckpt").stat().st_size}


def time_loading(cfg: DictConfig, limits: Limits, manifest: Manifest) -> dict[str, float]:
    """Load samples: seconds per sample to `decode` it, to `crop` it, and what it takes more to `augment` it."""
    records = manifest.split("train")
    settings: Any = OmegaConf.to_container(cfg.augment, resolve=True)
    augment = build_training_augmentation(settings, records, 0)
    decode = _seconds_each([partial(PairCache(0).read, record) for record in records], limits)

    def from_memory(augmented: bool) -> float:
        n = len(records)
        mix = Mix(0, 0, n) if augmented else Mix(n, 0, 0)
        # All in memory: what is left is crop, augmentation, and the change to tensors.
        data = MixDataset(
            records, (), MixStream(mix, n, 0, 0), augment=augment, crop=cfg.training.crop, seed=0, cache_bytes=2**40
        )
        for index in range(n):
            data[index]
        return _seconds_each([partial(data.__getitem__, n + index) for index in range(max(n, 16))], limits)

    crop = from_memory(False)
    return {"decode": decode, "crop": crop, "augment": max(0.0, from_memory(True) - crop)}


def time_layout_fit(cfg: DictConfig, limits: Limits, manifest: Manifest) -> dict[str, float]:  # noqa: ARG001 (the probes' form)
    """Fit the sampler for one round instead of none: `unit` seconds of a mask sampled and measured."""
    label_maps = [read_label_map(record.label_path) for record in manifest.split("train")]
    bank, seconds = ShapeBank.from_label_maps(label_maps), []
    for rounds in (0, 0, 1):  # the first one warms up
        started = now()
        fit_sampler(label_maps, seed=0, workers=os.cpu_count() or 1, bank=bank, generations=rounds, population=_POPULATION)
        seconds.append(now() - started)
    each = max(1e-6, seconds[2] - seconds[1]) / (_POPULATION * len(label_maps))
    return {"unit": each, "measured": _POPULATION * len(label_maps), "warm": 1.0}


def time_artifact(cfg: DictConfig, limits: Limits, manifest: Manifest, root: Path, kind: str) -> dict[str, float]:
    """Make one artifact of the config's size from a few images, and whatever lies upstream of it that is not in `root`.

    Returns:
        `unit`, seconds per unit (see `Work`), and `disk`, bytes per unit. Of a GAN what `time_training` tells of a step and
        an epoch's end, `prepare`, seconds per training image before the first step, and `disk`, bytes of a checkpoint.
    """
    watch, store = watch_trainings(limits), _Until(root, kind)
    inputs, count = Inputs(store, manifest), 1 + limits.steps
    with suppress(_Enough):
        # A given set of pairs would leave the translator unasked for.
        _ = get_translator(cfg, inputs) if kind in (*GANS, TRANSLATOR) else get_synthetic(cfg, inputs, count)
    if store.made is None:
        raise RuntimeError(f"nothing of the kind {kind} was made")
    if kind in GANS:
        numbers = watch.numbers()
        # Before its first step, stage 2 has the encoder of stage 1 look at every training image.
        numbers["prepare"] = max(0.0, store.seconds - watch.seconds) / len(manifest.split("train"))
        return {**numbers, "disk": _bytes_below(store.made / "checkpoints")}
    if kind == SYNTHETIC:
        return _pair_times(store.made)
    n_train = len(manifest.split("train"))
    return {
        "unit": store.seconds / n_train,
        "measured": n_train,
        "warm": 1.0,
        "disk": _bytes_below(store.made) / n_train,
    }


class _Enough(Exception):
    """The artifact that was to be timed is made."""


class _Until(ArtifactStore):
    """A store that stops once it has made an artifact of a certain kind, and tells how long that took."""

    def __init__(self, root: Path, kind: str) -> None:
        super().__init__(root)
        self.kind, self.seconds = kind, 0.0
        self.made: Path | None = None

    def get(
        self, kind: str, settings: Mapping[str, Any] | DictConfig, inputs: Sequence[str], build: Callable[[Path], None]
    ) -> Artifact:
        """See `ArtifactStore`."""
        if kind != self.kind:
            return super().get(kind, settings, inputs, build)

        def timed(directory: Path) -> None:
            reset_peak()
            started = now()
            build(directory)
            self.seconds = now() - started

        self.made = super().get(kind, settings, inputs, timed).path
        raise _Enough

    def extend(
        self,
        kind: str,
        settings: Mapping[str, Any] | DictConfig,
        inputs: Sequence[str],
        complete: Callable[[Path], bool],
        build: Callable[[Path], None],
    ) -> Artifact:
        """See `ArtifactStore`."""
        reset_peak()
        artifact = super().extend(kind, settings, inputs, complete, build)
        self.made = artifact.path
        return artifact


def _pair_times(directory: Path) -> dict[str, float]:
    """Seconds of a pair, from the times at which the images were written: nothing else is done in between."""
    images = sorted((directory / "images").glob("*.png"))
    written = [path.stat().st_mtime_ns / 1e9 for path in images]
    gaps = [b - a for a, b in itertools.pairwise(written)]
    disk = sum(_bytes_below(directory / name) for name in ("images", "labels")) / len(images)
    return {"unit": mean(gaps), "measured": len(gaps), "warm": 1.0, "disk": disk}


def _plain(cfg: DictConfig) -> DictConfig:
    """The configuration for a short trial: one process, nobody told, one epoch of a GAN, no choice among checkpoints."""
    cfg = cfg.copy()
    processes = cfg.trainer.devices if cfg.trainer.devices > 0 else max(1, torch.cuda.device_count())
    changes = {"trainer.devices": 1, "trainer.num_workers": 0, "trainer.progress_bar": False, "logger.kind": "csv"}
    changes |= {"sampler.fitted": False, "fit": False, "translator.candidates": 0, "translator.choose": "last"}
    for part in ("translator.task", "translator.stage2"):
        changes |= {f"{part}.n_epochs": 1, f"{part}.n_epochs_decay": 0, f"{part}.n_epochs_fix_global": 0}
    for batch in ("training", "translator", "translator.stage2"):
        size = OmegaConf.select(cfg, f"{batch}.batch_size")
        changes |= {} if size is None else {f"{batch}.batch_size": max(1, size // processes)}
    for key, value in changes.items():
        parent, _, name = key.rpartition(".")
        node = OmegaConf.select(cfg, parent) if parent else cfg
        if node is not None and name in node:
            node[name] = value
    return cfg


def _seconds_each(actions: Sequence[Callable[[], object]], limits: Limits) -> float:
    """Mean seconds of the actions behind the first one, for as long as the limits allow."""
    actions[0]()
    started, done = now(), 0
    for action in actions[1:] or actions:
        action()
        done += 1
        if now() - started > limits.seconds:
            break
    return (now() - started) / done


def _bytes_below(directory: Path) -> float:
    return float(sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()))
