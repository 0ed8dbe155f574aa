"""Recipes: what is to be made, from which settings and inputs, known before it is made.

A recipe is a small frozen dataclass. Its fields are the settings that decide the result; fields that are nodes themselves are
its inputs. The key of a recipe follows from kind, format, settings and the keys of its inputs, and from nothing else: equal
keys are equal things, and no list of settings stands a second time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from rbc_lightning.core.files import content_hash, to_plain

if TYPE_CHECKING:
    from rbc_lightning.core.store import Store

LAYOUT = 2
"""Part of every key; raised when keys are derived in another way. What an older layout made is neither used nor deleted."""

Made_co = TypeVar("Made_co", covariant=True)


def aside(default: Any) -> Any:  # noqa: ANN401 (stands for a field of any type)
    """A field that decides nothing: a label, a device's progress bar, how many of a growing set are asked for."""
    return field(default=default, compare=False, repr=False, metadata={"decides": False})


@dataclass(frozen=True)
class Work:
    """What making something takes, for a plan.

    Args:
        units: how many steps, images, masks or pairs there are in all.
        unit: what they are called, in the plural.
        about: plain values that decide how long one unit takes: sizes, networks, numerics; no seeds.
    """

    units: int
    unit: str
    about: Any


class Node(ABC):
    """One place in the graph of what is made from what; subclasses are frozen dataclasses.

    Class attributes:
        kind: of what it stands for, such as "shape_bank"; in one graph there is one node of a kind.
        format: raised in the same file whenever the code changes what comes out.
        leaf: whether it stands for data that nobody makes, such as the samples of a split.
    """

    kind: ClassVar[str]
    format: ClassVar[int] = 1
    leaf: ClassVar[bool] = False

    def settings(self) -> dict[str, Any]:
        """The settings that decide the result; override it to leave out those without effect under the others."""
        return {name: _plain(value) for name, value in self._deciding() if not isinstance(value, Node)}

    def inputs(self) -> dict[str, Node]:
        """The nodes that this one is made from, by field; override it to leave out those without effect."""
        return {name: value for name, value in self._deciding() if isinstance(value, Node)}

    @cached_property
    def key(self) -> str:
        """Hash of kind, format, settings and the keys of the inputs."""
        return content_hash(self.describe())

    def describe(self) -> dict[str, Any]:
        """What `key` is the hash of."""
        inputs = {name: node.key for name, node in self.inputs().items()}
        return {"layout": LAYOUT, "kind": self.kind, "format": self.format, "settings": self.settings(), "inputs": inputs}

    def walk(self) -> Iterator[Node]:
        """This node and everything upstream, each once, inputs before what is made from them."""
        seen: set[str] = set()

        def visit(node: Node) -> Iterator[Node]:
            if node.key not in seen:
                seen.add(node.key)
                for upstream in node.inputs().values():
                    yield from visit(upstream)
                yield node

        return visit(self)

    def formats(self) -> dict[str, int]:
        """The format of everything in the graph, by kind."""
        return {node.kind: node.format for node in self.walk()}

    def _deciding(self) -> Iterator[tuple[str, Any]]:
        for entry in fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            if entry.metadata.get("decides", True):
                yield entry.name, getattr(self, entry.name)


class Recipe(Node, Generic[Made_co]):
    """A node whose result lies in a directory of the store.

    Class attributes:
        title: what people call it, such as "shape bank".
        grows: whether the directory is extended in place, file by file, rather than made whole.
    """

    title: ClassVar[str]
    grows: ClassVar[bool] = False

    @abstractmethod
    def build(self, directory: Path, store: Store) -> None:
        """Make it in `directory`, going on with what an interrupted attempt left there.

        Args:
            directory: exists; renamed when whole, unless the recipe grows.
            store: gives the inputs, which are made: `store.make(self.bank)`.
        """

    @abstractmethod
    def load(self, directory: Path, store: Store) -> Made_co:
        """The live object from a finished directory."""

    def is_complete(self, directory: Path) -> bool:
        """Whether nothing is left to make."""
        return directory.is_dir()

    def work(self) -> Work | None:
        """What making it takes; None for what costs next to nothing."""
        return None

    def upstream(self) -> Iterator[Recipe[Any]]:
        """The recipes that it is made from, in the order in which they are made."""
        return (node for node in self.walk() if isinstance(node, Recipe) and node is not self)

    def done_units(self, directory: Path) -> int:  # noqa: ARG002 (for overriding)
        """How many units of `work` an interrupted attempt, or a growing set, has in `directory`."""
        return 0


def outline(node: Node) -> dict[str, Any]:
    """The settings that decide a node, those of its inputs nested by field; without seeds and without leaves such as samples.

    Two things made in the same way, of other data or by another luck, have the same outline.
    """
    settings: dict[str, Any] = {name: value for name, value in node.settings().items() if name != "seed"}
    label = getattr(node, "name", None)
    if isinstance(label, str):
        settings["name"] = label
    inputs = {name: outline(upstream) for name, upstream in node.inputs().items() if not upstream.leaf}
    return {**settings, **inputs}


def _plain(value: Any) -> Any:  # noqa: ANN401 (whatever a field holds)
    """A setting as plain containers; an object may say itself what of it decides."""
    decisive = getattr(value, "decisive", None)
    return to_plain(decisive() if callable(decisive) else value)
