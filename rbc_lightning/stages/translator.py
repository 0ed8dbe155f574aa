"""`stage=translator`: the GAN that paints label maps, trained on the train split."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from rbc_lightning.artifacts import content_hash
from rbc_lightning.data.augment import build_augmentation
from rbc_lightning.data.datamodule import SmearDataModule
from rbc_lightning.data.dataset import SmearDataset
from rbc_lightning.data.formats import file_sha256, read_image, read_label_map
from rbc_lightning.data.mix import Mix
from rbc_lightning.errors import InputError, blaming
from rbc_lightning.report.figures import save_pair_sheet
from rbc_lightning.stages.inputs import Inputs, console, derive_seed, load_inputs
from rbc_lightning.stages.training import build_loggers, build_trainer, close_loggers, last_checkpoint, precision
from rbc_lightning.tasks.styles import StyleBank
from rbc_lightning.tasks.surfaces import SurfaceBank
from rbc_lightning.tasks.translator import STYLES_FILE, SURFACES_FILE, WEIGHTS_FILE, Translator

_SOURCES = "trained_on.json"

# Flips only, as S3 5.1: they keep a smear a smear.
_FLIPS = {"horizontal_flip": {"p": 0.5}, "vertical_flip": {"p": 0.5}}


@dataclass(frozen=True)
class TrainedTranslator:
    """A translator on disk: its directory, the hash of its files, and the sample_ids it was trained on."""

    directory: Path
    key: str
    trained_on: tuple[str, ...]

    def load(self, device: str) -> Translator:
        """Load generator and styles."""
        return Translator.load(self.directory, device=device)


@dataclass(frozen=True)
class TranslatorResult:
    """Where the translator and its sheet are."""

    directory: Path
    figure: Path

    def summary(self) -> str:
        """One line for the end of the run."""
        return f"Translator in {self.directory}; look at {self.figure}"


def run(cfg: DictConfig) -> TranslatorResult:
    """Train the translator (or find it), and paint held-out label maps beside the truth."""
    inputs = load_inputs(cfg)
    trained = get_translator(cfg, inputs)
    translator = trained.load(device_of(cfg))
    records = inputs.manifest.split("val")[:6]
    pairs = [record.sample_id for record in records]
    figure = trained.directory / f"sheet_seed{cfg.seed}.png"
    painted = [
        translator.paint(read_label_map(record.label_path), derive_seed(cfg.seed, "preview") + i, cfg.synthetic.style)
        for i, record in enumerate(records)
    ]
    truth = [read_image(record.image_path) for record in records]
    save_pair_sheet(figure, pairs, [read_label_map(r.label_path) for r in records], truth, painted)
    return TranslatorResult(trained.directory, figure)


def get_translator(cfg: DictConfig, inputs: Inputs) -> TrainedTranslator:
    """The translator that the config describes: a given directory, or one from the store, trained if need be."""
    if cfg.translator.path is not None:
        return _open(Path(cfg.translator.path))
    numerics = {"precision": precision(cfg.trainer.precision), "accelerator": cfg.trainer.accelerator}
    settings = {"translator": cfg.translator, "seed": cfg.seed, **numerics, "format": 2}
    artifact = inputs.store.get("translator", settings, [inputs.train_fingerprint], lambda d: _train(cfg, inputs, d))
    return _open(artifact.path)


def device_of(cfg: DictConfig) -> str:
    """The device that paints: the trainer's."""
    return "cuda" if cfg.trainer.accelerator == "gpu" and torch.cuda.is_available() else "cpu"


def _open(directory: Path) -> TrainedTranslator:
    try:
        trained_on = tuple(json.loads((directory / _SOURCES).read_text()))
        # Whatever decides the painted images; a translator may go without surfaces.
        files = [directory / name for name in (WEIGHTS_FILE, STYLES_FILE)]
        files += [path for path in [directory / SURFACES_FILE] if path.is_file()]
        key = content_hash([file_sha256(path) for path in files])
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(
            f"{directory}: not a translator ({error}); expected a directory written by stage=translator with {_SOURCES} and "
            f"{WEIGHTS_FILE}: check translator.path, or delete the directory to have it made again"
        ) from error
    return TrainedTranslator(directory, key, trained_on)


def _train(cfg: DictConfig, inputs: Inputs, directory: Path) -> None:
    records = inputs.manifest.split("train")
    seed = derive_seed(cfg.seed, "translator")
    torch.manual_seed(seed)
    with blaming("translator.task"):
        task = instantiate(cfg.translator.task)
    loggers = build_loggers(cfg, directory, job="translator", tags=[cfg.data.name])
    data = SmearDataModule(
        inputs.manifest,
        (),
        Mix(real=0, synthetic=0, augmented=len(records)),
        augment=build_augmentation(_FLIPS),
        crop=cfg.translator.crop,
        batch_size=cfg.translator.batch_size,
        steps_per_epoch=max(1, len(records) // cfg.translator.batch_size),
        seed=seed,
        num_workers=cfg.trainer.num_workers,
    )
    epochs = cfg.translator.task.n_epochs + cfg.translator.task.n_epochs_decay
    console.print(f"Training the translator: {epochs} epochs of {len(records)} images, crops of {cfg.translator.crop} px")
    trainer = build_trainer(
        cfg,
        directory,
        seed=seed,
        callbacks=[last_checkpoint(directory / "checkpoints")],
        loggers=loggers,
        max_epochs=epochs,
        limit_val_batches=0,
    )
    last = directory / "checkpoints" / "last.ckpt"
    try:
        trainer.fit(task, datamodule=data, ckpt_path=str(last) if last.is_file() else None, weights_only=True)
    finally:
        close_loggers(loggers)
    samples = SmearDataset(records)
    gathered = (samples[index] for index in range(len(samples)))
    bank = StyleBank.fit(task, gathered, n_clusters=cfg.translator.n_clusters, seed=seed)
    surfaces = SurfaceBank.fit(samples[index] for index in range(len(samples))) if cfg.translator.surface else None
    Translator.from_task(task, bank, surfaces=surfaces).save(directory)
    (directory / _SOURCES).write_text(json.dumps([record.sample_id for record in records], indent=1))
