"""What the cells of a plan would have to make: trainings, and the shared things upstream of them; nothing is made here."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf, open_dict
from PIL import Image

from rbc_lightning.artifacts import Artifact, ArtifactStore, content_hash, to_plain
from rbc_lightning.data.mix import Mix
from rbc_lightning.stages.inputs import Inputs, splits_fingerprint
from rbc_lightning.stages.painting.judge import judge_identity
from rbc_lightning.stages.run_directory import METRICS, run_directory
from rbc_lightning.stages.sampling import fit_layout, is_fitted, shape_bank
from rbc_lightning.stages.synthesize import get_synthetic
from rbc_lightning.stages.train import resolve_mix
from rbc_lightning.stages.training import training_numerics
from rbc_lightning.stages.translator import get_translator

TRAIN, JUDGE, SYNTHETIC, LAYOUT_FIT, TRANSLATOR = "train", "judge", "synthetic", "layout_fit", "translator"
# Trainings whose result is asked for by its key alone, so that what follows is known before they are there.
GANS = ("gan_stage1", "gan_stage2", "pix2pix")
# Names of data and runs; `seed` decides no time either.
_NO_MATTER = ("name", "n_real_images", "phantom_seed")


@dataclass(frozen=True)
class Work:
    """One thing to be made; cells that name the same key share it.

    Args:
        kind: "train", or the kind of an artifact.
        key: of the artifact or run; things that exist under several settings differ in it.
        probe: what decides how long a unit takes; works with the same one are timed once.
        units: optimiser steps, images, masks or pairs in all.
        done: of them, what is there already; as many as `units` when it is finished.
        cfg: of the first cell that asks for it.
        inputs: the data set of that cell.
        mix: of a training.
    """

    kind: str
    key: str
    probe: str
    units: int
    done: int
    cfg: DictConfig = field(compare=False, repr=False)
    inputs: Inputs = field(compare=False, repr=False)
    mix: Mix | None = None

    @property
    def left(self) -> int:
        """Units still to be made."""
        return self.units - self.done


@dataclass(frozen=True)
class CellWork:
    """What one cell needs: what lies upstream, in the order in which it is made, and its training, if it has one."""

    label: str
    upstream: tuple[Work, ...]
    training: Work | None

    @property
    def works(self) -> tuple[Work, ...]:
        """What is made for the cell; nothing upstream is asked for by a finished one."""
        if self.training is None:
            return self.upstream
        return (self.training,) if self.training.left == 0 else (*self.upstream, self.training)


@dataclass(frozen=True)
class _Asked:
    kind: str
    path: Path
    settings: dict[str, Any]
    there: bool


class _NotMade(Exception):
    """What is asked for is not there, and nobody is to make it."""


class Ledger(ArtifactStore):
    """A store that says what is there, writes down what is asked for, and makes nothing."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, announce=lambda _: None)
        self.asked: dict[str, _Asked] = {}

    def get(
        self,
        kind: str,
        settings: Mapping[str, Any] | DictConfig,
        inputs: Sequence[str],
        build: Callable[[Path], None],  # noqa: ARG002 (nothing is built)
    ) -> Artifact:
        """The artifact if it is there; else a name for it, where a name is enough."""
        final = self._note(kind, settings, inputs)
        if not final.is_dir() and kind not in GANS:
            raise _NotMade(kind)
        return Artifact(kind, final, final.name, reused=final.is_dir())

    def extend(
        self,
        kind: str,
        settings: Mapping[str, Any] | DictConfig,
        inputs: Sequence[str],
        complete: Callable[[Path], bool],  # noqa: ARG002 (how many there are is counted later)
        build: Callable[[Path], None],  # noqa: ARG002 (nothing is built)
    ) -> Artifact:
        """Write down what is asked for; a set that grows is never handed out."""
        self._note(kind, settings, inputs)
        raise _NotMade(kind)

    def _note(self, kind: str, settings: Mapping[str, Any] | DictConfig, inputs: Sequence[str]) -> Path:
        lineage, final = self._describe(kind, settings, inputs)
        self.asked[kind] = _Asked(kind, final, lineage["settings"], final.is_dir())
        return final


def cell_work(label: str, cfg: DictConfig, inputs: Inputs) -> CellWork:
    """List what a cell would make with the stage that `plan.stage` names.

    Args:
        label: how the user knows the cell.
        cfg: its configuration.
        inputs: its data set.

    Raises:
        InputError: a setting is at fault.
    """
    cfg = cfg.copy()
    cfg.stage = cfg.plan.stage
    mix = None if cfg.stage == TRANSLATOR else resolve_mix(cfg, inputs)
    ledger = Ledger(inputs.store.root)
    _ask(cfg, Inputs(ledger, inputs.manifest), mix)
    upstream = tuple(_artifact_work(cfg, inputs, asked, mix) for asked in _in_order(ledger, cfg, mix))
    return CellWork(label, upstream, None if mix is None else _training_work(cfg, inputs, mix))


def _ask(cfg: DictConfig, inputs: Inputs, mix: Mix | None) -> None:
    """Ask for all that a run on this mix would ask for, or `stage=translator` without one."""
    if mix is not None and (mix.synthetic == 0 or cfg.synthetic.path is not None):
        return
    asks: tuple[Callable[[], object], ...] = (lambda: get_translator(cfg, inputs), lambda: _ask_judge(cfg, inputs))
    for ask in (
        asks
        if mix is None
        else (
            lambda: shape_bank(inputs),
            *asks,
            lambda: _ask_fit(cfg, inputs),
            lambda: get_synthetic(cfg, inputs, mix.synthetic) if cfg.synthetic.mode == "offline" else None,
        )
    ):
        with suppress(_NotMade):
            ask()


def _ask_judge(cfg: DictConfig, inputs: Inputs) -> None:
    """Checkpoints are chosen by a judge only while there is no translator; `stage=translator` shows it every painter."""
    asked = _asked(inputs).get(TRANSLATOR)
    chooses = cfg.translator.choose == "quality" and asked is not None and not asked.there
    if chooses or (cfg.stage == TRANSLATOR and cfg.translator.quality.enabled):
        inputs.store.get(JUDGE, *judge_identity(cfg, inputs), lambda _: None)


def _ask_fit(cfg: DictConfig, inputs: Inputs) -> None:
    if is_fitted(cfg):
        bank = _asked(inputs)["shape_bank"]
        fit_layout(cfg, inputs, Artifact("shape_bank", bank.path, bank.path.name, bank.there))


def _asked(inputs: Inputs) -> dict[str, _Asked]:
    ledger = inputs.store
    assert isinstance(ledger, Ledger)
    return ledger.asked


def _in_order(ledger: Ledger, cfg: DictConfig, mix: Mix | None) -> list[_Asked]:
    """What was asked for, a judge before the translator that it chooses, pairs last."""
    asked = dict(ledger.asked)
    if mix is not None and mix.synthetic and cfg.synthetic.path is None and SYNTHETIC not in asked:
        # Its key depends on what is not made yet; what it will be made from stands in for it.
        sources = {kind: one.path.name for kind, one in asked.items()}
        settings = to_plain({"sampler": cfg.sampler, "style": cfg.synthetic.style, "seed": cfg.seed, "sources": sources})
        unknown = ledger.root / SYNTHETIC / f"planned_{content_hash(settings)}"
        asked[SYNTHETIC] = _Asked(SYNTHETIC, unknown, settings, there=False)
    rank = {JUDGE: 1, TRANSLATOR: 2, LAYOUT_FIT: 3, SYNTHETIC: 4}
    return sorted(asked.values(), key=lambda one: rank.get(one.kind, 0))


def _artifact_work(cfg: DictConfig, inputs: Inputs, asked: _Asked, mix: Mix | None) -> Work:
    units = _units(cfg, inputs, asked, mix)
    done = units if asked.there else 0
    if asked.kind == SYNTHETIC:
        done = min(units, len(list((asked.path / "images").glob("*"))))
    elif asked.kind in GANS and not asked.there:
        epochs = _epochs(asked.settings, cfg)
        done = begun_epochs(asked.path.with_suffix(".partial")) * (units // max(1, epochs))
    if asked.kind == JUDGE:
        cfg = _judge_run(cfg, asked.settings)
        done = done or begun_epochs(asked.path.with_suffix(".partial")) * int(cfg.training.steps_per_epoch)
        probe = _training_probe(cfg)
    else:
        # The same generator whatever the seed; and whatever its styles, pairs are painted by it.
        kept = {key: value for key, value in asked.settings.items() if key not in ("seed", "sources", "judged")}
        about = {"translator": cfg.translator, "sampler": cfg.sampler.fitted} if asked.kind in (TRANSLATOR, SYNTHETIC) else kept
        probe = content_hash([asked.kind, to_plain(about), _data(cfg), training_numerics(cfg)])
    return Work(asked.kind, asked.path.name, probe, units, min(done, units), cfg, inputs)


def _judge_run(cfg: DictConfig, settings: Mapping[str, Any]) -> DictConfig:
    """The configuration under which the judge is trained: a segmenter like any other."""
    cfg = cfg.copy()
    with open_dict(cfg):
        cfg.model = OmegaConf.create(settings["model"])
        cfg.training = OmegaConf.create(settings["training"])
    return cfg


def _training_work(cfg: DictConfig, inputs: Inputs, mix: Mix) -> Work:
    directory = run_directory(cfg, mix, splits_fingerprint(inputs.manifest))
    steps = int(cfg.training.steps)
    if not cfg.rerun and (directory / METRICS).is_file():
        done = steps
    else:
        done = 0 if cfg.rerun else min(steps - 1, begun_epochs(directory) * int(cfg.training.steps_per_epoch))
    return Work(TRAIN, directory.name, _training_probe(cfg), steps, done, cfg, inputs, mix)


def _training_probe(cfg: DictConfig) -> str:
    training = {key: cfg.training[key] for key in ("batch_size", "crop", "ema_decay")}
    return content_hash([TRAIN, to_plain(cfg.model), training, _data(cfg), cfg.protocol, training_numerics(cfg)])


def loading_probe(cfg: DictConfig) -> str:
    """What decides how long a sample takes to load: sizes, crop, augmentation."""
    return content_hash(["loading", to_plain(cfg.augment), cfg.training.crop, _data(cfg)])


def _data(cfg: DictConfig) -> dict[str, Any]:
    return {key: value for key, value in to_plain(cfg.data).items() if key not in _NO_MATTER}


def _units(cfg: DictConfig, inputs: Inputs, asked: _Asked, mix: Mix | None) -> int:
    """How many steps, masks, pairs or images it takes to make an artifact."""
    n_train = len(inputs.manifest.split("train"))
    if asked.kind == SYNTHETIC:
        # Where pairs are made on the fly, one of them stands for what painting takes.
        return mix.synthetic if mix is not None and cfg.synthetic.mode == "offline" else 1
    if asked.kind == JUDGE:
        return int(asked.settings["training"]["steps"])
    if asked.kind == LAYOUT_FIT:
        # One mask for each training image and candidate, and one more round for the best.
        return (int(asked.settings["generations"]) * int(asked.settings["population"]) + 1) * n_train
    if asked.kind in GANS:
        return _epochs(asked.settings, cfg) * max(1, n_train // int(asked.settings["batch_size"]))
    return n_train


def _epochs(settings: Mapping[str, Any], cfg: DictConfig) -> int:
    """Epochs of a GAN's stage: those of `translator.task` unless the stage has its own."""
    task = {**to_plain(cfg.translator.task), **settings.get("overrides", {})}
    return int(task["n_epochs"]) + int(task["n_epochs_decay"])


def begun_epochs(directory: Path) -> int:
    """Epochs after which an interrupted training in `directory` would go on; 0 where there is none."""
    path = directory / "checkpoints" / "last.ckpt"
    try:
        # Mapped, not read: of gigabytes only the page with the number.
        return int(torch.load(path, map_location="cpu", weights_only=True, mmap=True)["epoch"]) + 1
    except Exception:
        # Of any type, as a file that was cut off in the middle has it: then the training begins anew, too.
        return 0


def mean_pixels(inputs: Inputs) -> float:
    """Mean number of pixels of the training images, from their headers."""
    sizes = []
    for record in inputs.manifest.split("train"):
        with Image.open(record.image_path) as image:
            sizes.append(image.width * image.height)
    return sum(sizes) / len(sizes)
