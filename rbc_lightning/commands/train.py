"""`stage=train`: make whatever is missing upstream, train on the mix, test on real images beside a floor, print the outcome."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.commands.floor import floor_of
from rbc_lightning.commands.plain import plain
from rbc_lightning.commands.refusals import refuse_pairs
from rbc_lightning.core.locks import locked
from rbc_lightning.core.progress import console, tell
from rbc_lightning.errors import InputError
from rbc_lightning.runs.recipe import TrainedSegmenter
from rbc_lightning.study.lesions import check_limits
from rbc_lightning.study.outcome import outcome_table
from rbc_lightning.study.run_record import read_metrics


@dataclass(frozen=True)
class TrainResult:
    """A finished run: its directory and its metrics, and whether it was there already."""

    directory: Path
    metrics: dict[str, Any]
    reused: bool

    def summary(self) -> str:
        """One line for the end of the run."""
        again = " (finished earlier; rerun=true trains it again)" if self.reused else ""
        return f"Run directory: {self.directory}{again}; look at figures/run.png in it"


def run(cfg: DictConfig) -> TrainResult:
    """Train and test one entry of the grid, or report it when this very run is finished; make its floor where it is missing."""
    experiment = Experiment(cfg)
    lesion_ml = check_limits(plain(cfg.report)["lesion_ml"])
    floor = floor_of(experiment)
    recipe = experiment.run()
    directory, reused = _make(experiment, recipe, anew=bool(cfg.rerun))
    metrics = read_metrics(directory)
    if reused:
        for made in recipe.upstream():
            if experiment.store.path(made).is_dir():
                tell(f"Reused {made.title} {made.key}")
    if floor is not None:
        _make_floor(floor)
    console.print(outcome_table(directory, lesion_ml))
    return TrainResult(directory, metrics, reused)


def _make(experiment: Experiment, recipe: TrainedSegmenter, *, anew: bool = False) -> tuple[Path, bool]:
    """The directory of a finished run, and whether it was finished before."""
    directory = experiment.runs_dir.resolve() / recipe.name
    if anew or not recipe.is_complete(directory):
        refuse_pairs(experiment, recipe.synthetic)
    directory.parent.mkdir(parents=True, exist_ok=True)
    # A second process with the same run waits, and then finds it finished.
    with locked(directory.with_name(f".{directory.name}.lock"), f"run {directory.name}"):
        if anew and directory.is_dir():
            shutil.rmtree(directory)
        reused = recipe.is_complete(directory)
        if not reused:
            experiment.store.begin()
            recipe.build(directory, experiment.store)
    return directory, reused


def _make_floor(floor: Experiment) -> None:
    """Make the floor where it is missing; data that it cannot be measured on end no training."""
    try:
        _make(floor, floor.run())
    except InputError as error:
        tell(f"note: no floor beside this run, floor=none asks for none: {error}")
