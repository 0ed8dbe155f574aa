"""Training slices with lesions of other training patients pasted in: pairs without a generator, which a GAN has to beat.

After Ghiasi et al. 2021, for scans: a lesion keeps its contrast to what lay around it, and lies inside the brain as far from
the ventricles as it did, or, where a slice shows none, from the border of the brain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rbc_lightning.core.seeds import pair_seeds
from rbc_lightning.data.sample import Sample
from rbc_lightning.data.volumes.head import HEAD
from rbc_lightning.errors import InputError
from rbc_lightning.pairs.base import Pair, PairSource

if TYPE_CHECKING:
    from rbc_lightning.core.store import Store

_VENTRICLES = "ventricles"
_MARGIN = 3  # pixels around a lesion that are cut out with it
_RING = 2  # pixels around it that tell what it stands on
_PLACES = 20  # tried for a lesion before it is given up
_LEAST_TOLERANCE = 2.0  # mm
_TOUCHING = np.ones((3, 3), dtype=np.bool_)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Slice:
    """A training slice: image float64 (H, W, C), targets int32, where a lesion may lie, and mm from ventricles and border."""

    group: str
    image: Floats
    targets: NDArray[np.int32]
    inside: NDArray[np.bool_]
    from_ventricles: Floats | None
    from_border: Floats


@dataclass(frozen=True)
class _Lesion:
    """A lesion cut out: pixels less what it stood on, its values (0: around it), and where it lay."""

    group: str
    contrast: Floats
    values: NDArray[np.int32]
    from_ventricles: float | None
    from_border: float


@dataclass(frozen=True, kw_only=True)
class LesionPastePairs(PairSource):
    """A training slice drawn by the seed, with lesions of other training patients, mirrored left to right at random.

    Args:
        lesions: smallest and largest number pasted into a slice; fewer where there is no room.
        tolerance: by which share of it, at least 2 mm, the distance from the ventricles or the border may differ.
        feather: standard deviation of the soft edge, pixels.

    Raises:
        InputError: a value is out of range, or the data have no classes.
    """

    lesions: tuple[int, int] = (1, 5)
    tolerance: float = 0.2
    feather: float = 0.7

    def __post_init__(self) -> None:
        numbers = tuple(self.lesions)
        whole = all(isinstance(n, int) and not isinstance(n, bool) for n in numbers)
        if len(numbers) != 2 or not whole or not 1 <= numbers[0] <= numbers[1]:
            raise InputError(f"pairs.lesions={list(numbers)}; expected [smallest, largest] number of lesions from 1 up")
        object.__setattr__(self, "lesions", numbers)
        for name in ("tolerance", "feather"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"pairs.{name}={getattr(self, name)}; expected a number of at least 0")
        if any(sample.spec.labels != "classes" for sample in self.train.samples):
            raise InputError(
                "pairs=lesion_paste pastes lesions of scans, and these label maps hold cells; take pairs=copy_paste"
            )

    def open(self, store: Store) -> Callable[[int], Pair]:  # noqa: ARG002 (the samples lie in no store)
        """See `PairSource`; cuts out the lesions of all training slices first.

        Raises:
            InputError: there is no lesion, or no outline of the brain.
        """
        samples = self.train.samples
        donors = [lesion for sample in samples for lesion in _cut(_read(sample))]
        if not donors:
            raise InputError(
                f"pairs=lesion_paste: none of the {len(samples)} training slices shows a lesion; add scans that do"
            )

        def draw(index: int) -> Pair:
            host_seed, paste_seed = pair_seeds(self.seed, index)
            host = samples[int(np.random.default_rng(host_seed).integers(len(samples)))]
            return self._paste(host, donors, np.random.default_rng(paste_seed))

        return draw

    def _paste(self, host: Sample, donors: Sequence[_Lesion], rng: np.random.Generator) -> Pair:
        there = _read(host)
        image, targets = there.image.copy(), there.targets.copy()
        # With a single patient its own.
        others = [lesion for lesion in donors if lesion.group != there.group] or donors
        for _ in range(int(rng.integers(self.lesions[0], self.lesions[1] + 1))):
            lesion = others[int(rng.integers(len(others)))]
            step = -1 if rng.random() < 0.5 else 1
            places = self._places(there, lesion)
            for place in rng.permutation(len(places))[:_PLACES]:
                if _lay(image, targets, there.inside, lesion, places[place], step, self.feather):
                    break
        spec = host.spec
        return Pair(np.rint(image).clip(*spec.value_range).astype(spec.dtype), targets)

    def _places(self, there: _Slice, lesion: _Lesion) -> NDArray[np.int64]:
        """Where the middle of a lesion may lie, (N, 2)."""
        wanted, far = lesion.from_border, there.from_border
        if there.from_ventricles is not None and lesion.from_ventricles is not None:
            wanted, far = lesion.from_ventricles, there.from_ventricles
        return np.argwhere(there.inside & (abs(far - wanted) <= max(_LEAST_TOLERANCE, self.tolerance * wanted)))


def _read(sample: Sample) -> _Slice:
    every = sample.with_context()
    names, label_map = every.spec.class_names, every.load_label_map()
    if "brain" not in names:
        raise InputError("pairs=lesion_paste needs to know where the brain is; expected data.outline=brain")
    values = [value for value, name in enumerate(names, start=1) if name not in (_VENTRICLES, *HEAD)]
    inside = np.isin(label_map, values)
    ventricles = label_map == names.index(_VENTRICLES) + 1 if _VENTRICLES in names else np.zeros_like(inside)
    spacing = sample.spec.spacing or (1.0, 1.0)
    return _Slice(
        sample.group,
        sample.load_image().astype(np.float64),
        sample.load_label_map(),
        inside,
        ndimage.distance_transform_edt(~ventricles, sampling=spacing) if ventricles.any() else None,
        np.asarray(ndimage.distance_transform_edt(inside | ventricles, sampling=spacing)),
    )


def _cut(there: _Slice) -> list[_Lesion]:
    """The lesions of a slice, each with its surroundings; one at the slice's border is left out."""
    patches, _ = ndimage.label(there.targets > 0, structure=_TOUCHING)
    cut = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(patches), start=1):
        box = slice(rows.start - _MARGIN, rows.stop + _MARGIN), slice(columns.start - _MARGIN, columns.stop + _MARGIN)
        if min(box[0].start, box[1].start) < 0 or box[0].stop > patches.shape[0] or box[1].stop > patches.shape[1]:
            continue
        own = patches[box] == number
        ground = _ground(there.image[box], own, there.inside[box] & (patches[box] == 0))
        if ground is None:
            continue
        far = None if there.from_ventricles is None else float(there.from_ventricles[box][own].mean())
        values = np.where(own, there.targets[box], 0).astype(np.int32)
        cut.append(_Lesion(there.group, there.image[box] - ground, values, far, float(there.from_border[box][own].mean())))
    return cut


def _ground(image: Floats, own: NDArray[np.bool_], brain: NDArray[np.bool_]) -> Floats | None:
    """What a lesion stands on: the mean (C,) of the brain in a ring around it; None where there is none."""
    ring = ndimage.binary_dilation(own, structure=_TOUCHING, iterations=_RING) & brain & ~own
    return np.asarray(image[ring].mean(axis=0)) if ring.any() else None


def _lay(
    image: Floats,
    targets: NDArray[np.int32],
    inside: NDArray[np.bool_],
    lesion: _Lesion,
    middle: NDArray[np.int64],
    step: int,
    feather: float,
) -> bool:
    """Paste in place, mirrored with a `step` of -1; nothing where the lesion would leave the brain or touch another."""
    values, contrast = lesion.values[:, ::step], lesion.contrast[:, ::step]
    top, left = (int(at) - size // 2 for at, size in zip(middle, values.shape, strict=True))
    box = slice(top, top + values.shape[0]), slice(left, left + values.shape[1])
    if top < 0 or left < 0 or box[0].stop > inside.shape[0] or box[1].stop > inside.shape[1]:
        return False
    own = values > 0
    if not inside[box][own].all() or (targets[box] > 0)[ndimage.binary_dilation(own, structure=_TOUCHING)].any():
        return False
    ground = _ground(image[box], own, inside[box] & (targets[box] == 0))
    if ground is None:
        return False
    share = ndimage.gaussian_filter(own.astype(np.float64), feather)[..., None]
    image[box] = (1 - share) * image[box] + share * (ground + contrast)
    targets[box][own] = values[own]
    return True
