"""`stage=translator`: the GAN that paints label maps, trained on the train split."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rbc_lightning.artifacts import content_hash
from rbc_lightning.data.formats import file_sha256
from rbc_lightning.errors import InputError
from rbc_lightning.report.quality_card import quality_table
from rbc_lightning.stages.inputs import Inputs, console, derive_seed, load_inputs
from rbc_lightning.stages.painting.condition_response import RESPONSE_FILE, measure_response
from rbc_lightning.stages.painting.held_out import gather_held_out
from rbc_lightning.stages.painting.judge import judge_identity
from rbc_lightning.stages.painting.painters import StructurePainter, StylePainter, deciding_files, device_of, load_painter
from rbc_lightning.stages.painting.parts import Parts, structure_parts, style_parts
from rbc_lightning.stages.painting.quality import measure_quality, write_quality
from rbc_lightning.stages.painting.sheets import save_sheets
from rbc_lightning.stages.run_directory import write_json
from rbc_lightning.stages.tracking.loggers import show_once
from rbc_lightning.stages.tracking.wandb_tables import log_sheets, log_summary

_SOURCES, _CHOSEN_ON = "trained_on.json", "chosen_on.json"
_SHOWN = 5  # test samples on the sheet of translations


@dataclass(frozen=True)
class TrainedTranslator:
    """A translator on disk: its directory, the hash of its files, and the sample_ids it was trained on."""

    directory: Path
    key: str
    trained_on: tuple[str, ...]

    def load(self, cfg: DictConfig, inputs: Inputs) -> StylePainter | StructurePainter:
        """Load what paints, onto the device of the config's trainer."""
        return load_painter(self.directory, cfg, inputs, device_of(cfg))


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
    painter = trained.load(cfg, inputs)
    shown = inputs.manifest.split("test")[:_SHOWN]
    figures: tuple[Path, ...] = save_sheets(painter, shown, trained.directory, derive_seed(cfg.seed, "preview"))
    if cfg.translator.quality.enabled:
        held_out = gather_held_out(cfg, inputs)
        if isinstance(painter, StructurePainter):
            response = measure_response(cfg, inputs, painter, held_out)
            console.print(response.table())
            write_json(trained.directory / RESPONSE_FILE, asdict(response))
        quality = measure_quality(cfg, inputs, painter, held_out)
        console.print(quality_table(quality))
        figures += write_quality(trained.directory, quality)

    def show(run: Any) -> None:  # noqa: ANN401 (wandb ships partial types)
        log_sheets(run, {path.stem: path for path in figures if path.suffix == ".png"})
        if cfg.translator.quality.enabled:
            log_summary(run, {"quality": quality.to_dict()})

    show_once(cfg, trained.directory, job="translator", tags=[cfg.translator.name, cfg.data.name], action=show)
    return TranslatorResult(trained.directory, figures)


def get_translator(cfg: DictConfig, inputs: Inputs) -> TrainedTranslator:
    """The translator that the config describes: a given directory, or one from the store, trained if need be."""
    if cfg.translator.path is not None:
        given = Path(cfg.translator.path)
        _refuse_chosen_on_test(given, inputs)
        return _open(given)
    settings = {
        "choose": cfg.translator.choose,
        "judged": _judged(cfg, inputs) if cfg.translator.choose == "quality" else None,
        "seed": cfg.seed,
        "format": 1,
    }
    parts: Parts = style_parts(cfg, inputs) if cfg.translator.name == "pix2pixhd" else structure_parts(cfg, inputs)
    sources = [inputs.train_fingerprint, parts.key]
    artifact = inputs.store.get(
        "translator", settings | parts.settings, sources, lambda directory: _gather(cfg, inputs, parts, directory)
    )
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


def _open(directory: Path) -> TrainedTranslator:
    if not directory.is_dir():
        raise InputError(
            f"translator.path={directory}: no such directory; expected one that stage=translator made, such as "
            "artifacts/translator/KEY"
        )
    try:
        trained_on = tuple(json.loads((directory / _SOURCES).read_text()))
        key = content_hash([file_sha256(path) for path in deciding_files(directory)])
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(
            f"{directory}: not a translator ({error}); expected a directory written by stage=translator with {_SOURCES} and "
            f"weights: check translator.path, or delete the directory to have it made again"
        ) from error
    return TrainedTranslator(directory, key, trained_on)


def _judged(cfg: DictConfig, inputs: Inputs) -> dict[str, Any]:
    """What a choice among checkpoints rests on: judge, held-out pairs, styles."""
    judge, sources = judge_identity(cfg, inputs)
    return {"judge": judge, "sources": sources, "images": cfg.translator.quality.images, "style": cfg.synthetic.style}


def _gather(cfg: DictConfig, inputs: Inputs, parts: Parts, directory: Path) -> None:
    """Put together what painting needs, from the chosen checkpoint."""
    records = inputs.manifest.split("train")
    checkpoints = parts.checkpoints()
    chosen = _best(cfg, inputs, parts, directory) if cfg.translator.choose == "quality" else checkpoints[-1]
    parts.assemble(chosen).translator.save(directory)
    OmegaConf.save(cfg.translator, directory / "translator.yaml", resolve=True)
    (directory / _SOURCES).write_text(json.dumps([record.sample_id for record in records], indent=1))


def _best(cfg: DictConfig, inputs: Inputs, parts: Parts, directory: Path) -> Path:
    """Of the checkpoints kept in training, the one whose images are most faithful to their masks and most diverse."""
    held_out = gather_held_out(cfg, inputs)
    scores: dict[str, float] = {}
    for path in parts.checkpoints():
        scores[path.stem] = measure_quality(cfg, inputs, parts.assemble(path), held_out).score
        console.print(f"Checkpoint {path.stem}: faithfulness times diversity {scores[path.stem]:.4f}")
    write_json(directory / "checkpoints.json", scores)
    best = max(parts.checkpoints(), key=lambda path: scores[path.stem])
    console.print(f"Taking checkpoint {best.stem}")
    # Held-out pairs had a say: a later split must not test on them.
    write_json(directory / _CHOSEN_ON, {"val": list(inputs.manifest.ids("val"))})
    return best
