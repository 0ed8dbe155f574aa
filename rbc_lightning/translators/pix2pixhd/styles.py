"""Styles of the training instances, clustered per class, to draw new ones from (Bailo et al. 2019, Sec. 4.2, Fig. 6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from rbc_lightning.core.files import write_arrays
from rbc_lightning.core.seeds import Seed
from rbc_lightning.errors import InputError
from rbc_lightning.translators.pix2pixhd.instance_styles import (
    BACKGROUND,
    CELL,
    CLASS_NAMES,
    ImageStyles,
    encode_samples,
    gather_rows,
    weights_hash,
)
from rbc_lightning.translators.weights import read_stored_arrays

if TYPE_CHECKING:
    from rbc_lightning.translators.pix2pixhd.task import Pix2PixHDTask

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class StyleBank:
    """Style vectors of all training instances and their clusters.

    Attributes:
        vectors: float32 (R, C), one row per instance that is large enough.
        classes: int64 (R,), 0 = background, 1 = cell.
        sources: int64 (R,), index into `source_ids` of the image a row comes from.
        clusters: int64 (R,), row of `centers` a row belongs to.
        centers: float32 (K, C), cluster centres of both classes.
        center_classes: int64 (K,).
        source_ids: names of the training images.
        encoder_hash: `weights_hash` of the encoder that made the vectors.
    """

    vectors: NDArray[np.float32]
    classes: Indices
    sources: Indices
    clusters: Indices
    centers: NDArray[np.float32]
    center_classes: Indices
    source_ids: tuple[str, ...]
    encoder_hash: str

    @classmethod
    def fit(cls, task: Pix2PixHDTask, samples: Iterable[Mapping[str, Any]], n_clusters: int = 10, seed: int = 0) -> StyleBank:
        """Encode whole training images, see `encode_samples`, and cluster their styles; the bank is tied to the encoder."""
        encoder = task.painting_networks()[1]
        return cls.cluster(encode_samples(task, samples), weights_hash(encoder), n_clusters, seed)

    @classmethod
    def cluster(cls, images: Sequence[ImageStyles], encoder_hash: str, n_clusters: int = 10, seed: int = 0) -> StyleBank:
        """Cluster the styles of the training images per class.

        The reference clusters instances above a 64th of the image only, which no blood cell reaches; here those below half of
        their class's median area are left out.

        Args:
            images: one entry per training image.
            encoder_hash: `weights_hash` of the encoder.
            n_clusters: per class; fewer where a class has fewer instances.
            seed: of K-means.
        """
        if n_clusters < 1:
            raise ValueError(f"n_clusters must be at least 1, got {n_clusters}")
        vectors, classes, sources = gather_rows(images)
        clusters = np.zeros(len(vectors), dtype=np.int64)
        centers: list[NDArray[np.float32]] = []
        for kind in CLASS_NAMES:
            members = np.flatnonzero(classes == kind)
            distinct = len(np.unique(vectors[members], axis=0))
            means = KMeans(min(distinct, n_clusters), random_state=seed, n_init=3).fit(vectors[members])
            clusters[members] = means.labels_ + sum(map(len, centers))
            centers.append(means.cluster_centers_.astype(np.float32))
        center_classes = np.repeat(list(CLASS_NAMES), [len(c) for c in centers])
        names = tuple(image.sample_id for image in images)
        return cls(vectors, classes, sources, clusters, np.concatenate(centers), center_classes, names, encoder_hash)

    @property
    def usable_sources(self) -> Indices:
        """Indices into `source_ids` of the images with styles of both classes."""
        return np.intersect1d(self.sources[self.classes == CELL], self.sources[self.classes == BACKGROUND])

    def source_in_turn(self, index: int, seed: int) -> str:
        """Style mode of the `index`-th image of a set in which the training images take turns, each pass in its own order.

        Every stain then comes up equally often; drawn at random, a rare one may be left out of a small set.
        """
        count = len(self.usable_sources)
        return f"source:{np.random.default_rng([seed, index // count]).permutation(count)[index % count]}"

    def clusters_of(self, kind: int) -> Indices:
        """Rows of `centers` that belong to a class (0 = background, 1 = cell)."""
        return np.flatnonzero(self.center_classes == kind)

    def sample(self, n_ids: int, seed: Seed, mode: str = "per_image") -> NDArray[np.float32]:
        """Draw a style for every instance of a label map: float32 (n_ids, C), row 0 = background; no row is left unset.

        Args:
            n_ids: largest id + 1.
            seed: of the draw.
            mode: "per_image": all styles are those of one random training image, each cell taking one of its cells,
                so that stain and background fit. "source:k": the same with the k-th of `usable_sources`.
                "per_cell": a random cluster centre for every instance (the reference). "cluster:k": every cell takes
                cell cluster k (Bailo et al. 2019, Fig. 6) and the background is the mean of the backgrounds that those
                cells came with.
        """
        rng = np.random.default_rng(seed)
        if mode == "per_image":
            return self._from_one_image(n_ids, rng, int(rng.choice(self.usable_sources)))
        if mode.startswith("source:"):
            return self._from_one_image(n_ids, rng, int(self.usable_sources[_number(mode, len(self.usable_sources))]))
        if mode == "per_cell":
            return _draw(self.centers, self.clusters_of(BACKGROUND), self.clusters_of(CELL), n_ids, rng)
        return self._from_cluster(n_ids, _number(mode, len(self.clusters_of(CELL))))

    def save(self, path: Path) -> None:
        """Write the bank as one .npz file, atomically."""
        write_arrays(path, {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)})

    @classmethod
    def load(cls, path: Path, encoder_hash: str | None = None) -> StyleBank:
        """Read a bank.

        Raises:
            InputError: not a style file, or one made by another encoder than that in use, if one is given.
        """
        arrays = read_stored_arrays(path, [field.name for field in fields(cls)], "styles")
        names = {"source_ids": tuple(map(str, arrays["source_ids"])), "encoder_hash": str(arrays["encoder_hash"])}
        bank = cls(**arrays | names)
        if encoder_hash is not None and bank.encoder_hash != encoder_hash:
            raise InputError(
                f"{path} holds styles of another encoder ({bank.encoder_hash[:12]}, in use {encoder_hash[:12]}): "
                "gather the styles again with the encoder in use"
            )
        return bank

    def _from_one_image(self, n_ids: int, rng: np.random.Generator, source: int) -> NDArray[np.float32]:
        own = self.sources == source
        background, cells = (np.flatnonzero(own & (self.classes == kind)) for kind in (BACKGROUND, CELL))
        return _draw(self.vectors, background, cells, n_ids, rng)

    def _from_cluster(self, n_ids: int, number: int) -> NDArray[np.float32]:
        center = self.clusters_of(CELL)[number]
        # Each source's background counts as often as its cells are in the cluster.
        weights = np.bincount(self.sources[self.clusters == center], minlength=len(self.source_ids))
        backgrounds = self.classes == BACKGROUND
        share = weights[self.sources[backgrounds]].astype(np.float32)
        if not share.any():
            share[:] = 1
        table = np.repeat(self.centers[center][None], n_ids, axis=0)
        table[0] = np.average(self.vectors[backgrounds], axis=0, weights=share)
        return table


def _draw(
    rows: NDArray[np.float32], backgrounds: Indices, cells: Indices, n_ids: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """One of the backgrounds, then cells at random: (n_ids, C)."""
    return np.take(rows, np.concatenate((rng.choice(backgrounds, 1), rng.choice(cells, n_ids - 1))), axis=0)


def _number(mode: str, count: int) -> int:
    """The k of "cluster:k" or "source:k", refused when there are not so many."""
    name, _, number = mode.partition(":")
    if name not in ("cluster", "source") or not number.isdecimal():
        raise ValueError(f"unknown style mode {mode!r}: choose per_image, per_cell, cluster:<number> or source:<number>")
    if int(number) >= count:
        kind = "cell clusters" if name == "cluster" else "training images"
        raise InputError(f"style mode {mode!r}: there are {kind} 0 to {count - 1} only; choose one of them")
    return int(number)
