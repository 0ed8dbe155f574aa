"""Datasets: samples to a dict of tensors."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from rbc_lightning.data.augment.crops import Augment, random_crop
from rbc_lightning.data.conversions import to_unit
from rbc_lightning.data.mix import MixStream, Source
from rbc_lightning.data.sample import Sample, common_spec
from rbc_lightning.data.spec import RGB, Image, ImageSpec, LabelMap
from rbc_lightning.errors import InputError

DrawLabelMap = Callable[[np.random.SeedSequence], LabelMap]

# Begins the names of samples that are made on the fly.
ONLINE = "online"
CACHE_BYTES = 512 * 2**20
# Bound on the decoded images of a validation, which reads the same ones in every epoch: 23 fields of 1920 x 1200.
VALIDATION_BYTES = 256 * 2**20
# Real images come back many times in a pass over a mix, each synthetic one hardly more than once.
CACHE_SHARES: dict[Source, float] = {"real": 0.75, "synthetic": 0.25}
_NAMED = 10  # of training samples in a note


class PairCache:
    """Reads image and label map of samples, and keeps what was read first until it takes `max_bytes`.

    Nothing is dropped: in a stream of permutations what was used longest ago is what comes next, so that dropping it, as
    is usual, would miss nearly always. Decoding a field of 1920 x 1200 takes fifty times as long as augmenting its crop.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes, self.used_bytes = max_bytes, 0
        self._kept: dict[str, tuple[Image, NDArray[np.integer]]] = {}

    def read(self, sample: Sample) -> tuple[Image, LabelMap]:
        """The pair of a sample, (H, W, C) and int32 (H, W), read-only where it is kept."""
        if sample.sample_id in self._kept:
            image, small = self._kept[sample.sample_id]
            return image, small.astype(np.int32)
        image, label_map = sample.load_image(), sample.load_label_map()
        # Half the bytes; more than 65,535 cells in an image are rare.
        small = label_map.astype(np.uint16) if int(label_map.max(initial=0)) <= np.iinfo(np.uint16).max else label_map
        if self.used_bytes + image.nbytes + small.nbytes <= self.max_bytes:
            self.used_bytes += image.nbytes + small.nbytes
            image.setflags(write=False)
            self._kept[sample.sample_id] = image, small
        return image, label_map


class SmearDataset(Dataset[dict[str, Any]]):
    """Whole samples in the manifest's order, for validation, test and inference.

    Each item: `image` float32 (C, H, W) in [0, 1], `label_map` int64 (H, W), `sample_id`, `origin`, `volume`, the scan of a
    slice, else empty, and `place` float64 (4,): index in the scan and mm between columns, rows and slices, NaN where not known.

    Args:
        cache_bytes: bound on the decoded images that are kept for the next time, see `PairCache`.
        ignored: names of classes; where the label map has one `ignored`, bool (H, W), is true, and no prediction counts.
    """

    def __init__(self, samples: Iterable[Sample], cache_bytes: int = 0, ignored: Sequence[str] = ()) -> None:
        self.samples, self.ignored = tuple(samples), tuple(ignored)
        self._cache = PairCache(cache_bytes)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        sample = self.samples[index]
        item = to_sample(*self._cache.read(sample), sample.sample_id, sample.origin, sample.spec)
        index_in_scan, spacing = sample.place or (math.nan, (math.nan,) * 3)
        item |= {"volume": sample.volume or "", "place": torch.tensor([index_in_scan, *spacing], dtype=torch.float64)}
        return item | ({"ignored": torch.from_numpy(sample.marked(self.ignored))} if self.ignored else {})


class MixDataset(Dataset[dict[str, Any]]):
    """Training samples drawn from a mix: read, cropped, augmented where the draw says so.

    The item at `serial` is a function of (seed, serial) alone: draws, augmentation, crop, and `noise_seed` (int), from which
    a task draws what it adds to this sample, in any process. `augmented` (bool) beside `origin` says what was drawn.

    Args:
        synthetic: samples; or, for pairs made on the fly, a function that draws a label map. Then such an item has
            an `image` of zeros, to be generated on the training device, with `paint_seed`.
        crop: side of the random square crop in pixels; None for whole images.
        focus: share of the crops that lie about something labelled, see `random_crop`.
        cache_bytes: bound on the decoded images that each loading process keeps.
    """

    def __init__(
        self,
        real: Sequence[Sample],
        synthetic: Sequence[Sample] | DrawLabelMap,
        stream: MixStream,
        *,
        augment: Augment | None,
        crop: int | None,
        seed: int,
        focus: float = 0,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.draw_label_map = synthetic if callable(synthetic) else None
        self.pools = {"real": tuple(real), "synthetic": () if callable(synthetic) else tuple(synthetic)}
        samples = (*self.pools["real"], *self.pools["synthetic"])
        held_out = next((sample for sample in samples if sample.split != "train"), None)
        if held_out:
            raise ValueError(f"sample {held_out.sample_id!r} of split {held_out.split!r} in a training set; expected train")
        self.spec = common_spec(samples)
        self.stream, self.augment, self.crop, self.focus, self.seed = stream, augment, crop, focus, seed
        self._caches = {source: PairCache(int(share * cache_bytes)) for source, share in CACHE_SHARES.items()}

    def __getitem__(self, serial: int) -> dict[str, Any]:
        draw = self.stream[serial]
        seeds = np.random.SeedSequence([self.seed, serial]).generate_state(4)
        augment_seed, crop_seed, paint_seed, noise_seed = map(int, seeds)
        if draw.source == "synthetic" and self.draw_label_map is not None:
            label_map = self.draw_label_map(np.random.SeedSequence([self.seed, serial, paint_seed]))
            image: Image = np.zeros((*label_map.shape, self.spec.n_channels), dtype=self.spec.dtype)
            name, origin = f"{ONLINE}_{serial}", "synthetic"
        else:
            sample = self.pools[draw.source][draw.index]
            image, label_map = self._caches[draw.source].read(sample)
            name, origin = sample.sample_id, sample.origin
        # Cropped first: augmenting a whole field of 1920 x 1200 costs forty times as much.
        if self.crop is not None:
            image, label_map = random_crop(image, label_map, self.crop, np.random.default_rng(crop_seed), self.spec, self.focus)
        if draw.augmented and self.augment is not None:
            image, label_map = self.augment(image, label_map, augment_seed)
        item = to_sample(image, label_map, name, origin, self.spec) | {"noise_seed": noise_seed, "augmented": draw.augmented}
        return item if self.draw_label_map is None else item | {"paint_seed": paint_seed}


class StreamSampler(Sampler[int]):
    """Serial numbers of one epoch: epoch e of n samples covers e*n .. e*n + n - 1, shared out among processes.

    `current_epoch` is asked whenever an epoch begins, so that a resumed training goes on where the stream stopped.
    """

    def __init__(
        self, samples_per_epoch: int, rank: int = 0, world_size: int = 1, current_epoch: Callable[[], int] = lambda: 0
    ) -> None:
        if samples_per_epoch % world_size:
            raise ValueError(f"{samples_per_epoch} samples per epoch over {world_size} processes; expected a multiple")
        self.samples_per_epoch, self.rank, self.world_size = samples_per_epoch, rank, world_size
        self.current_epoch = current_epoch

    def __len__(self) -> int:
        return self.samples_per_epoch // self.world_size

    def __iter__(self) -> Iterator[int]:
        start = self.current_epoch() * self.samples_per_epoch
        return iter(range(start + self.rank, start + self.samples_per_epoch, self.world_size))


def empty_label_maps(samples: Sequence[Sample]) -> tuple[str, ...]:
    """The sample_ids of the samples whose label map has no cell: fine as background; an `InputError` if all are."""
    empty = tuple(sample.sample_id for sample in samples if not sample.load_label_map().any())
    if samples and len(empty) == len(samples):
        if samples[0].volume is not None:
            what = " or ".join(samples[0].spec.classes)
            raise InputError(
                f"none of the {len(samples)} training slices shows {what}; expected some: check data.classes, data.targets and "
                "the masks, or move scans that show some into the train split"
            )
        raise InputError(
            f"none of the {len(samples)} training label maps has a cell ({samples[0].where} is the first); expected ids "
            "1..n on cells: check that labels/ holds label maps and not masks of zeros"
        )
    return empty


def tell_of_empty(samples: Sequence[Sample]) -> str | None:
    """A line on training samples without anything labelled, slices counted, others named, and on classes that none shows."""
    empty = empty_label_maps(samples)
    if samples and samples[0].volume is not None:
        classes = samples[0].spec.classes
        shown = set().union(*(np.unique(sample.load_label_map()).tolist() for sample in samples))
        absent = [name for value, name in enumerate(classes, start=1) if value not in shown]
        counted = f"note: {len(empty)} of {len(samples)} training slices show no {' or '.join(classes)}"
        if absent:
            return f"{counted}; none shows {' or '.join(absent)}, which no model can learn: move scans with it into train"
        return counted if empty else None
    if not empty:
        return None
    names = ", ".join(empty[:_NAMED]) + ", ..." * (len(empty) > _NAMED)
    return f"note: {len(empty)} training label maps without a cell count as background: {names}"


def to_sample(image: Image, label_map: LabelMap, name: str, origin: str, spec: ImageSpec = RGB) -> dict[str, Any]:
    """Pack arrays (H, W, C) and (H, W) as the dict of tensors that tasks take, the image scaled to [0, 1]."""
    return {
        "image": torch.from_numpy(to_unit(np.ascontiguousarray(image.transpose(2, 0, 1)), spec)),
        "label_map": torch.from_numpy(label_map.astype(np.int64)),
        "sample_id": name,
        "origin": origin,
    }
