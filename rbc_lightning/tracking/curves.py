"""`logger=csv` and `logger=tensorboard`: curves in the directory of the training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rbc_lightning.tracking.base import Tracking, require

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger


@dataclass(frozen=True)
class CsvTracking(Tracking):
    """Curves as `curves/metrics.csv`, which every other choice writes, too."""

    def open(self, directory: Path, *, job: str, tags: Sequence[str], facts: Mapping[str, Any] | None = None) -> list[Logger]:  # noqa: ARG002 (for services that show it)
        """See `Tracking`."""
        # Imported here: stages that train nothing do without Lightning.
        from pytorch_lightning.loggers import CSVLogger

        # A resumed training must not overwrite the curves of its first part.
        parts = len(list(directory.glob("curves*")))
        return [CSVLogger(directory, name="", version=f"curves_{parts}" if parts else "curves")]


@dataclass(frozen=True)
class TensorBoardTracking(CsvTracking):
    """Curves as CSV and, in `tensorboard/`, for TensorBoard.

    Raises:
        InputError: the package tensorboard is not installed.
    """

    def __post_init__(self) -> None:
        require("tensorboard", "logger=tensorboard", ", or take logger=csv")

    def open(self, directory: Path, *, job: str, tags: Sequence[str], facts: Mapping[str, Any] | None = None) -> list[Logger]:
        """See `Tracking`."""
        from pytorch_lightning.loggers import TensorBoardLogger

        curves = super().open(directory, job=job, tags=tags, facts=facts)
        return [*curves, TensorBoardLogger(directory, name="", version="tensorboard")]
