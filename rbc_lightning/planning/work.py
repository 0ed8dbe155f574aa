"""What the jobs of a plan would have to make, read off their recipes: trainings, and what lies upstream; nothing is made."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rbc_lightning.core.files import content_hash
from rbc_lightning.core.recipe import Node, Recipe, Work, outline
from rbc_lightning.core.store import Store
from rbc_lightning.core.trainer import TrainerSettings, check_count, check_word
from rbc_lightning.data.manifest import Samples
from rbc_lightning.errors import InputError

if TYPE_CHECKING:
    from rbc_lightning.data.sample import Sample

RUN, MEMBER, TRANSLATOR, FCN_SCORE = "train", "member", "translator", "fcn_score"
SYNTHETIC, LAYOUT_FIT = "synthetic", "layout_fit"
SEGMENTERS = (RUN, MEMBER, FCN_SCORE)
"""Trainings on a mix of samples, with validations."""


@dataclass(frozen=True)
class PlanSettings:
    """The part `plan` of the configuration.

    Args:
        stage: what the planned runs do, "train" or "translator".
        steps: of each kind that are timed, after one to warm up.
        seconds: after so many no further step of a kind begins.
        output: directory of the plan; None: `plans/NAME` in the directory of runs.

    Raises:
        InputError: a value is refused.
    """

    stage: str
    steps: int
    seconds: float
    output: str | None = None

    def __post_init__(self) -> None:
        check_count("plan.steps", self.steps, 1)
        seconds = self.seconds
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
            raise InputError(f"plan.seconds={seconds}; expected a number above 0, the most that steps of one kind may take")
        check_word("plan.stage", self.stage, (RUN, TRANSLATOR))


@dataclass(frozen=True)
class Job:
    """One run that is planned.

    Args:
        label: how the user knows it.
        recipe: what it makes: a run, or a translator.
        store: where all but runs lies.
        directory: of a run.
        beside: what it needs, or what is to be timed for it, besides the recipe's inputs.
        anew: whether it is made although it is there.
    """

    label: str
    recipe: Recipe[Any]
    store: Store
    directory: Path | None = None
    beside: tuple[Recipe[Any], ...] = ()
    anew: bool = False

    def nodes(self) -> Iterator[Node]:
        """All that it stands on, inputs first."""
        return (node for root in (self.recipe, *self.beside) for node in root.walk())

    def place(self, recipe: Recipe[Any]) -> Path:
        """Where one of its recipes lies once it is made."""
        return self.directory if self.directory is not None and recipe is self.recipe else self.store.path(recipe)

    def has(self, node: Node) -> bool:
        """Whether nothing of a recipe is left to make."""
        again = self.anew and node is self.recipe
        return isinstance(node, Recipe) and not again and node.is_complete(self.place(node))


@dataclass(frozen=True)
class Timing:
    """What a probe found.

    Args:
        values: seconds per unit and other numbers by name, bytes of memory and disk among them.
        problem: one line: why there are none.
        refused: whether a setting is at fault, so that the run itself would end with this line.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""
    refused: bool = False

    def summary(self) -> str:
        """What the probe's process sends to the one that waits for it."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class PlannedWork:
    """One thing to be made, and what that still costs; jobs that name the same key share it.

    Args:
        recipe: of it.
        job: the first one that asks for it.
        unit: "steps", "images", "masks", "pairs" or "members".
        units: in all.
        done: of them, what is there already; as many as there are when it is finished.
        probe: what decides how long a unit takes; works with the same one are timed once.
        translator: name of the one that it belongs to, if any.
        timing: what was measured; where that failed, why.
        unit_seconds: of one unit, all told.
        seconds: until it is finished, on one device.
        memory: peak of the process, bytes.
        disk: bytes it leaves behind.
    """

    recipe: Any = field(repr=False)  # a Recipe; each kind has settings of its own
    job: Job = field(repr=False)
    unit: str
    units: int
    done: int
    probe: str
    translator: str = ""
    timing: Timing = field(default_factory=Timing)
    unit_seconds: float = 0.0
    seconds: float = 0.0
    memory: float = 0.0
    disk: float = 0.0

    @property
    def kind(self) -> str:
        """Of the recipe."""
        return str(self.recipe.kind)

    @property
    def key(self) -> str:
        """Name of its directory."""
        return self.job.place(self.recipe).name

    @property
    def left(self) -> int:
        """Units still to be made."""
        return self.units - self.done

    @property
    def name(self) -> str:
        """How the user knows it: a run by its model."""
        title: str = self.recipe.model.title if self.kind == RUN else self.recipe.title.rstrip(",")
        return f"{title} of {self.recipe.model.name}" if self.kind == MEMBER else title

    @property
    def gpu_memory(self) -> float:
        """Peak reserved on the GPU, bytes; 0 on the CPU."""
        return self.timing.values.get("gpu_memory", 0.0)


def works_of(job: Job) -> tuple[PlannedWork, ...]:
    """What is made for a job, in that order, a run last; of a finished run itself alone."""
    found: dict[str, PlannedWork] = {}
    needed, names = set(_needed(job)), _of_translator(job)
    for node in job.nodes():
        if not isinstance(node, Recipe) or not (job.has(node) or node.key in needed):
            # Also what is upstream of something finished, and was taken away since.
            continue
        n_train = len(train_samples(node))
        # What says nothing of its work looks at every training image.
        work = node.work() or Work(n_train, "images", [outline(node), n_train])
        if job.has(node):
            done = work.units
        elif job.anew and node is job.recipe:
            done = 0
        else:
            whole = job.place(node)
            begun = whole if node.grows or whole == job.directory else whole.with_suffix(".partial")
            done = min(work.units, node.done_units(begun))
        tried = tried_as(node)
        augmentation = getattr(tried, "augmentation", None)
        probe = content_hash([tried.kind, work.about, None if augmentation is None else augmentation.decisive()])
        planned = PlannedWork(node, job, work.unit, work.units, done, probe, names.get(node.key, ""))
        if work.units:
            found.setdefault(node.key, planned)
    works = sorted(found.values(), key=lambda work: work.kind == RUN)
    return tuple(work for work in works if work.kind == RUN and not work.left) or tuple(works)


def tried_as(recipe: Recipe[Any]) -> Recipe[Any]:
    """What is timed to know the cost of a recipe: itself, of an ensemble a member."""
    tried: Recipe[Any] = getattr(recipe, "tried_as", recipe)
    return tried


def train_samples(node: Node) -> Sequence[Sample]:
    """The training samples that something is made of; of a run, those of its manifest."""
    manifest = getattr(node, "manifest", None)
    if manifest is not None:
        return tuple(manifest.split("train"))
    return next((upstream.samples for upstream in node.walk() if isinstance(upstream, Samples)), ())


def trainer_of(node: object) -> TrainerSettings:
    """How something is trained; on the CPU where it does not say."""
    trainer: TrainerSettings = getattr(node, "trainer", TrainerSettings())
    return trainer


def _needed(job: Job) -> Iterator[str]:
    """Keys of what is not there and would be made: nothing upstream of what is there."""
    waiting: list[Node] = [job.recipe, *job.beside]
    while waiting:
        node = waiting.pop()
        if not job.has(node):
            yield node.key
            waiting += node.inputs().values()


def _of_translator(job: Job) -> dict[str, str]:
    """The translator's name by the keys of what differs from one to another: its trainings, itself, its pairs."""
    translator = next((node for node in job.nodes() if node.kind == TRANSLATOR), None)
    if translator is None:
        return {}
    chooser: Node | None = getattr(translator, "chooser", None)
    shared = set() if chooser is None else {node.key for node in chooser.walk()}
    upstream = {node.key for node in translator.walk()} - shared
    downstream = {n.key for n in job.nodes() if n.kind != RUN and translator.key in {above.key for above in n.walk()}}
    return dict.fromkeys(upstream | downstream, str(getattr(translator, "name", "")))
