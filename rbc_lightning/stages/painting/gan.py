"""Training of the GAN, one artifact per stage: stage 1, then the enhancer on the styles that stage 1 gave to every cell."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig
from PIL import Image

from rbc_lightning.data.dataset import SmearDataset
from rbc_lightning.data.formats import file_sha256, write_atomically
from rbc_lightning.data.manifest import Record
from rbc_lightning.errors import InputError, blaming
from rbc_lightning.stages.inputs import Inputs, console, derive_seed
from rbc_lightning.stages.instantiation import build
from rbc_lightning.stages.painting.gan_training import LAST, GanSchedule, fit_gan, kept_checkpoints
from rbc_lightning.stages.training import training_numerics
from rbc_lightning.tasks.instance_styles import encode_samples
from rbc_lightning.tasks.pix2pixhd import Pix2PixHDTask

# Settings of `translator.stage2` that are the stage's own, not the task's.
_OF_THE_DATA = ("crop", "batch_size")


@dataclass(frozen=True)
class _Plan:
    """One stage: what differs from `translator.task`, its crops and batches, and how many checkpoints it keeps on the way."""

    overrides: dict[str, Any]
    crop: int | None
    batch_size: int
    candidates: int


@dataclass(frozen=True)
class TrainedGan:
    """A trained GAN on disk.

    Attributes:
        directory: of its last stage.
        first_directory: of stage 1, whose encoder gives the styles; the same one where there is no stage 2.
        key: of the artifact.
    """

    directory: Path
    first_directory: Path
    key: str

    def load_first(self) -> Pix2PixHDTask:
        """The task of stage 1."""
        return load_task(self.first_directory / LAST)

    def candidates(self) -> list[Path]:
        """Checkpoints kept on the way, in the order of training; the last one is the end of it."""
        return kept_checkpoints(self.directory)


def load_task(path: Path) -> Pix2PixHDTask:
    """Read a checkpoint; what only training needs is left away."""
    # Without the perceptual network: painting must not depend on its file.
    task = Pix2PixHDTask.load_from_checkpoint(path, weights_only=True, map_location="cpu", perceptual=None, compile=False)
    return task.eval()


def get_gan(cfg: DictConfig, inputs: Inputs) -> TrainedGan:
    """The GAN that the config describes, trained stage by stage where it is not there yet."""
    settings, records = cfg.translator, inputs.manifest.split("train")
    two = settings.stages == 2
    plan = _Plan(
        {"shrink": settings.shrink} if two else {}, settings.crop, settings.batch_size, 0 if two else settings.candidates
    )
    common = {"task": settings.task, "vgg": _vgg_hash(cfg), "seed": cfg.seed, **training_numerics(cfg), "format": 4}

    def begin(directory: Path) -> None:
        _check_batches(records, settings.crop, settings.batch_size, settings.task.pool_size)
        if two:
            # Stage 1 may take hours: what stage 2 refuses should be said before.
            _check_batches(records, settings.stage2.crop, settings.stage2.batch_size, settings.task.pool_size)
            with blaming("translator.stage2"):
                build_task(cfg, _second(cfg)).start_from(build_task(cfg, plan.overrides))
        _train(cfg, inputs, directory, plan)

    first = inputs.store.get("gan_stage1", {**common, **asdict(plan)}, [inputs.train_fingerprint], begin)
    if not two:
        return TrainedGan(first.path, first.path, first.key)
    enhancer = _Plan(_second(cfg), settings.stage2.crop, settings.stage2.batch_size, settings.candidates)
    last = inputs.store.get(
        "gan_stage2",
        {**common, **asdict(enhancer)},
        [inputs.train_fingerprint, first.key],
        lambda directory: _train(cfg, inputs, directory, enhancer, first.path),
    )
    return TrainedGan(last.path, first.path, last.key)


def _second(cfg: DictConfig) -> dict[str, Any]:
    return {key: value for key, value in cfg.translator.stage2.items() if key not in _OF_THE_DATA} | {"stage": 2}


def _vgg_hash(cfg: DictConfig) -> str | None:
    """What the perceptual term's weights are: a file counts by content."""
    source: str | None = cfg.translator.task.perceptual
    return file_sha256(Path(source)) if source is not None and Path(source).is_file() else source


def build_task(cfg: DictConfig, overrides: Mapping[str, Any]) -> Pix2PixHDTask:
    """Instantiate the task of one stage, its weights drawn from the config's seed."""
    torch.manual_seed(derive_seed(cfg.seed, "translator") + overrides.get("stage", 1) - 1)
    # The names of what differs from `translator.task` belong into the message.
    group = "translator.task with translator.stage2" if overrides.get("stage") == 2 else "translator.task"
    task: Pix2PixHDTask = build(cfg.translator.task, group, **overrides)
    return task


def stored_styles(first: Pix2PixHDTask, records: Sequence[Record], path: Path) -> dict[str, NDArray[np.float32]]:
    """Style vectors of every instance of the training images, by sample_id (N, C); written to `path` once."""
    if not path.is_file():
        samples = SmearDataset(records)
        styles = encode_samples(first, (samples[index] for index in range(len(samples))))
        encoded: dict[str, Any] = {style.sample_id: style.vectors for style in styles}

        def write(part: Path) -> None:
            with part.open("wb") as file:
                np.savez_compressed(file, **encoded)

        write_atomically(path, write)
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _train(
    cfg: DictConfig,
    inputs: Inputs,
    directory: Path,
    plan: _Plan,
    first_directory: Path | None = None,
) -> None:
    """Train one stage in `directory`, going on from its last checkpoint if there is one."""
    records = inputs.manifest.split("train")
    task = build_task(cfg, plan.overrides)
    last = directory / LAST
    if first_directory is not None:
        first = load_task(first_directory / LAST)
        task.use_styles(stored_styles(first, records, directory / "stored_styles.npz"))
        if not last.is_file():
            task.start_from(first)
    crop = fitting_crop(records, plan.crop)
    stage, epochs = task.settings.stage, int(task.hparams["n_epochs"] + task.hparams["n_epochs_decay"])
    region = "whole images" if crop is None else f"crops of {crop} px"
    smaller = f", made {task.hparams['shrink']:g} times smaller" if task.hparams["shrink"] != 1 else ""
    perceptual = "" if task.hparams["perceptual"] else " The VGG term is off (translator.task.perceptual)."
    console.print(
        f"Training the translator, stage {stage}: {epochs} epochs of {len(records)} images, {region}{smaller}.{perceptual}"
    )
    schedule = GanSchedule(crop, plan.batch_size, epochs, f"translator_stage{stage}", candidates=plan.candidates)
    fit_gan(cfg, inputs, directory, task, schedule)


def fitting_crop(records: Sequence[Record], crop: int | None) -> int | None:
    """The crop, no larger than the smallest image: styles are kept by id, and continuing an image would make new ids."""
    return None if crop is None else min(crop, *(min(size) for size in _sizes(records)))


def _check_batches(records: Sequence[Record], crop: int | None, batch_size: int, pool_size: int) -> None:
    """Refuse whole images of several sizes where they would have to be stacked."""
    sizes = sorted(set(_sizes(records)))
    if crop is None and len(sizes) > 1 and (batch_size > 1 or pool_size):
        raise InputError(
            f"the training images have {len(sizes)} sizes, such as {sizes[0][0]} x {sizes[0][1]} and {sizes[-1][0]} x "
            f"{sizes[-1][1]}: whole ones cannot share a batch or an image pool; set a crop (translator.crop, "
            "translator.stage2.crop), or take batches of 1 and no pool"
        )


def _sizes(records: Sequence[Record]) -> list[tuple[int, int]]:
    """Width and height of every image, from its header."""
    sizes = []
    for record in records:
        with Image.open(record.image_path) as image:
            sizes.append(image.size)
    return sizes
