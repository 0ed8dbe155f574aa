"""Small recipes that plans are tested on: made in no time, of samples in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from rbc_lightning.core.recipe import Node, Recipe, Work, aside
from rbc_lightning.core.store import Store
from rbc_lightning.core.trainer import TrainerSettings
from rbc_lightning.data.manifest import Manifest, Samples
from rbc_lightning.data.mix import Mix
from rbc_lightning.data.sample import ArrayPair, Sample
from rbc_lightning.planning.work import Job

HEIGHT, WIDTH = 96, 128

# Seconds as a probe would find them, chosen so that sums can be made by hand.
MEMORY = {"memory": 1e9, "gpu_memory": 0.0}
LOADING = {"decode": 0.1, "crop": 0.05, "augment": 0.2}
# Three steps of two images were timed after the first one, each image read once.
STEP = {"step": 2.0, "gap": 0.5, "measured": 3, "images": 8, "epoch_end": 1.0, "build": 10.0, "checkpoint": 100}
TRAINING = {**STEP, "val": 3.0, "test": 4.0, **LOADING, **MEMORY}


def make_samples(count, split, first=0):
    made = []
    for number in range(first, first + count):
        name = f"{split}_{number}"
        label_map = np.zeros((HEIGHT, WIDTH), dtype=np.int32)
        label_map[10:50, 10:50] = 1
        pair = ArrayPair(np.full((HEIGHT, WIDTH, 3), 50 + number, dtype=np.uint8), label_map, name)
        made.append(Sample(name, split, name, f"image {name}", "label", pair))
    return tuple(made)


def make_manifest(n_train=4):
    return Manifest((*make_samples(n_train, "train"), *make_samples(1, "val"), *make_samples(2, "test")))


@dataclass(frozen=True, kw_only=True)
class Fake(Recipe[Path]):
    """Writes one file; `title` and `kind` are those of real recipes."""

    def build(self, directory, store):
        (directory / "made.bin").write_bytes(bytes(100))

    def load(self, directory, store):
        return directory


@dataclass(frozen=True, kw_only=True)
class Bank(Fake):
    kind, title = "shape_bank", "shape bank"
    train: Samples


@dataclass(frozen=True, kw_only=True)
class Fit(Fake):
    kind, title = "layout_fit", "fit of the sampler"
    bank: Bank
    generations: int = 1
    population: int = 4
    seed: int = 0

    def work(self):
        return Work((self.generations * self.population + 1) * len(self.bank.train), "masks", self.population)


@dataclass(frozen=True, kw_only=True)
class Gan(Fake):
    """A training: two epochs of batches of one."""

    kind, title = "gan_stage1", "GAN, stage 1,"
    train: Samples
    task: Mapping[str, Any]
    candidates: int
    seed: int
    trainer: TrainerSettings

    def work(self):
        return Work(self.task["n_epochs"] * len(self.train), "steps", dict(self.task))

    def done_units(self, directory):
        return len(self.train) * len(list(directory.glob("epoch_*")))


@dataclass(frozen=True, kw_only=True)
class Network(Fake):
    kind, title = "fcn_score", "FCN-score network"
    training: "Training"
    train: Samples
    val: Samples
    seed: int
    trainer: TrainerSettings

    def work(self):
        return Work(self.training.steps, "steps", "network")


@dataclass(frozen=True, kw_only=True)
class Chooser(Node):
    kind = "chooser"
    network: Network
    images: int


@dataclass(frozen=True, kw_only=True)
class FakeTranslator(Fake):
    kind, title = "translator", "translator"
    train: Samples
    seed: int
    trainer: TrainerSettings
    task: Mapping[str, Any]
    name: str = aside("fake")
    candidates: int = 0
    choose: str = "last"
    chooser: Node | None = None

    def inputs(self):
        gan = Gan(train=self.train, task=self.task, candidates=self.candidates, seed=self.seed, trainer=self.trainer)
        return {"train": self.train, "gan": gan} | ({} if self.chooser is None else {"chooser": self.chooser})

    def batch_sizes(self):
        return {"translator.batch_size": 1}


@dataclass(frozen=True, kw_only=True)
class Source(Node):
    kind = "pairs"
    fit: Fit
    translator: FakeTranslator


@dataclass(frozen=True, kw_only=True)
class Pairs(Fake):
    kind, title, grows = "synthetic", "synthetic pairs", True
    pairs: Source
    count: int = aside(1)

    def build(self, directory, store):
        for folder in ("images", "labels"):
            (directory / folder).mkdir(exist_ok=True)
            for index in range(self.count):
                (directory / folder / f"{index:05d}.png").write_bytes(bytes(50))

    def is_complete(self, directory):
        return self.done_units(directory) == self.count

    def work(self):
        return Work(self.count, "pairs", "pairs")

    def done_units(self, directory):
        return min(self.count, len(list((directory / "images").glob("*"))))


@dataclass(frozen=True)
class Training:
    steps: int = 4
    steps_per_epoch: int = 2
    batch_size: int = 2
    crop: int | None = 64


@dataclass(frozen=True)
class Model:
    name: str = "fcn8s"

    @property
    def title(self):
        return self.name


@dataclass(frozen=True)
class Flips:
    """An augmentation that changes nothing."""

    def decisive(self):
        return "flips"

    def build(self, train, seed, spec):
        return lambda image, label_map, seed: (image, label_map)


@dataclass(frozen=True, kw_only=True)
class Run(Fake):
    kind, title = "train", "run"
    data: str
    mix: Mix
    model: Model
    training: Training
    augmentation: Flips
    synthetic: Node | None
    seed: int
    trainer: TrainerSettings
    protocol: str = "held_out"
    manifest: Manifest = aside(None)

    def work(self):
        return Work(self.training.steps, "steps", [self.model.name, self.training.batch_size])

    def done_units(self, directory):
        return min(self.training.steps - 1, self.training.steps_per_epoch * len(list(directory.glob("epoch_*"))))

    def is_complete(self, directory):
        return (directory / "metrics.json").is_file()


@dataclass
class Graph:
    """The recipes of a run, put together as the commands do it."""

    root: Path
    n_train: int = 4
    seed: int = 0
    trainer: TrainerSettings = field(default_factory=TrainerSettings)
    training: Training = Training()
    translator_changes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        self.manifest = make_manifest(self.n_train)
        self.train = Samples(self.manifest.split("train"))
        self.store = Store(self.root / "artifacts", announce=lambda line: None)

    def network(self, steps=4):
        training, val = replace(self.training, steps=steps), Samples(self.manifest.split("val"))
        return Network(training=training, train=self.train, val=val, seed=self.seed, trainer=self.trainer)

    def translator(self, **changes):
        changes = {**self.translator_changes, **changes}
        task = {"_target_": "Task", "n_epochs": 2, "width": 8}
        return FakeTranslator(train=self.train, seed=self.seed, trainer=self.trainer, task=task, **changes)

    def source(self):
        fit = Fit(bank=Bank(train=self.train), seed=self.seed)
        return Source(fit=fit, translator=self.translator())

    def pairs(self, count):
        return Pairs(pairs=self.source(), count=count)

    def run(self, mix, synthetic=None, model="fcn8s"):
        if mix.synthetic and synthetic is None:
            synthetic = self.pairs(mix.synthetic)
        return Run(
            data="d", mix=mix, model=Model(model), training=self.training, augmentation=Flips(), synthetic=synthetic,
            seed=self.seed, trainer=self.trainer, manifest=self.manifest,
        )  # fmt: skip

    def job(self, recipe, label="this run", **more):
        directory = self.root / "runs" / recipe.key if recipe.kind == "train" else None
        return Job(label, recipe, self.store, directory, **more)

    def finish(self, job):
        """Have its run be there, with the record that is written last."""
        job.directory.mkdir(parents=True)
        (job.directory / "metrics.json").touch()


@dataclass(frozen=True, kw_only=True)
class TrainedGan(Fake):
    """A real training of one weight, one step for each image and epoch."""

    kind, title = "pix2pix", "Pix2Pix"
    train: Samples
    trainer: TrainerSettings
    task: Mapping[str, Any] = field(default_factory=lambda: {"n_epochs": 5})

    def build(self, directory, store):
        import pytorch_lightning as pl
        import torch

        from rbc_lightning.core.training import LAST, build_trainer, last_checkpoint

        class Line(pl.LightningModule):
            def __init__(self):
                super().__init__()
                self.weight = torch.nn.Linear(1, 1)

            def training_step(self, batch, _):
                return self.weight(batch).mean()

            def configure_optimizers(self):
                return torch.optim.SGD(self.parameters(), 0.1)

        batches = torch.utils.data.DataLoader(torch.ones(len(self.train), 1), batch_size=1)
        callbacks = [last_checkpoint(directory / LAST.parent)]
        trainer = build_trainer(
            self.trainer, directory, seed=0, callbacks=callbacks, loggers=[], max_epochs=self.task["n_epochs"]
        )
        trainer.fit(Line(), batches)
