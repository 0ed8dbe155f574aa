"""Where the curves of trainings go: what every choice of the configuration group `logger` offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rbc_lightning.errors import InputError

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

# A run of an online service; wandb ships partial types.
OpenRun = Any
Action = Callable[[OpenRun], None]


class Tracking(ABC):
    """Opens the loggers of a training; subclasses are frozen dataclasses built from `logger`.

    Tracking decides nothing: no key of a recipe depends on it.
    """

    @abstractmethod
    def open(self, directory: Path, *, job: str, tags: Sequence[str], facts: Mapping[str, Any] | None = None) -> list[Logger]:
        """The loggers of one training, writing into `directory` only.

        Args:
            directory: of the training; a resumed one goes on with what it finds there.
            job: what this training is, such as "train".
            tags: what it is looked for by.
            facts: what the configuration does not say, such as the column of a mix.
        """

    def show(self, loggers: Sequence[Logger], what: str, action: Action) -> None:  # noqa: B027 (nothing to show, by default)
        """Give the run that an online service has open, if any, to `action`; a failure is told and ends nothing."""

    def show_once(self, directory: Path, *, job: str, tags: Sequence[str], action: Action) -> None:  # noqa: B027 (as above)
        """As `show`, for what is made without a training of its own."""

    def close(self, loggers: Sequence[Logger]) -> None:  # noqa: B027 (as above)
        """Finish what `open` opened; never raises."""


@contextmanager
def opened(tracking: Tracking | None, directory: Path, **about: Any) -> Iterator[list[Logger]]:  # noqa: ANN401 (see `open`)
    """The loggers of one training, none without tracking, closed when the block ends; for `about` see `Tracking.open`."""
    loggers = tracking.open(directory, **about) if tracking else []
    try:
        yield loggers
    finally:
        if tracking:
            tracking.close(loggers)


def require(package: str, setting: str, way_out: str = "") -> None:
    """Refuse a setting whose package is not installed; nothing is imported.

    Args:
        package: as pip knows it; the module of that name, with underscores, is looked for.
        setting: that needs it, such as "logger=wandb".
        way_out: the end of the message: what to do instead, or what has been done.

    Raises:
        InputError: it is not installed.
    """
    try:
        found = find_spec(package.replace("-", "_")) is not None
    except (ImportError, ValueError):
        found = False
    if not found:
        raise InputError(f"{setting} needs the package {package}: install it (pip install {package}){way_out}")
