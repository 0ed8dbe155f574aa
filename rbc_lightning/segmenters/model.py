"""What is trained, a network with its task, and how long. Imports no torch before a model is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rbc_lightning.core.build import Spec, build, parameters_of, target_of
from rbc_lightning.core.files import check_name, file_sha256
from rbc_lightning.core.trainer import check_count
from rbc_lightning.errors import InputError, blaming

if TYPE_CHECKING:
    from rbc_lightning.data.manifest import Samples
    from rbc_lightning.segmenters.base import BaseTask

OUTPUTS = {"n_classes": 1, "n_outputs": 1}
"""Arguments of networks that say how many maps they give: one, unless the data have several classes."""


@dataclass(frozen=True)
class Model:
    """The configuration group `model`: a network and the task that trains it, each named by `_target_`.

    Args:
        name: how tables call it; decides nothing.
        net: spec of the network; an argument `weights` is what it starts from, and a method `check_trainable` is called
            before a training.
        task: spec of a `BaseTask`, which is given the network as `net`.
        members: networks that are trained one by one, and used as one by the mean of their probabilities.

    Raises:
        InputError: the name cannot be part of a directory's name; several members of a task that has no probabilities.
    """

    name: str
    net: Spec
    task: Spec
    members: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", check_name("model.name", self.name))
        check_count("model.members", self.members, 1)
        if self.members > 1 and not (self.learns and getattr(target_of(self.task), "gives_probabilities", False)):
            raise InputError(
                f"model.members={self.members} with model.name={self.name}, which has no maps of probabilities to average; "
                "expected 1, or a model that has: wmh_unet, unet_novoselov, unet, fcn8s, unet_contour or dcan"
            )

    @property
    def title(self) -> str:
        """How tables call it, with its members where there are several."""
        return self.name if self.members == 1 else f"{self.name} x{self.members}"

    def facts(self, train: Samples) -> dict[str, Any]:
        """What samples say of arguments of network and task that are None; files are read where one asks for it.

        Returns:
            By name, those asked for: `in_channels`; `objects`, "dark" or "bright"; `cell_size`, mean equivalent diameter in
            pixels, rounded to 0.01; `max_cells`, the largest number in one image; `largest_box`, the longest side of a cell's
            box in pixels; `global_threshold`, see `best_threshold`. Of data of several classes `n_classes` and `n_outputs`, one
            for each and one for background. Of data of classes, standardised scans and upright images, what the task takes
            of `classes`, `standard` and `mirrored` without being asked.

        Raises:
            InputError: the cell size cannot be measured; names the setting that would do instead. The data have classes, and
                the task finds cells.
        """
        # Bring torch and Numba along, which settings need not wait for.
        from rbc_lightning.core.labels import label_map_to_boxes
        from rbc_lightning.masks.bank.recipe import measure_layout
        from rbc_lightning.segmenters.threshold.global_threshold import best_threshold

        spec = train.spec
        classes = spec.class_names
        if classes and not getattr(target_of(self.task), "takes_classes", False):
            raise InputError(
                f"model.name={self.name} finds cells, the data set has classes of pixels ({', '.join(classes)}); expected a "
                "model that takes classes: unet_novoselov, wmh_unet, unet or fcn8s"
            )
        label_maps = cache(train.label_maps)
        known: dict[str, Callable[[], Any]] = {
            "in_channels": lambda: spec.n_channels,
            "objects": lambda: spec.objects,
            # Of classes every patch counts, however small.
            "cell_size": lambda: None if classes else round(measure_layout(label_maps()).cell_size, 2),
            "max_cells": lambda: max(int(label_map.max()) for label_map in label_maps()),
            "largest_box": lambda: float(
                max((b[:, 2:] - b[:, :2]).max(initial=0) for b in map(label_map_to_boxes, label_maps()))
            ),
            "global_threshold": lambda: best_threshold(train, self.task.get("objects") or spec.objects),
        }
        if len(classes) > 1:
            known |= dict.fromkeys(OUTPUTS, lambda: len(classes) + 1)
        specs = (("model.task", self.task), ("model.net", self.net))
        asked = {name: group for group, spec in specs for name, value in spec.items() if value is None and name in known}
        # Such as other data do not have are no setting of a model, whose keys would change.
        told: dict[str, Any] = {"classes": list(classes), "standard": list(spec.standard or ()), "mirrored": spec.upright}
        taken = parameters_of(self.task)
        found: dict[str, Any] = {name: value for name, value in told.items() if value and name in taken}
        for name, group in asked.items():
            try:
                found[name] = known[name]()
            except InputError as error:
                raise InputError(f"{error}, or set {group}.{name}=<pixels>") from error
        return found

    def with_facts(self, facts: Mapping[str, Any]) -> Model:
        """The model with every argument of network and task that is None and named in `facts` filled in."""
        known = {**OUTPUTS, **facts}
        net, task = ({k: known.get(k) if v is None else v for k, v in spec.items()} for spec in (self.net, self.task))
        told = {name: facts[name] for name in ("classes", "standard", "mirrored") if name in facts}
        return replace(self, net=net, task={**told, **task})

    def build(self, *, for_training: bool = True) -> BaseTask:
        """The task with a new network, of several members with an `Ensemble` of new ones.

        Args:
            for_training: else weights are about to be loaded, and no pretrained ones are read or fetched.

        Raises:
            InputError: an argument is refused, or `task` builds none.
        """
        from rbc_lightning.segmenters.base import BaseTask
        from rbc_lightning.segmenters.ensemble import Ensemble

        nets = [self._net(for_training=for_training) for _ in range(self.members)]
        softmax = len(self.task.get("classes") or ()) > 1
        net = nets[0] if self.members == 1 else Ensemble(nets, softmax=softmax)
        task = build(self.task, "model.task", net=net)
        if not isinstance(task, BaseTask):
            raise InputError(f"model.task builds a {type(task).__name__}; expected a rbc_lightning.segmenters.base.BaseTask")
        return task

    def _net(self, *, for_training: bool) -> Any:  # noqa: ANN401 (a torch.nn.Module)
        bare = {} if for_training or "weights" not in self.net else {"weights": None}
        net = build({**self.net, **bare}, "model.net")
        if for_training and hasattr(net, "check_trainable"):
            with blaming("model.net"):
                net.check_trainable()
        return net

    @property
    def learns(self) -> bool:
        """Whether there is anything to train, as the class of the task says."""
        return bool(getattr(target_of(self.task), "learns", True))

    def decisive(self) -> dict[str, Any]:
        """What enters the keys of recipes: both specs, a file of weights by its content, members where there are several.

        A number of outputs that is left to the data stands as that of one class: data have keys of their own.
        """
        weights = self.net.get("weights")
        is_file = isinstance(weights, str) and Path(weights).is_file()
        content = {"weights": file_sha256(Path(str(weights)))} if is_file else {}
        outputs = {name: count for name, count in OUTPUTS.items() if self.net.get(name, count) is None}
        members = {} if self.members == 1 else {"members": self.members}
        return {"net": {**self.net, **content, **outputs}, "task": self.task, **members}


@dataclass(frozen=True)
class TrainingSettings:
    """The configuration group `training`.

    Args:
        steps: optimiser steps, a multiple of `steps_per_epoch`.
        steps_per_epoch: steps between two validations.
        batch_size: samples of a step, over all processes together.
        crop: side of random square crops, pixels; None for whole images.
        focus: share of the crops that lie about something labelled, for targets that fill little of an image.
        choose_after: share of the steps before which no weights are kept: of few validation images a network that has not
            settled may score well by luck.
        ema_decay: of the running mean of the weights, which is what is validated, kept and tested; 0: off.

    Raises:
        InputError: a value is refused.
    """

    steps: int
    steps_per_epoch: int
    batch_size: int
    crop: int | None = None
    ema_decay: float = 0.0
    focus: float = 0.0
    choose_after: float = 0.0

    def __post_init__(self) -> None:
        for name in ("steps", "steps_per_epoch", "batch_size"):
            check_count(f"training.{name}", getattr(self, name), 1)
        if self.crop is not None:
            check_count("training.crop", self.crop, 32)
        decay: object = self.ema_decay
        if isinstance(decay, bool) or not isinstance(decay, int | float) or not 0 <= decay < 1:
            raise InputError(f"training.ema_decay={decay}; expected a number from 0 (off) to below 1, such as 0.99")
        focus: object = self.focus
        if isinstance(focus, bool) or not isinstance(focus, int | float) or not 0 <= focus <= 1:
            raise InputError(f"training.focus={focus}; expected a share of the crops from 0 to 1, such as 0.5")
        if focus and self.crop is None:
            raise InputError(f"training.focus={focus} with training.crop=null; expected crops to lie about something: set one")
        after: object = self.choose_after
        if isinstance(after, bool) or not isinstance(after, int | float) or not 0 <= after < 1:
            raise InputError(f"training.choose_after={after}; expected a share of the steps from 0 to below 1, such as 0.5")
        check_steps("training.steps", self.steps, self.steps_per_epoch)

    def decisive(self) -> dict[str, Any]:
        """What enters keys; what came later only where it is used."""
        return {name: value for name, value in asdict(self).items() if name not in ("focus", "choose_after") or value}


def check_steps(name: str, steps: int, per_epoch: int) -> None:
    """Refuse steps that would end in the middle of an epoch of `per_epoch` steps.

    Raises:
        InputError: says which number the setting `name` could have.
    """
    if steps % per_epoch:
        raise InputError(
            f"{name}={steps} is no multiple of training.steps_per_epoch={per_epoch}; expected one, since weights are chosen by "
            f"validation at the end of an epoch: take {name}={max(per_epoch, steps - steps % per_epoch)}, or another "
            "training.steps_per_epoch"
        )
