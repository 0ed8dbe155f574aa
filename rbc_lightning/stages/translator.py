"""`stage=translator`: the GAN that paints label maps, trained on the train split."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from rbc_lightning.artifacts import content_hash
from rbc_lightning.data.dataset import SmearDataset
from rbc_lightning.data.formats import file_sha256, read_image, read_label_map
from rbc_lightning.data.manifest import Record
from rbc_lightning.errors import InputError
from rbc_lightning.report.quality_card import quality_table
from rbc_lightning.report.style_sheets import TranslationRow, save_style_sheet, save_translation_sheet
from rbc_lightning.stages.gan import TrainedGan, get_gan, load_task
from rbc_lightning.stages.held_out import gather_held_out
from rbc_lightning.stages.inputs import Inputs, console, derive_seed, load_inputs
from rbc_lightning.stages.judge import judge_identity
from rbc_lightning.stages.quality import measure_quality, write_quality
from rbc_lightning.stages.run_directory import write_json
from rbc_lightning.tasks.instance_styles import CELL
from rbc_lightning.tasks.styles import StyleBank
from rbc_lightning.tasks.surfaces import SurfaceBank
from rbc_lightning.tasks.translator import STYLES_FILE, SURFACES_FILE, WEIGHTS_FILE, Translator

_SOURCES, _CHOSEN_ON = "trained_on.json", "chosen_on.json"
_SHOWN = 5  # test samples on the sheet of translations


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
    """Where the translator, its sheets and its quality card are."""

    directory: Path
    figures: tuple[Path, ...]

    @property
    def figure(self) -> Path:
        """The sheet to look at first: masks, truth, painted."""
        return self.figures[0]

    def summary(self) -> str:
        """One line for the end of the run."""
        beside = ", ".join(path.name for path in self.figures[1:])
        return f"Translator in {self.directory}; look at {self.figure}, and beside it at {beside}"


def run(cfg: DictConfig) -> TranslatorResult:
    """Train the translator (or find it), show what it paints, and measure it on held-out pairs."""
    inputs = load_inputs(cfg)
    trained = get_translator(cfg, inputs)
    translator = trained.load(device_of(cfg))
    figures = _sheets(translator, inputs.manifest.split("test")[:_SHOWN], trained.directory, cfg.seed)
    if cfg.translator.quality.enabled:
        quality = measure_quality(cfg, inputs, translator)
        console.print(quality_table(quality))
        figures += write_quality(trained.directory, quality)
    return TranslatorResult(trained.directory, figures)


def _sheets(translator: Translator, records: Sequence[Record], directory: Path, seed: int) -> tuple[Path, ...]:
    """Draw S3 Fig. 5 (masks, truth, painted) and Fig. 6 (one mask in all styles)."""
    draw = derive_seed(seed, "preview")
    rows = []
    for index, record in enumerate(records):
        label_map = read_label_map(record.label_path)
        painted = {mode: translator.paint(label_map, draw + index, mode) for mode in ("per_image", "per_cell")}
        rows.append(TranslationRow(record.sample_id, label_map, read_image(record.image_path), painted))
    save_translation_sheet(directory / "translations.png", rows)
    mask = rows[0].label_map
    clusters = range(len(translator.style_bank.clusters_of(CELL)))
    styles = {f"cluster:{k}": translator.paint(mask, draw, f"cluster:{k}") for k in clusters}
    save_style_sheet(directory / "styles.png", mask, styles)
    return directory / "translations.png", directory / "styles.png"


def get_translator(cfg: DictConfig, inputs: Inputs) -> TrainedTranslator:
    """The translator that the config describes: a given directory, or one from the store, trained if need be."""
    if cfg.translator.path is not None:
        given = Path(cfg.translator.path)
        _refuse_chosen_on_test(given, inputs)
        return _open(given)
    gan = get_gan(cfg, inputs)
    settings = {
        "n_clusters": cfg.translator.n_clusters,
        "surface": cfg.translator.surface,
        "choose": cfg.translator.choose,
        "judged": _judged(cfg, inputs) if cfg.translator.choose == "quality" else None,
        "seed": cfg.seed,
        "format": 1,
    }
    sources = [inputs.train_fingerprint, gan.key]
    artifact = inputs.store.get("translator", settings, sources, lambda directory: _gather(cfg, inputs, gan, directory))
    return _open(artifact.path)


def _refuse_chosen_on_test(directory: Path, inputs: Inputs) -> None:
    """Refuse a translator whose checkpoint was chosen on samples that are test samples here."""
    path = directory / _CHOSEN_ON
    chosen_on = json.loads(path.read_text())["val"] if path.is_file() else []
    for sample_id in sorted(set(chosen_on) & set(inputs.manifest.ids("test"))):
        raise InputError(
            f"the translator in {directory} was chosen on sample {sample_id!r}, which is in the test split here: train "
            "one with this split (stage=translator without translator.path)"
        )


def device_of(cfg: DictConfig) -> str:
    """The device that paints: the trainer's."""
    return "cuda" if cfg.trainer.accelerator == "gpu" and torch.cuda.is_available() else "cpu"


def _open(directory: Path) -> TrainedTranslator:
    if not directory.is_dir():
        raise InputError(
            f"translator.path={directory}: no such directory; expected one that stage=translator made, such as "
            "artifacts/translator/KEY"
        )
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


def _judged(cfg: DictConfig, inputs: Inputs) -> dict[str, Any]:
    """What a choice among checkpoints rests on: judge, held-out pairs, styles."""
    judge, sources = judge_identity(cfg, inputs)
    return {"judge": judge, "sources": sources, "images": cfg.translator.quality.images, "style": cfg.synthetic.style}


def _gather(cfg: DictConfig, inputs: Inputs, gan: TrainedGan, directory: Path) -> None:
    """Put together what painting needs: the generator, the styles of the training cells, the surfaces."""
    records = inputs.manifest.split("train")
    samples = SmearDataset(records)
    surfaces = SurfaceBank.fit(samples[index] for index in range(len(samples))) if cfg.translator.surface else None

    def assemble(checkpoint: Path) -> Translator:
        task = load_task(checkpoint).to(device_of(cfg))
        # Styles come from stage 1: they are what stage 2 was trained on.
        encoding = gan.load_first().to(device_of(cfg)) if task.settings.stage == 2 else task
        bank = StyleBank.fit(
            encoding,
            (samples[index] for index in range(len(samples))),
            n_clusters=cfg.translator.n_clusters,
            seed=derive_seed(cfg.seed, "translator"),
        )
        return Translator.from_task(task, bank, surfaces=surfaces)

    if cfg.translator.choose == "quality":
        translator = _best(cfg, inputs, gan.candidates(), assemble, directory)
    else:
        translator = assemble(gan.candidates()[-1])
    translator.save(directory)
    OmegaConf.save(cfg.translator, directory / "translator.yaml", resolve=True)
    (directory / _SOURCES).write_text(json.dumps([record.sample_id for record in records], indent=1))


def _best(
    cfg: DictConfig, inputs: Inputs, checkpoints: Sequence[Path], assemble: Callable[[Path], Translator], directory: Path
) -> Translator:
    """Of the checkpoints kept in training, the one whose images are most faithful to their masks and most diverse."""
    held_out = gather_held_out(cfg, inputs)
    scores: dict[str, float] = {}
    for path in checkpoints:
        scores[path.stem] = measure_quality(cfg, inputs, assemble(path), held_out).score
        console.print(f"Checkpoint {path.stem}: faithfulness times diversity {scores[path.stem]:.4f}")
    write_json(directory / "checkpoints.json", scores)
    best = max(checkpoints, key=lambda path: scores[path.stem])
    console.print(f"Taking checkpoint {best.stem}")
    # Held-out pairs had a say: a later split must not test on them.
    write_json(directory / _CHOSEN_ON, {"val": list(inputs.manifest.ids("val"))})
    return assemble(best)
