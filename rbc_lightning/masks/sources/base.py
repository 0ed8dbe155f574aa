"""`LabelMapSource`: where the label maps of synthetic pairs come from, and `FolderOfMasks`, the plainest of them."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rbc_lightning.core.files import file_sha256
from rbc_lightning.core.label_files import read_label_map
from rbc_lightning.core.recipe import Node
from rbc_lightning.core.seeds import Seed
from rbc_lightning.core.store import Store
from rbc_lightning.errors import InputError
from rbc_lightning.masks.bank.recipe import LabelMaps
from rbc_lightning.masks.sampler.sampled import SampledMask

Draw = Callable[..., SampledMask]
"""draw(seed) gives a mask, a function of the seed alone; that of the sampler takes a number of cells as well."""


@dataclass(frozen=True, kw_only=True)
class LabelMapSource(Node):
    """A source of label maps: the configuration group `masks`, given the train split's samples and `masks.seed`."""

    kind = "masks"

    train: LabelMaps
    seed: int

    @abstractmethod
    def open(self, store: Store) -> Draw:
        """What draws masks, everything upstream made first."""

    def about(self, store: Store) -> str:  # noqa: ARG002 (for overriding)
        """What the masks are made from, for the end of `stage=masks`."""
        return f"{len(self.train)} training label maps"

    def foreign_label_maps(self) -> dict[str, str]:
        """SHA-256 of the bytes of label maps that come from elsewhere than the train split, by name."""
        return {}

    def settings(self) -> dict[str, Any]:
        """With the class: two sources with the same settings are not the same."""
        return {"source": type(self).__name__, **super().settings()}


@dataclass(frozen=True, kw_only=True)
class FolderOfMasks(LabelMapSource):
    """The label maps of a directory in turn, shuffled by the seed in every round.

    Args:
        path: directory of label maps and nothing else (hidden files apart): 16-bit PNG or 32-bit TIFF.

    Raises:
        InputError: there is no such directory, or nothing in it.
    """

    path: Path

    def __post_init__(self) -> None:
        if not self.files():
            raise InputError(f"masks.path={self.path}: no label maps there; expected a directory of 16-bit PNG or 32-bit TIFF")

    def files(self) -> list[Path]:
        """The files in order of name."""
        return sorted(path for path in Path(self.path).glob("[!.]*") if path.is_file())

    def settings(self) -> dict[str, Any]:
        """The seed, and the bytes of the files wherever they lie."""
        return {"source": type(self).__name__, "seed": self.seed, "files": [file_sha256(path) for path in self.files()]}

    def foreign_label_maps(self) -> dict[str, str]:
        """All of them."""
        return {path.name: file_sha256(path) for path in self.files()}

    def inputs(self) -> dict[str, Node]:
        """None: the train split takes no part."""
        return {}

    def open(self, store: Store) -> Draw:  # noqa: ARG002 (the label maps lie in no store)
        """Read every file once; an InputError names one that is no label map."""
        files, instances = self.files(), self.train.spec.labels == "instances"
        for path in files:
            read_label_map(path, contiguous=instances)
        return partial(self._draw, files)

    def about(self, store: Store) -> str:  # noqa: ARG002 (as above)
        """Number of files, and their directory."""
        return f"{len(self.files())} label maps of {self.path}"

    def _draw(self, files: list[Path], seed: Seed) -> SampledMask:
        entropy = seed.entropy if isinstance(seed, np.random.SeedSequence) else seed
        # The seed of mask number i (core.seeds.mask_seed) ends in i.
        number = entropy if isinstance(entropy, int | None) else entropy[-1]
        lap, turn = divmod(number or 0, len(files))
        order = np.random.default_rng([self.seed, lap]).permutation(len(files))
        labels = self.train.spec.labels
        return SampledMask.from_label_map(read_label_map(files[order[turn]], contiguous=labels == "instances"), labels)
