"""`stage=synthesize`: synthetic pairs on disk, with lineage."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from rbc_lightning.commands.consistency import check_coco
from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.commands.refusals import refuse_pairs
from rbc_lightning.data.sample import Sample
from rbc_lightning.data.writers.coco import write_coco
from rbc_lightning.report.figures.runs import save_pair_sheet
from rbc_lightning.tracking.wandb_tables import log_pairs

_SHOWN = 6


@dataclass(frozen=True)
class SynthesizeResult:
    """Where the synthetic pairs are."""

    manifest: Path
    count: int
    figure: Path

    def summary(self) -> str:
        """One line for the end of the run."""
        return f"{self.count} synthetic pairs listed in {self.manifest}; look at {self.figure}"


def run(cfg: DictConfig) -> SynthesizeResult:
    """Make `synthetic.count` pairs and a sheet of the first."""
    experiment = Experiment(cfg)
    check_coco(experiment)
    recipe = experiment.synthetic_set(experiment.synthetic.count)
    refuse_pairs(experiment, recipe)
    samples: tuple[Sample, ...] = experiment.store.make(recipe)
    directory = Path(samples[0].where).parent.parent
    if experiment.synthetic.coco:
        write_coco(directory / "coco.json", ((Path(s.where).name, s.load_label_map()) for s in samples))
    figure, shown = directory / "sheet.png", samples[:_SHOWN]
    save_pair_sheet(figure, [s.sample_id for s in shown], [s.load_label_map() for s in shown], [s.rgb() for s in shown])
    tags = [str(cfg.translator.name), experiment.reader.name]
    experiment.tracking.show_once(directory, job="synthesize", tags=tags, action=lambda run: log_pairs(run, samples))
    return SynthesizeResult(directory / "manifest.csv", len(samples), figure)
