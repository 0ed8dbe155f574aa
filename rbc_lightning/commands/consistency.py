"""Whether the parts of a configuration fit each other, asked before anything is read or made."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

from rbc_lightning.commands.plain import plain
from rbc_lightning.core.build import check_names
from rbc_lightning.data.manifest import Samples
from rbc_lightning.errors import InputError

if TYPE_CHECKING:
    from rbc_lightning.commands.experiment import Experiment


def check_consistency(experiment: Experiment) -> None:
    """Have every part that the stage may use check its settings, and those that meet in it each other's.

    Raises:
        InputError: a setting is refused.
    """
    cfg, stage, trainer = experiment.cfg, experiment.cfg.stage, experiment.trainer
    _check_given(experiment)
    _ = experiment.training, experiment.quality, experiment.tracking, experiment.augmentation
    if stage == "train":
        for name in ("model", *(() if cfg.floor.name is None else ("floor",))):
            for part in ("net", "task"):
                check_names(plain(cfg[name][part]), f"{name}.{part}", net=None)
    # Its recipes are made only to have their settings checked.
    unread = copy(experiment)
    unread.train = unread.val = Samples(())
    pairs = unread.pairs()
    measures = cfg.translator.choose == "quality" or stage == "pairs" or (stage == "translator" and experiment.quality.enabled)
    if measures:
        experiment.quality.check_steps(experiment.training.steps_per_epoch)
    if (measures or cfg.translator.choose == "validation") and experiment.protocol == "paper":
        raise InputError(
            "protocol=paper leaves no validation part to measure generated images on; take protocol=held_out, or "
            "translator.quality.enabled=false and translator.choose=last"
        )
    has_synthetic = stage == "train" and cfg.mix.synthetic != 0
    if trainer.processes > 1 and has_synthetic and experiment.synthetic.mode == "online":
        raise InputError(
            f"synthetic.mode=online paints in one process, trainer.devices={trainer.devices} asks for {trainer.processes}: "
            "take synthetic.mode=offline"
        )
    trains_translator = stage in ("translator", "synthesize", "pairs") or (has_synthetic and experiment.synthetic.path is None)
    if stage == "train" or (trains_translator and measures):
        trainer.check_batch("training.batch_size", experiment.training.batch_size)
    if trains_translator:
        for name, size in (unread.translator() if stage == "translator" else pairs).batch_sizes().items():
            trainer.check_batch(name, size)


def _check_given(experiment: Experiment) -> None:
    """Refuse things made elsewhere where the number of real images or patients is the question."""
    counts = {name: getattr(experiment.reader, name) for name in ("n_real_images", "n_real_patients")}
    name = next((name for name, count in counts.items() if count is not None), None)
    for key in ("translator", "synthetic"):
        path = experiment.cfg[key].path
        if name is not None and path is not None:
            raise InputError(
                f"data.{name}={counts[name]} with {key}.path={path}, which may have seen more images; drop {key}.path, "
                "so that it is made from those alone"
            )


def check_coco(experiment: Experiment) -> None:
    """Refuse `synthetic.coco` on data of classes, whose label maps hold no objects one by one."""
    spec = experiment.manifest.spec
    if experiment.synthetic.coco and spec.labels == "classes":
        raise InputError(
            f"synthetic.coco=true on {experiment.reader.name}, whose label maps hold classes ({', '.join(spec.classes)}) and "
            "no single objects; COCO lists objects: take synthetic.coco=false, the label maps are in labels/"
        )
