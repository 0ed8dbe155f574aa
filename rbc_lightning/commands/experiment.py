"""What a configuration describes, as objects: data set, store, and the recipes of everything that can be made."""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from rbc_lightning.commands.consistency import check_consistency
from rbc_lightning.commands.overrides import overrides_of
from rbc_lightning.commands.plain import group, plain, settings
from rbc_lightning.commands.splits import read_split
from rbc_lightning.core.build import build
from rbc_lightning.core.progress import tell
from rbc_lightning.core.seeds import Seeds
from rbc_lightning.core.store import Store
from rbc_lightning.core.trainer import TrainerSettings, check_count, check_word
from rbc_lightning.data.manifest import Manifest, Samples
from rbc_lightning.data.mix import Mix, large_total
from rbc_lightning.data.readers.base import Reader
from rbc_lightning.errors import InputError
from rbc_lightning.evaluation.result import QualitySettings
from rbc_lightning.segmenters.model import Model, TrainingSettings
from rbc_lightning.tracking.base import Tracking


@dataclass(frozen=True)
class SyntheticSettings:
    """The part `synthetic` of the configuration.

    Args:
        mode: "offline" (pairs on disk) or "online" (a new pair for every draw).
        count: pairs that stage=masks and stage=synthesize make.
        coco: write COCO instance JSON as well.
        style: see `translators.base.Translator.paint`.
        path: directory of pairs to be used instead of making any.

    Raises:
        InputError: a value is refused.
    """

    mode: str
    count: int
    coco: bool
    style: str
    path: str | None

    def __post_init__(self) -> None:
        check_word("synthetic.mode", self.mode, ("offline", "online"))
        check_count("synthetic.count", self.count, 1)
        if self.mode == "online" and self.path is not None:
            raise InputError("synthetic.mode=online makes its own pairs; drop synthetic.path, or take synthetic.mode=offline")


@cache
def note_older(artifacts_dir: str) -> None:
    """Name in one line what an older layout left in a store, once however many configurations of a plan use it."""
    older = Store(Path(artifacts_dir)).older()
    if older:
        tell(
            f"note: {len(older)} directories in {artifacts_dir} were made by an older layout of this package (such as "
            f"{older[0].parent.name}/{older[0].name}): they are not used and stay where they are"
        )


class Experiment:
    """A configuration as objects; reads data when first asked for them.

    Args:
        cfg: the whole configuration.

    Raises:
        InputError: a setting is refused, before anything is read or made.
    """

    def __init__(self, cfg: DictConfig) -> None:
        self.cfg, self.seeds, self.protocol = cfg, Seeds.of(cfg), str(cfg.protocol)
        check_word("protocol", self.protocol, ("held_out", "paper"))
        self.trainer: TrainerSettings = build(plain(cfg.trainer), "trainer")
        self.store = Store(Path(cfg.artifacts_dir))
        note_older(str(cfg.artifacts_dir))
        self.runs_dir = Path(cfg.runs_dir)
        self.synthetic = settings(plain(cfg.synthetic), SyntheticSettings, "synthetic")
        self.reader: Reader = build(group(cfg, "data", "split_seed"), "data")
        check_consistency(self)

    @cached_property
    def tracking(self) -> Tracking:
        """Where curves go."""
        tracking: Tracking = build(plain(self.cfg.logger), "logger", config=plain(self.cfg), runs_dir=self.runs_dir.resolve())
        return tracking

    @cached_property
    def manifest(self) -> Manifest:
        """Real samples with their splits: validation cut from train, or none for protocol=paper."""
        return read_split(self.reader, self.store, self.protocol, self.seeds.split)

    @cached_property
    def train(self) -> Samples:
        """The train split."""
        return Samples(self.manifest.split("train"))

    @cached_property
    def val(self) -> Samples:
        """The validation split."""
        return Samples(self.manifest.split("val"))

    @property
    def command(self) -> tuple[str, ...]:
        """Overrides that choose data set, scale and all settings that decide a run but mix and `seed`."""
        return overrides_of(self.cfg, tuple(self.reader.overrides()))

    def masks(self, **changes: Any) -> Any:  # noqa: ANN401 (values of settings; a source)
        """The source of label maps; `changes` are values of the group `sampler` in place of the configuration's."""
        spec = group(self.cfg, "masks", "seed")
        if changes and "sampler" in spec:
            spec["sampler"] = {**spec["sampler"], **changes}
        return build(spec, "masks", train=self.train.with_context(), seed=self.seeds.masks)

    def translator(self) -> Any:  # noqa: ANN401 (a recipe)
        """The translator that is trained, or the one of `translator.path`."""
        from rbc_lightning.translators.given import GivenTranslator

        given: dict[str, Any] = {
            "train": self.train.with_context(),
            "seed": self.seeds.translator,
            "pairs_seed": self.seeds.synthetic,
            "trainer": self.trainer,
            "tracking": self.tracking,
        }
        if self.cfg.translator.path is not None:
            return GivenTranslator(path=Path(self.cfg.translator.path), **given)
        makes = {"quality": self.quality_chooser, "validation": self.loss_chooser}.get(self.cfg.translator.choose)
        chooser = makes() if makes else None
        return build(group(self.cfg, "translator", "path", "quality", "seed"), "translator", chooser=chooser, **given)

    def pairs(self) -> Any:  # noqa: ANN401 (a source of pairs)
        """The source of synthetic pairs; those made while training are draws of the training."""
        online = self.synthetic.mode == "online"
        return build(
            group(self.cfg, "pairs"),
            "pairs",
            train=self.train,
            seed=self.seeds.training if online else self.seeds.synthetic,
            style=self.synthetic.style,
            masks=self.masks(),
            translator=self.translator(),
            gan_seed=self.seeds.translator,
            trainer=self.trainer,
            tracking=self.tracking,
            crop=self.training.crop,
        )

    def synthetic_mix(self, images: int) -> Any:  # noqa: ANN401 (a recipe)
        """Pairs on disk for so many images of a mix, see `PairSource.count_for`."""
        given = self.synthetic.path is not None
        return self.synthetic_set(images if given else self.pairs().count_for(images))

    def synthetic_set(self, count: int) -> Any:  # noqa: ANN401 (a recipe)
        """Synthetic pairs on disk: made, or those of `synthetic.path`."""
        from rbc_lightning.pairs.synthetic_set import GivenPairs, SyntheticSet

        if self.synthetic.path is not None:
            return GivenPairs(path=Path(self.synthetic.path), count=count)
        return SyntheticSet(pairs=self.pairs(), count=count, manifest=self.manifest)

    def loss_chooser(self) -> Any:  # noqa: ANN401 (a node)
        """What chooses among checkpoints of a translator by the loss of their images of validation masks."""
        from rbc_lightning.evaluation.held_out_loss import LossChooser

        return LossChooser(val=self.val.with_context(), style=self.synthetic.style, seed=self.seeds.translator)

    def quality_chooser(self) -> Any:  # noqa: ANN401 (a node)
        """What chooses among checkpoints of a translator by the quality of their images."""
        from rbc_lightning.evaluation.measure import QualityChooser

        images, style, seed = self.quality.images, self.synthetic.style, self.seeds.translator
        return QualityChooser(network=self.fcn_score(), images=images, style=style, seed=seed)

    def fcn_score(self) -> Any:  # noqa: ANN401 (a recipe)
        """The FCN-score network: a segmenter trained on real pairs, which tells how faithful images are to their masks."""
        from rbc_lightning.evaluation.fcn_score import FcnScoreNetwork

        steps = self.quality.steps
        return FcnScoreNetwork(
            model=settings(group(self.cfg, "fcn_score"), Model, "fcn_score"),
            training=replace(self.training, steps=steps, steps_per_epoch=min(steps, self.training.steps_per_epoch)),
            train=self.train,
            val=self.val,
            seed=self.seeds.translator,
            trainer=self.trainer,
            tracking=self.tracking,
        )

    @cached_property
    def training(self) -> TrainingSettings:
        """How segmenters are trained."""
        return settings(plain(self.cfg.training), TrainingSettings, "training")

    def training_on(self, mix: Mix) -> TrainingSettings:
        """How a segmenter is trained on a mix: `training.epochs` passes over it, validated after each, where they are set."""
        epochs = self.cfg.training.get("epochs")
        if epochs is None:
            return self.training
        check_count("training.epochs", epochs, 1)
        steps = math.ceil(mix.total / self.training.batch_size)
        return replace(self.training, steps=epochs * steps, steps_per_epoch=steps)

    @cached_property
    def quality(self) -> QualitySettings:
        """How images of a translator are measured."""
        return settings(plain(self.cfg.translator.quality), QualitySettings, "translator.quality")

    @cached_property
    def augmentation(self) -> Any:  # noqa: ANN401 (settings)
        """How the augmented samples of a mix are changed."""
        return build(plain(self.cfg.augment), "augment")

    def mix(self) -> Mix:
        """Counts of the mix; a total of `scale.large` grows with the real images, any other is taken as given."""
        words, scale = plain(self.cfg.mix), self.cfg.scale
        check_count("scale.large", scale.large, 1)
        if words["total"] == scale.large:
            words["total"] = large_total(scale.large, scale.get("large_per_real"), len(self.train))
        return Mix.resolve(len(self.train), **words)

    def run(self) -> Any:  # noqa: ANN401 (a recipe)
        """The run that `stage=train` makes; it records the base seed for a purpose whose own seed decides nothing of it."""
        recipe, seeds = self._run(), self.seeds
        for purpose, seed in seeds.by_purpose().items():
            if seed != seeds.base:
                other = copy(self)
                other.seeds = replace(seeds, **{purpose: seeds.base})
                if purpose == "split":
                    # Made anew from the other cut.
                    for cached in ("train", "val"):
                        other.__dict__.pop(cached, None)
                    other.manifest = read_split(self.reader, self.store, self.protocol, seeds.base)
                if other._run().key == recipe.key:
                    seeds = other.seeds
        return replace(recipe, labels=replace(recipe.labels, seeds=seeds))

    def _run(self) -> Any:  # noqa: ANN401 (a recipe)
        from rbc_lightning.runs.ensemble import EnsembleSegmenter
        from rbc_lightning.runs.labels import RunLabels
        from rbc_lightning.runs.recipe import TrainedSegmenter
        from rbc_lightning.runs.untrained import UntrainedSegmenter

        model = settings(group(self.cfg, "model"), Model, "model")
        shared: dict[str, Any] = {
            "data": self.manifest.fingerprint(),
            "model": model,
            "seed": self.seeds.training,
            "trainer": self.trainer,
            "ignored": tuple(self.reader.ignore or ()),
            "manifest": self.manifest,
            "tracking": self.tracking,
        }
        ratio = self.cfg.mix.ratio
        labels = RunLabels(self.reader.name, plain(self.cfg), self.command, None if ratio is None else tuple(ratio), self.seeds)
        labels = replace(labels, epochs=self.cfg.training.get("epochs"))
        if not model.learns:
            return UntrainedSegmenter(**shared, labels=replace(labels, ratio=None, epochs=None))
        mix = self.mix()
        if mix.synthetic == 0:
            synthetic = None
        else:
            synthetic = self.pairs() if self.synthetic.mode == "online" else self.synthetic_mix(mix.synthetic)
        made = TrainedSegmenter if model.members == 1 else EnsembleSegmenter
        return made(
            **shared,
            mix=mix,
            training=self.training_on(mix),
            augmentation=self.augmentation,
            synthetic=synthetic,
            protocol=self.protocol,  # type: ignore[arg-type]  # one of the two words, see the constructor
            labels=labels,
        )
