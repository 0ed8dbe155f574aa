"""Sets on disk: synthetic pairs with their lineage, made or those of `synthetic.path`, and label maps alone."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rbc_lightning.core.files import file_sha256
from rbc_lightning.core.label_files import write_label_map
from rbc_lightning.core.progress import count_progress, tell
from rbc_lightning.core.recipe import Node, Recipe, Work, aside, outline
from rbc_lightning.core.seeds import mask_seed
from rbc_lightning.data.formats import write_image
from rbc_lightning.data.lineage import Lineage
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.sample import FilePair, Sample
from rbc_lightning.errors import InputError
from rbc_lightning.masks.sources import CROWDED, LabelMapSource
from rbc_lightning.pairs.base import PairSource

if TYPE_CHECKING:
    from rbc_lightning.core.store import Store
    from rbc_lightning.data.datamodule import Paint
    from rbc_lightning.data.stream import DrawLabelMap

MANIFEST = "manifest.csv"


@dataclass(frozen=True, kw_only=True)
class SyntheticSet(Recipe[tuple[Sample, ...]]):
    """The first `count` pairs of a source, in `images/` and `labels/`, listed in `manifest.csv`; it grows in place.

    Label maps hold what is segmented, not the context that images were made from.

    Pairs that descend from held-out samples of a manifest are an `InputError`, both when made and when read.
    """

    kind: ClassVar[str] = "synthetic"
    format: ClassVar[int] = 4
    title: ClassVar[str] = "synthetic pairs"
    grows: ClassVar[bool] = True

    pairs: PairSource
    count: int = aside(1)
    manifest: Manifest | None = aside(None)

    def build(self, directory: Path, store: Store) -> None:
        """Make the pairs that are missing."""
        self._refuse_held_out(store)
        draw, trained_on, spec = self.pairs.open(store), self.pairs.trained_on(store), self.pairs.train.spec
        samples: list[Sample] = []
        lost: list[int] = []
        with count_progress("Synthesising", self.count) as advance:
            for index in range(self.count):
                name = f"synthetic_{index:05d}"
                image, labels = (_found(directory / folder / f"{name}.png") for folder in ("images", "labels"))
                # An interrupted attempt may have written them.
                if not (image.is_file() and labels.is_file()):
                    pair = draw(index)
                    lost.append(pair.not_placed)
                    labels = write_label_map(labels, spec.targets(pair.label_map))
                    image = write_image(image, pair.image)
                lineage = Lineage(f"{self.pairs.seed}/{index}", self.key, self.pairs.translator_key, trained_on)
                hashes, files = (file_sha256(image), file_sha256(labels)), FilePair(image, labels, spec)
                samples.append(Sample(name, "train", name, *hashes, files, "synthetic", lineage, spec))
                advance(index + 1, self.count)
        if sum(lost):
            tell(f"{sum(lost)} cells in {len(lost)} pairs found no place: {CROWDED}")
        Manifest(tuple(samples)).save(directory / MANIFEST)

    def load(self, directory: Path, store: Store) -> tuple[Sample, ...]:
        """The pairs; an `InputError` where a file is gone or changed."""
        self._refuse_held_out(store)
        return Manifest.load(directory / MANIFEST).samples[: self.count]

    def is_complete(self, directory: Path) -> bool:
        """See `Recipe`."""
        path = directory / MANIFEST
        return path.is_file() and len(Manifest.load(path, verify=False).samples) >= self.count

    def work(self) -> Work:
        """See `Recipe`."""
        train = self.pairs.train
        return Work(self.count, "pairs", [outline(self.pairs), train.samples[0].size, asdict(train.spec)])

    def done_units(self, directory: Path) -> int:
        """See `Recipe`."""
        return min(self.count, len(list((directory / "images").glob("*"))))

    def _refuse_held_out(self, store: Store) -> None:
        if self.manifest is not None:
            self.pairs.refuse_held_out(store, self.manifest)


@dataclass(frozen=True, kw_only=True)
class GivenPairs(Recipe[tuple[Sample, ...]]):
    """The first `count` pairs of a directory with `manifest.csv`; their key follows from its bytes, which name all files'.

    Raises:
        InputError: no manifest there.
    """

    kind, format, title = SyntheticSet.kind, SyntheticSet.format, SyntheticSet.title

    path: Path
    count: int = aside(1)

    def __post_init__(self) -> None:
        if not self.is_complete(self.path):
            raise InputError(f"synthetic.path={self.path}: no {MANIFEST} there; expected a set written by stage=synthesize")

    def settings(self) -> dict[str, Any]:
        """The bytes of the manifest."""
        return {"manifest": file_sha256(self.path / MANIFEST)}

    def is_complete(self, directory: Path) -> bool:  # noqa: ARG002 (they lie elsewhere)
        """Whether they are still there."""
        return (self.path / MANIFEST).is_file()

    def build(self, directory: Path, store: Store) -> None:  # noqa: ARG002 (nothing is made)
        """Refuse a directory that has gone since the configuration was read."""
        self.__post_init__()

    def load(self, directory: Path, store: Store) -> tuple[Sample, ...]:  # noqa: ARG002 (they lie elsewhere)
        """The pairs; an `InputError` where one is not synthetic or has no lineage, a file changed, or there are fewer."""
        table = self.path / MANIFEST
        samples = Manifest.load(table).samples
        for sample in samples:
            if sample.origin != "synthetic" or sample.lineage is None or not sample.lineage.trained_on:
                raise InputError(
                    f"{table}: sample {sample.sample_id!r} is not a synthetic one that names what it was made from; "
                    "expected a set written by stage=synthesize"
                )
        if len(samples) < self.count:
            raise InputError(
                f"{table}: {len(samples)} synthetic samples where the mix asks for {self.count}; lower mix.total, or "
                "make more with stage=synthesize"
            )
        return samples[: self.count]


@dataclass(frozen=True, kw_only=True)
class MaskSet(Recipe[tuple[Path, ...]]):
    """The first `count` label maps of a source, in `labels/`: those of the synthetic pairs of the same numbers and seed."""

    kind: ClassVar[str] = "mask_set"
    title: ClassVar[str] = "label maps"
    grows: ClassVar[bool] = True

    masks: LabelMapSource
    seed: int
    count: int = aside(1)

    def build(self, directory: Path, store: Store) -> None:
        """Write the label maps that are missing, on all cores; say how many cells found no place."""
        draw = self.masks.open(store)
        missing = self._missing(directory)

        def write(index: int) -> tuple[int, int]:
            mask = draw(mask_seed(self.seed, index))
            write_label_map(_path(directory, index), mask.label_map)
            return mask.not_placed, mask.asked

        # Sampler and PNG compression release the interpreter's lock: threads use every core.
        with ThreadPoolExecutor(os.cpu_count()) as pool, count_progress("Sampling masks", len(missing)) as advance:
            lost = wanted = 0
            for done, (not_placed, asked) in enumerate(pool.map(write, missing), start=1):
                lost, wanted = lost + not_placed, wanted + asked
                advance(done, len(missing))
        if lost:
            tell(f"{lost} of {wanted} cells found no place: {CROWDED}")

    def load(self, directory: Path, store: Store) -> tuple[Path, ...]:  # noqa: ARG002 (the interface's)
        """The files of the first `count` label maps."""
        return tuple(_path(directory, index) for index in range(self.count))

    def is_complete(self, directory: Path) -> bool:
        """See `Recipe`."""
        return not self._missing(directory)

    def done_units(self, directory: Path) -> int:
        """See `Recipe`."""
        return self.count - len(self._missing(directory))

    def _missing(self, directory: Path) -> list[int]:
        return [index for index in range(self.count) if not _path(directory, index).is_file()]


def synthetic_samples(
    node: Node | None, store: Store, manifest: Manifest
) -> tuple[tuple[Sample, ...] | DrawLabelMap, Paint | None]:
    """Pairs on disk, or the means to make them while training.

    Args:
        node: a recipe of pairs on disk, or a source of pairs; None for none.
        store: makes what is missing.
        manifest: real samples; what descends from held-out ones is refused.
    """
    if node is None:
        return (), None
    if isinstance(node, PairSource):
        return node.online(store, manifest)
    assert isinstance(node, Recipe)
    samples: tuple[Sample, ...] = store.make(node)
    return samples, None


def _found(path: Path) -> Path:
    """The file of a name that may have been written as TIFF, since PNG cannot hold every image and label map."""
    other = path.with_suffix(".tif")
    return other if other.is_file() else path


def _path(directory: Path, index: int) -> Path:
    return _found(directory / "labels" / f"mask_{index:05d}.png")
