"""From timed units to seconds and bytes: the arithmetic of `stage=plan`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rbc_lightning.data.dataset import CACHE_BYTES
from rbc_lightning.data.mix import Mix
from rbc_lightning.stages.planning.probes import Timing
from rbc_lightning.stages.planning.work import GANS, JUDGE, SYNTHETIC, TRAIN, TRANSLATOR, Work, mean_pixels
from rbc_lightning.stages.settings import process_count

# Kept in memory for real and for synthetic pairs (see `MixDataset`), and bytes per pixel of a kept pair.
_CACHE_SHARE = {"real": 0.75, "synthetic": 0.25}
_PAIR_BYTES = 5
# Of every held-out image, when checkpoints are chosen by quality: paintings judged, and small ones for their colours.
_PAINTED, _SMALL, _SMALL_SIDE = 4, 12, 256


@dataclass(frozen=True)
class Cost:
    """What a work still costs.

    Args:
        work: which.
        unit_seconds: of one step, mask, pair or image, all told.
        seconds: until it is finished, on one device.
        memory: peak of the process, bytes.
        gpu_memory: peak reserved on the GPU, bytes; 0 on the CPU.
        disk: bytes it leaves behind.
        timing: what was measured; where that failed, why.
    """

    work: Work
    unit_seconds: float = 0.0
    seconds: float = 0.0
    memory: float = 0.0
    gpu_memory: float = 0.0
    disk: float = 0.0
    timing: Timing = field(default_factory=Timing)


@dataclass(frozen=True)
class Loading:
    """How the samples of a step come in.

    Args:
        batch: samples of a step, on one device.
        workers: loader processes; with none, loading and computing take turns.
        shares: of real, synthetic and augmented samples; they add up to 1.
        kept: of real and of synthetic pairs, the shares that stay in memory.
    """

    batch: int
    workers: int
    shares: Mapping[str, float]
    kept: Mapping[str, float]

    def seconds(self, loading: Mapping[str, float], sources: Sequence[str] = ("real",)) -> float:
        """Seconds that one process takes to load a batch.

        Args:
            loading: seconds per sample to `decode`, to `crop` and to `augment`.
            sources: of the augmented samples.
        """
        kept = {**self.kept, "augmented": sum(self.kept[source] for source in sources) / len(sources)}
        decode = sum(share * (1 - kept[kind]) for kind, share in self.shares.items()) * loading["decode"]
        return self.batch * (decode + loading["crop"] + self.shares["augmented"] * loading["augment"])


def step_seconds(timing: Mapping[str, float], load: float, trial_load: float, workers: int) -> float:
    """Seconds of an optimiser step with its loading.

    Args:
        timing: `step` as timed, loading included, and the `gap` between two steps.
        load: seconds in which one process loads a batch.
        trial_load: the same for the batches that were timed; what else lies in the gap is bookkeeping.
        workers: loader processes, which work while the step computes.
    """
    own = timing["step"] - min(timing["gap"], trial_load)
    return own + load if workers == 0 else max(own, load / workers)


def training_seconds(timing: Mapping[str, float], steps: int, step: float, per_epoch: int, n_val: int, n_test: int) -> float:
    """Seconds of `steps` steps with the validations after every `per_epoch` of them, checkpoints, and the final test."""
    epochs = -(-steps // per_epoch)
    return steps * step + epochs * (n_val * timing["val"] + timing["epoch_end"]) + n_test * timing["test"] + timing["build"]


def cost_of(work: Work, timings: Mapping[str, Timing], loading: Timing | None, upstream: Mapping[str, Timing]) -> Cost:
    """What is left to pay for a work.

    Args:
        work: which.
        timings: by probe.
        loading: of this training's samples.
        upstream: timings of what lies upstream in the same cell, by kind.
    """
    timing = timings[work.probe] if work.left else Timing()
    if work.left == 0 or timing.problem:
        return Cost(work, timing=timing)
    values = timing.values
    memory = {"memory": values["memory"], "gpu_memory": values["gpu_memory"], "timing": timing}
    if work.kind in (TRAIN, JUDGE):
        return _training_cost(work, timing, loading, upstream)
    if work.kind in GANS:
        workers, n_train = int(work.cfg.trainer.num_workers), len(work.inputs.manifest.split("train"))
        # Loading is the gap between two steps.
        unit = step_seconds(values, values["gap"], values["gap"], workers)
        per_epoch = max(1, n_train // int(_batch(work)))
        seconds = work.left * unit + work.left / per_epoch * values["epoch_end"] + values["prepare"] * n_train
        disk = values["disk"] * (1 + int(work.cfg.translator.candidates))
        return Cost(work, unit, seconds, disk=disk, **memory)  # type: ignore[arg-type]  # by name
    seconds = work.left * values["unit"] + (_choosing(work, upstream) if work.kind == TRANSLATOR else 0.0)
    return Cost(work, values["unit"], seconds, disk=work.left * values.get("disk", 0.0), **memory)  # type: ignore[arg-type]  # by name


def _training_cost(work: Work, timing: Timing, loading: Timing | None, upstream: Mapping[str, Timing]) -> Cost:
    if loading is None or loading.problem:
        return Cost(work, timing=loading or Timing(problem="loading was not timed"))
    values, cfg, manifest = timing.values, work.cfg, work.inputs.manifest
    n_train = len(manifest.split("train"))
    # The judge sees flipped real images, which cost no more than real ones.
    mix = work.mix or Mix(n_train, 0, 0)
    kept, cache = _kept(work, mix, n_train)
    processes = process_count(cfg)
    shares = {name: getattr(mix, name) / mix.total for name in ("real", "synthetic", "augmented")}
    load = Loading(int(cfg.training.batch_size) // processes, int(cfg.trainer.num_workers), shares, kept)
    # Timed on real images, none of them kept.
    trial = Loading(load.batch, 0, {"real": 1.0, "synthetic": 0.0, "augmented": 0.0}, {"real": 0.0, "synthetic": 0.0})
    step = step_seconds(
        values, load.seconds(loading.values, mix.augmented_from), trial.seconds(loading.values), load.workers
    ) + _painting(work, mix, load.batch, upstream)
    n_val = len(manifest.split("test" if cfg.protocol == "paper" else "val"))
    n_test = len(manifest.split("test")) if work.kind == TRAIN else 0
    seconds = training_seconds(values, work.left, step, int(cfg.training.steps_per_epoch), n_val, n_test)
    return Cost(
        work,
        step,
        seconds,
        values["memory"] + cache * max(1, load.workers),
        values["gpu_memory"],
        # The best weights and the last ones.
        2 * values["checkpoint"],
        timing,
    )


def _kept(work: Work, mix: Mix, n_train: int) -> tuple[dict[str, float], float]:
    """Shares of the pairs that stay in a loading process's memory, and the bytes they take."""
    size = _PAIR_BYTES * mean_pixels(work.inputs)
    drawn = {"real": n_train if mix.real or "real" in mix.augmented_from else 0, "synthetic": mix.synthetic}
    room = {name: share * CACHE_BYTES for name, share in _CACHE_SHARE.items()}
    kept = {name: min(1.0, room[name] / (count * size)) if count else 0.0 for name, count in drawn.items()}
    return kept, sum(kept[name] * count * size for name, count in drawn.items())


def _painting(work: Work, mix: Mix, batch: int, upstream: Mapping[str, Timing]) -> float:
    """Seconds of a step in which pairs are made on the fly, from what a whole pair takes."""
    pairs = upstream.get(SYNTHETIC)
    if work.cfg.synthetic.mode != "online" or not mix.synthetic or pairs is None or pairs.problem:
        return 0.0
    crop = work.cfg.training.crop
    share = 1.0 if crop is None else min(1.0, crop**2 / mean_pixels(work.inputs))
    return batch * mix.synthetic / mix.total * pairs.values["unit"] * share


def _choosing(work: Work, upstream: Mapping[str, Timing]) -> float:
    """Seconds in which the judge looks at what every kept checkpoint paints."""
    timed = all(kind in upstream and not upstream[kind].problem for kind in (JUDGE, SYNTHETIC))
    # Where no pairs are made, painting is not timed.
    if work.cfg.translator.choose != "quality" or not timed:
        return 0.0
    pair, look = upstream[SYNTHETIC].values["unit"], upstream[JUDGE].values.get("test", 0.0)
    small = min(1.0, _SMALL_SIDE**2 / mean_pixels(work.inputs))
    images = min(int(work.cfg.translator.quality.images), len(work.inputs.manifest.split("val")))
    each = _PAINTED * (pair + look) + _SMALL * small * pair
    return images * (2 * look + (1 + int(work.cfg.translator.candidates)) * each)


def _batch(work: Work) -> int:
    stage = work.cfg.translator.get("stage2") if work.kind == "gan_stage2" else None
    return int((stage or work.cfg.translator).batch_size)
