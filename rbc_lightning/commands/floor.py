"""The run without training that stands beside every trained one: `floor=` in the place of `model=`."""

from __future__ import annotations

from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.commands.plain import group, plain, settings
from rbc_lightning.errors import InputError
from rbc_lightning.segmenters.model import Model


def floor_of(experiment: Experiment) -> Experiment | None:
    """The experiment that is the floor of another one: the same data and splits, the model of `floor=`.

    It is none of a plan's work: seconds, made once for each data set, seed and protocol whatever is trained beside it.

    Returns:
        None for `floor=none`, and for a model that learns nothing itself.

    Raises:
        InputError: `floor` names a model that would be trained, or a value of it is refused.
    """
    cfg = experiment.cfg
    if cfg.floor.name is None or not _learns(experiment, "model"):
        return None
    if _learns(experiment, "floor"):
        raise InputError(
            f"floor.name={cfg.floor.name} is a model that is trained; expected one that learns nothing, or floor=none"
        )
    below = cfg.copy()
    below.model = {**plain(cfg.floor), "members": 1}
    floor = Experiment(below)
    # Samples are read once.
    floor.manifest = experiment.manifest
    return floor


def _learns(experiment: Experiment, name: str) -> bool:
    return settings(group(experiment.cfg, name), Model, name).learns
