"""A trained and tested segmenter as a recipe: what decides a run, and how its directory is made."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pytorch_lightning as pl
import torch
import yaml
from pytorch_lightning.loggers import Logger

from rbc_lightning import __version__
from rbc_lightning.core.files import content_hash, to_plain, write_json, write_text
from rbc_lightning.core.recipe import LAYOUT, Node, Recipe, Work, aside, outline
from rbc_lightning.core.seeds import Seeds, derive_seed
from rbc_lightning.core.trainer import TrainerSettings, resolve_precision
from rbc_lightning.core.training import begun_epochs
from rbc_lightning.data.augment import TrainingAugmentation
from rbc_lightning.data.datamodule import PairDataModule
from rbc_lightning.data.manifest import Manifest, Samples
from rbc_lightning.data.mix import Mix
from rbc_lightning.data.sample import Sample
from rbc_lightning.errors import blaming
from rbc_lightning.metrics.instances import Instances
from rbc_lightning.runs.agreement import write_agreement
from rbc_lightning.runs.labels import RunLabels
from rbc_lightning.runs.outcome import (
    Drawn,
    draw,
    finite,
    show,
    thresholds,
    without_units,
    write_counts,
    write_lesions,
    write_per_image,
)
from rbc_lightning.runs.training import data_of, train
from rbc_lightning.segmenters.base import BaseTask
from rbc_lightning.segmenters.model import Model, TrainingSettings
from rbc_lightning.segmenters.restarts import attempt_seed, read_restarts
from rbc_lightning.segmenters.training import find_objects, load_best
from rbc_lightning.study.run_record import CONFIG, METRICS, PER_IMAGE_EXTERNAL, machine
from rbc_lightning.study.tables import COLUMNS, CONFOUNDED
from rbc_lightning.tracking.base import Tracking, opened

if TYPE_CHECKING:
    from rbc_lightning.core.store import Store

Protocol = Literal["held_out", "paper"]
_TRIAL = 64  # pixels, side of the image that a network is tried on before anything is written


@dataclass(frozen=True, kw_only=True)
class TrainedSegmenter(Recipe[Path]):
    """A model trained on a mix and tested on the test split; its directory is a run directory.

    Args:
        data: fingerprint of all real samples with their splits.
        mix: counts of real, synthetic and augmented samples.
        model: network and task.
        training: steps, batches, crops.
        augmentation: of the mix's augmented samples; of no effect in a mix without.
        synthetic: pairs on disk, or a source of pairs made while training; None in a mix without.
        protocol: "held_out" chooses weights on validation, "paper" on test (optimistic).
        seed: of weights, draws and crops.
        trainer: device, processes, precision.
        ignored: names of classes under which no prediction counts in validation and test.
        manifest: the samples themselves.
        tracking: where curves go.
        labels: names.
    """

    kind: ClassVar[str] = "train"
    title: ClassVar[str] = "run"
    format: ClassVar[int] = 2
    chooses_thresholds: ClassVar[bool] = True

    data: str
    mix: Mix
    model: Model
    training: TrainingSettings
    augmentation: TrainingAugmentation
    synthetic: Node | None
    protocol: Protocol
    seed: int
    trainer: TrainerSettings
    ignored: tuple[str, ...] = ()
    manifest: Manifest = aside(None)
    tracking: Tracking = aside(None)
    labels: RunLabels = aside(RunLabels())

    def settings(self) -> dict[str, Any]:
        """Without the augmentation where nothing is augmented; with the epochs, which the record tells."""
        found = super().settings() | ({} if self.labels.epochs is None else {"epochs": self.labels.epochs})
        unused = {"augmentation": not self.mix.augmented, "ignored": not self.ignored}
        return {name: value for name, value in found.items() if not unused.get(name)}

    @property
    def name(self) -> str:
        """Of the run directory."""
        optimistic = "_paper" if self.protocol == "paper" else ""
        fold = self.labels.config.get("data", {}).get("fold")
        folded = "" if fold is None else f"_fold{fold}"
        model = self.model.title.replace(" ", "_")
        return f"{self.labels.data}_{self._column}_{model}_seed{self._seeds.base}{folded}{optimistic}_{self.key[:8]}"

    def parts(self) -> dict[str, Any]:
        """The settings that decide the run, apart from seed and data: of every run, of augmented and of synthetic samples."""
        of_mix = {} if self.labels.epochs is None else {"steps": None, "steps_per_epoch": None, "epochs": self.labels.epochs}
        base = {
            "model": self.model.decisive(),
            "training": {**self.training.decisive(), **of_mix},
            "protocol": self.protocol,
            "trainer": self.trainer.numerics(),
            **self._scored(),
        }
        augmented = self.augmentation.decisive() if self.mix.augmented else None
        synthetic = outline(self.synthetic) if self.synthetic else None
        return {"base": base, "augmented": to_plain(augmented), "synthetic": synthetic}

    def _scored(self) -> dict[str, Any]:
        """What scores leave out, if anything."""
        return {"ignored": list(self.ignored)} if self.ignored else {}

    def work(self) -> Work:
        """Optimiser steps."""
        about = {**self.parts()["base"], "training": {**self.training.decisive(), "steps": None, "steps_per_epoch": None}}
        return Work(self.training.steps, "steps", [about, self.manifest.samples[0].size, asdict(self.manifest.spec)])

    def done_units(self, directory: Path) -> int:
        """Steps after which an interrupted run would go on."""
        return min(self.training.steps - 1, begun_epochs(directory) * self.training.steps_per_epoch)

    def is_complete(self, directory: Path) -> bool:
        """Whether the record of the outcome, which is written last, is there."""
        return (directory / METRICS).is_file()

    def load(self, directory: Path, store: Store) -> Path:  # noqa: ARG002 (the interface's)
        """The directory: everything about a run is read from its files."""
        return directory

    def build(self, directory: Path, store: Store) -> None:
        """Make what is missing upstream, train, test, and record the outcome."""
        started = time.monotonic()
        torch.manual_seed(self.training_seed(directory))
        facts = self.model.facts(Samples(self.manifest.split("train")))
        model = self.model.with_facts(facts)
        spec = self.manifest.spec
        with blaming("model"):
            task = model.build()
            # A network that does not fit its task is refused before anything is written.
            blank = np.zeros((_TRIAL, _TRIAL, spec.n_channels), dtype=spec.dtype)
            find_objects(task, blank, spec, self.trainer.precision)
        task.train()
        data = data_of(self, store, self.training_seed(directory))
        config = {**self.labels.config, "model": {**self.labels.config["model"], "net": model.net, "task": model.task}}
        known = {**self._facts(), "model": config["model"]}
        with opened(self.tracking, directory, job="train", tags=[self._column, model.title], facts=known) as loggers:
            write_text(directory / CONFIG, yaml.safe_dump(to_plain(config), sort_keys=False))
            # Before the training, since the model has no part in it: a bad second annotation costs no hours.
            write_agreement(directory, self.manifest.split("test"), task.metrics.values())
            trainer, best, data = self._train(directory, store, model, task, data, loggers)
            task = load_best(directory, model)
            find = partial(self._find, task)
            # First, so that what the task keeps of a test is of the test split.
            external = self._test_external(directory, trainer, task, data)
            scores = trainer.test(task, datamodule=data, verbose=False)[0]
            write_counts(directory, self._drawn(directory, store, data))
            groups = {sample.unit: sample.group for sample in self.manifest.split("test")}
            write_per_image(directory, task, groups)
            write_lesions(directory, task, groups)
            draw(directory, data, find, optimistic=self.protocol == "paper")
            about = {
                "seconds": round(time.monotonic() - started, 1),
                "machine": machine(),
                "artifacts": {made.kind: made.key for made in self.upstream()},
                **self._trained(directory, store),
            }
            record = {**finite(scores), **external, **self._record(task, facts, best), **about}
            # Written last: its presence says that the run is whole.
            write_json(directory / METRICS, {**record, "left_out": without_units(task, groups)})
            # Behind it: a run is whole without an online service.
            show(self.tracking, loggers, data, task, find, record)

    @property
    def _seeds(self) -> Seeds:
        return self.labels.seeds or Seeds.following(self.seed)

    @property
    def _column(self) -> str:
        """What it is trained on, as a column of the table."""
        return self.mix.column

    @property
    def _steps(self) -> int:
        """Optimiser steps."""
        return self.training.steps

    def training_seed(self, directory: Path) -> int:
        """Of weights, draws and crops: another one after each restart."""
        return attempt_seed(derive_seed(self.seed, "training"), directory)

    def _train(
        self, directory: Path, store: Store, model: Model, task: BaseTask, data: PairDataModule, loggers: Sequence[Logger]
    ) -> tuple[pl.Trainer, float | None, PairDataModule]:
        """Train on the mix; see `train`."""
        return train(self, directory, store, model, task, data, loggers)

    def _drawn(self, directory: Path, store: Store, data: PairDataModule) -> Mapping[Drawn, int]:  # noqa: ARG002 (for overriding)
        """How often each sample was drawn."""
        return data.drawn_counts(self._steps)

    def _trained(self, directory: Path, store: Store) -> dict[str, Any]:  # noqa: ARG002 (for overriding)
        """What the record tells of the training itself: restarts, where there were any."""
        restarts = read_restarts(directory)
        return {"restarts": restarts} if restarts else {}

    def _test_external(self, directory: Path, trainer: pl.Trainer, task: BaseTask, data: PairDataModule) -> dict[str, float]:
        """Test on the images of another source, if there are any: `per_image_external.csv`, and values as `external/NAME`."""
        groups = {sample.unit: sample.group for sample in self.manifest.samples if sample.split == "external"}
        if not groups:
            return {}
        task.tested = "external"
        scores = trainer.test(task, dataloaders=data.external_dataloader(), verbose=False)[0]
        task.tested = "test"
        write_per_image(directory, task, groups, PER_IMAGE_EXTERNAL)
        return finite(scores)

    def _find(self, task: BaseTask, sample: Sample) -> Instances:
        return find_objects(task, sample.load_image(), sample.spec, self.trainer.precision)

    def _facts(self) -> dict[str, str]:
        """What a dashboard groups and filters runs by: data set, column, and entry of the table, which is model and column."""
        entry = f"{self.model.title} {COLUMNS.get(self._column, self._column)}"
        return {"dataset": self.labels.data, "column": self._column, "entry": entry}

    def _record(self, task: BaseTask, facts: Mapping[str, Any], best: float | None) -> dict[str, Any]:
        """What was trained, on what, and by which code; how the weights were chosen, and the best value that chose them."""
        parts, on_test = self.parts(), self.protocol == "paper"
        return {
            task.monitor.replace("val/", "selection/") if on_test else task.monitor: best,
            "selected_on": "test" if on_test else "val",
            **thresholds(task, "test" if on_test else "val"),
            "optimistic": on_test,
            "headline": task.monitor.replace("val/", "test/"),
            "column": self._column,
            "mix": {name: getattr(self.mix, name) for name in ("real", "synthetic", "augmented", "total")},
            "ratio": None if self.labels.ratio is None else list(self.labels.ratio),
            "model": self.model.title,
            "data": self.labels.data,
            "data_hash": self.data,
            "protocol": self.protocol,
            "seed": self._seeds.base,
            "seeds": self._seeds.by_purpose(),
            "steps": self._steps,
            **({} if self.labels.epochs is None else {"epochs": self.labels.epochs, "confounded": CONFOUNDED}),
            "ignored": list(self.ignored),
            "n_test": len(task.per_image),
            "n_val": sum(sample.split == "val" for sample in self.manifest.samples),
            "groups": {split: len({s.group for s in self.manifest.samples if s.split == split}) for split in ("train", "val")},
            "precision": resolve_precision(self.trainer.precision),
            "recipe": parts,
            "identity": {
                "base": content_hash([parts["base"], dict(facts), self.seed]),
                "augmented": content_hash(parts["augmented"]) if self.mix.augmented else None,
                "synthetic": self.synthetic.key if self.synthetic else None,
            },
            "keys": {node.kind: node.key for node in self.walk()},
            "metrics": task.metrics_about(),
            "layout": LAYOUT,
            "formats": self.formats(),
            "version": __version__,
            "command": list(self.labels.command),
        }
