"""What a run is called, which decides nothing of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rbc_lightning.core.seeds import Seeds


@dataclass(frozen=True)
class RunLabels:
    """Names of a run.

    Args:
        data: name of the data set.
        config: the whole configuration, resolved, for `config.yaml`.
        command: overrides that choose data set and scale on a command line.
        ratio: shares of the mix as they were given, if they were.
        seeds: of every purpose, and the base seed that names the run; None: all as the run's own.
        epochs: passes over the mix that the steps come from, if they do: columns of a table then differ in their steps.
    """

    data: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    ratio: tuple[float, ...] | None = None
    seeds: Seeds | None = None
    epochs: int | None = None
