"""A run of several members: trainings of their own, kept in the store, and tested as one by their mean probability."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger

from rbc_lightning.core.files import write_json
from rbc_lightning.core.progress import tell
from rbc_lightning.core.recipe import Node, Work
from rbc_lightning.core.seeds import derive_seed
from rbc_lightning.data.datamodule import PairDataModule
from rbc_lightning.data.manifest import Samples
from rbc_lightning.runs.outcome import DRAWN, Drawn, read_counts, write_counts
from rbc_lightning.runs.recipe import TrainedSegmenter
from rbc_lightning.runs.training import begin
from rbc_lightning.segmenters.base import BaseTask
from rbc_lightning.segmenters.model import Model
from rbc_lightning.segmenters.restarts import attempt_seed
from rbc_lightning.segmenters.training import join_members, slim
from rbc_lightning.study.run_record import MEMBERS
from rbc_lightning.tracking.base import opened

if TYPE_CHECKING:
    from rbc_lightning.core.store import Store

MEMBER = "member"
"""Kind of a member's recipe."""
_RECORD = "member.json"


@dataclass(frozen=True, kw_only=True)
class Member(TrainedSegmenter):
    """One training of an ensemble: not tested, without thresholds of its own; runs that need the same one share it.

    Its directory holds the chosen weights, `drawn.csv`, curves, and `member.json`: seed, the value of the monitor that chose
    the weights, restarts.

    Args:
        index: from 0; member 0 is trained as the run without members of the same seed is, the others with derived seeds.
    """

    kind: ClassVar[str] = MEMBER
    title: ClassVar[str] = "member"
    format: ClassVar[int] = 1
    chooses_thresholds: ClassVar[bool] = False

    index: int

    def training_seed(self, directory: Path) -> int:
        """As a run's, of the member's own seed."""
        return attempt_seed(derive_seed(self.seed, "training", self.index), directory)

    def is_complete(self, directory: Path) -> bool:
        """Whether it is there: the store renames what is whole."""
        return directory.is_dir()

    def build(self, directory: Path, store: Store) -> None:
        """Train, or go on training, and keep what the ensemble needs."""
        if not (directory / _RECORD).is_file():
            self._make(directory, store)
        # After the record: what is slim cannot be resumed.
        slim(directory)

    def _make(self, directory: Path, store: Store) -> None:
        model = self.model.with_facts(self.model.facts(Samples(self.manifest.split("train"))))
        task, data = begin(self, directory, store, model)
        with opened(self.tracking, directory, job=self.kind, tags=[self._column, model.name], facts=self._facts()) as loggers:
            _, best, data = self._train(directory, store, model, task, data, loggers)
        write_counts(directory, self._drawn(directory, store, data))
        about = {"key": self.key, "seed": self.training_seed(directory), task.monitor: best}
        write_json(directory / _RECORD, {**about, **self._trained(directory, store)})


@dataclass(frozen=True, kw_only=True)
class EnsembleSegmenter(TrainedSegmenter):
    """A run whose model has several members: thresholds are chosen on validation for their mean, which is tested as one model.

    Its best checkpoint holds all of them.
    """

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """The trainings."""
        own = {entry.name: getattr(self, entry.name) for entry in fields(TrainedSegmenter)}
        alone = replace(self.model, members=1)
        return tuple(Member(**{**own, "model": alone}, index=index) for index in range(self.model.members))

    @property
    def tried_as(self) -> Member:
        """What a plan times for the run: its own part is validation and test with all members."""
        return self.members[0]

    def inputs(self) -> dict[str, Node]:
        """With the members."""
        return super().inputs() | {f"member_{member.index}": member for member in self.members}

    def work(self) -> Work:
        """Members that are put together."""
        return Work(self.model.members, "members", self.tried_as.work().about)

    def done_units(self, directory: Path) -> int:  # noqa: ARG002 (the interface's)
        """None: members are put together at once."""
        return 0

    def _train(
        self, directory: Path, store: Store, model: Model, task: BaseTask, data: PairDataModule, loggers: Sequence[Logger]
    ) -> tuple[pl.Trainer, float | None, PairDataModule]:
        """Make the members that are missing, one after the other, and put them together."""
        made = []
        for number, member in enumerate(self.members, start=1):
            tell(f"{model.title}: member {number} of {model.members}")
            made.append(store.ensure(member))
            for curves in made[-1].glob("curves*"):
                shutil.copytree(curves, directory / MEMBERS / str(member.index) / curves.name, dirs_exist_ok=True)
        return *join_members(made, self.trainer, directory, task, data, loggers=loggers), data

    def _drawn(self, directory: Path, store: Store, data: PairDataModule) -> Mapping[Drawn, int]:  # noqa: ARG002 (the interface's)
        """In the trainings of all members together."""
        counts: Counter[Drawn] = Counter()
        for member in self.members:
            counts.update(read_counts(store.path(member) / DRAWN))
        return counts

    def _trained(self, directory: Path, store: Store) -> dict[str, Any]:  # noqa: ARG002 (the interface's)
        """What each member recorded, its validation score among it; members are told apart here, not among the artifacts."""
        artifacts = {made.kind: made.key for made in self.upstream() if made.kind != MEMBER}
        members = [json.loads((store.path(member) / _RECORD).read_text()) for member in self.members]
        return {"artifacts": artifacts, "members": members}

    def _record(self, task: BaseTask, facts: Mapping[str, Any], best: float | None) -> dict[str, Any]:
        record = super()._record(task, facts, best)
        return {**record, "keys": {kind: key for kind, key in record["keys"].items() if kind != MEMBER}}
