"""`stage=translator`: the GAN that turns label maps into images, trained on the train split."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.core.progress import console
from rbc_lightning.core.seeds import derive_seed
from rbc_lightning.data.splits import to_look_at
from rbc_lightning.evaluation.held_out import gather_held_out
from rbc_lightning.evaluation.measure import measure_quality
from rbc_lightning.report.figures.quality_card import quality_table, write_quality
from rbc_lightning.tracking.wandb_tables import log_sheets, log_summary

_SHOWN = 5  # test samples on the sheet of translations


@dataclass(frozen=True)
class TranslatorResult:
    """Where the translator, its sheets and its quality card are."""

    directory: Path
    figures: tuple[Path, ...]

    @property
    def figure(self) -> Path:
        """The sheet to look at first: masks, truth, generated."""
        return self.figures[0]

    def summary(self) -> str:
        """One line for the end of the run."""
        beside = ", ".join(path.name for path in self.figures[1:])
        return f"Translator in {self.directory}; look at {self.figure}, and beside it at {beside}"


def run(cfg: DictConfig) -> TranslatorResult:
    """Train the translator (or find it), show what it generates, and measure it on held-out pairs."""
    experiment = Experiment(cfg)
    recipe, store = experiment.translator(), experiment.store
    recipe.refuse_held_out(experiment.manifest)
    translator = store.make(recipe)
    directory = recipe.directory(store)
    seed = derive_seed(experiment.seeds.translator, "preview")
    shown = [sample.with_context() for sample in to_look_at(experiment.manifest.split("test"), _SHOWN)]
    figures: tuple[Path, ...] = translator.sheets(shown, directory, seed)
    quality = None
    if experiment.quality.enabled:
        network = store.make(experiment.fcn_score())
        val = to_look_at(experiment.val.samples, experiment.quality.images)
        held_out = gather_held_out(network, experiment.train, val)
        table = translator.measure(held_out, directory, seed)
        if table is not None:
            console.print(table)
        quality = measure_quality(translator, held_out, experiment.synthetic.style, seed)
        console.print(quality_table(quality))
        figures += write_quality(directory, quality)

    def show(run: Any) -> None:  # noqa: ANN401 (an online service's own type)
        log_sheets(run, {path.stem: path for path in figures if path.suffix == ".png"})
        if quality is not None:
            log_summary(run, {"quality": quality.to_dict()})

    tags = [str(cfg.translator.name), experiment.reader.name]
    experiment.tracking.show_once(directory, job="translator", tags=tags, action=show)
    return TranslatorResult(directory, figures)
