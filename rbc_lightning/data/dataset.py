"""Datasets: files to a dict of tensors."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from rbc_lightning.data.augment import random_crop
from rbc_lightning.data.formats import read_image, read_label_map
from rbc_lightning.data.manifest import Record
from rbc_lightning.data.mix import MixStream, Source
from rbc_lightning.errors import InputError

DrawLabelMap = Callable[[np.random.SeedSequence], NDArray[np.int32]]
Augment = Callable[[NDArray[np.uint8], NDArray[np.int32], int], tuple[NDArray[np.uint8], NDArray[np.int32]]]

# Begins the names of samples that are made on the fly.
ONLINE = "online"
CACHE_BYTES = 512 * 2**20
# Real images come back many times in a pass over a mix, each synthetic one hardly more than once.
_CACHE_SHARES: dict[Source, float] = {"real": 0.75, "synthetic": 0.25}


class SmearDataset(Dataset[dict[str, Any]]):
    """Whole samples in the manifest's order, for validation, test and inference.

    Each item: `image` float32 (3, H, W) in [0, 1], `label_map` int64 (H, W), `sample_id`, `origin`.
    """

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = tuple(records)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> dict[str, Any]:
        record = self.records[index]
        image, label_map = read_image(record.image_path), read_label_map(record.label_path)
        return to_sample(image, label_map, record.sample_id, record.origin)


class PairCache:
    """Reads image and label map of records, and keeps what was read first until a number of bytes is reached.

    Nothing is dropped: in a stream of permutations what was used longest ago is what comes next, so that dropping it, as
    is usual, would miss nearly always. Decoding a field of 1920 x 1200 takes fifty times as long as augmenting its crop.

    Args:
        max_bytes: bound on the kept arrays, in each process that loads; 0 keeps none.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes, self.used_bytes = max_bytes, 0
        self._kept: dict[str, tuple[NDArray[np.uint8], NDArray[np.integer]]] = {}

    def read(self, record: Record) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """The pair of a record, uint8 (H, W, 3) and int32 (H, W), read-only where it is kept."""
        if record.sample_id in self._kept:
            image, small = self._kept[record.sample_id]
            return image, small.astype(np.int32)
        image, label_map = read_image(record.image_path), read_label_map(record.label_path)
        # Half the bytes; more than 65,535 cells in an image are rare.
        small = label_map.astype(np.uint16) if int(label_map.max(initial=0)) <= np.iinfo(np.uint16).max else label_map
        if self.used_bytes + image.nbytes + small.nbytes <= self.max_bytes:
            self.used_bytes += image.nbytes + small.nbytes
            image.setflags(write=False)
            self._kept[record.sample_id] = image, small
        return image, label_map


class MixDataset(Dataset[dict[str, Any]]):
    """Training samples drawn from a mix: read, cropped, augmented where the draw says so.

    The item at `serial` is a function of (seed, serial) alone: draws, augmentation, crop, and `noise_seed` (int), from which
    a task draws what it adds to this sample, whatever process it lands in. `augmented` (bool) beside `origin` says what was
    drawn.

    Args:
        real: real training records.
        synthetic: synthetic training records; or, for pairs made on the fly, a function that draws a label map. Then
            such an item has a black `image`, to be painted after the transfer to the training device, with `paint_seed`.
        stream: decides which record each serial number gets.
        augment: applied to the augmented draws.
        crop: side of the random square crop in pixels; None for whole images.
        seed: of augmentation and crop.
        cache_bytes: bound on the decoded images that each loading process keeps.
    """

    def __init__(
        self,
        real: Sequence[Record],
        synthetic: Sequence[Record] | DrawLabelMap,
        stream: MixStream,
        *,
        augment: Augment | None,
        crop: int | None,
        seed: int,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.draw_label_map = synthetic if callable(synthetic) else None
        self.pools = {"real": tuple(real), "synthetic": () if callable(synthetic) else tuple(synthetic)}
        for record in (*self.pools["real"], *self.pools["synthetic"]):
            if record.split != "train":
                raise ValueError(f"sample {record.sample_id!r} of split {record.split!r} in a training set; expected train")
        self.stream, self.augment, self.crop, self.seed = stream, augment, crop, seed
        self._caches = {source: PairCache(int(share * cache_bytes)) for source, share in _CACHE_SHARES.items()}

    def __getitem__(self, serial: int) -> dict[str, Any]:
        draw = self.stream[serial]
        augment_seed, crop_seed, paint_seed, noise_seed = map(
            int, np.random.SeedSequence([self.seed, serial]).generate_state(4)
        )
        if draw.source == "synthetic" and self.draw_label_map is not None:
            label_map = self.draw_label_map(np.random.SeedSequence([self.seed, serial, paint_seed]))
            image = np.zeros((*label_map.shape, 3), dtype=np.uint8)
            name, origin = f"{ONLINE}_{serial}", "synthetic"
        else:
            record = self.pools[draw.source][draw.index]
            image, label_map = self._caches[draw.source].read(record)
            name, origin = record.sample_id, record.origin
        # Cropped first: augmenting a whole field of 1920 x 1200 costs forty times as much.
        if self.crop is not None:
            image, label_map = random_crop(image, label_map, self.crop, np.random.default_rng(crop_seed))
        if draw.augmented and self.augment is not None:
            image, label_map = self.augment(image, label_map, augment_seed)
        sample = to_sample(image, label_map, name, origin) | {"noise_seed": noise_seed, "augmented": draw.augmented}
        return sample if self.draw_label_map is None else sample | {"paint_seed": paint_seed}


class StreamSampler(Sampler[int]):
    """Serial numbers of one epoch: epoch e of n samples covers e*n .. e*n + n - 1, shared out among processes.

    Args:
        samples_per_epoch: over all processes together.
        rank: of this process.
        world_size: number of processes.
        current_epoch: tells the epoch whenever one begins, so that a resumed training goes on where the stream stopped;
            None for the number that `set_epoch` was given.
    """

    def __init__(
        self,
        samples_per_epoch: int,
        rank: int = 0,
        world_size: int = 1,
        current_epoch: Callable[[], int] | None = None,
    ) -> None:
        if samples_per_epoch % world_size:
            raise ValueError(f"{samples_per_epoch} samples per epoch over {world_size} processes; expected a multiple")
        self.samples_per_epoch, self.rank, self.world_size = samples_per_epoch, rank, world_size
        self.epoch = 0
        self.current_epoch = current_epoch

    def set_epoch(self, epoch: int) -> None:
        """Move to an epoch (0-based)."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.samples_per_epoch // self.world_size

    def __iter__(self) -> Iterator[int]:
        epoch = self.epoch if self.current_epoch is None else self.current_epoch()
        start = epoch * self.samples_per_epoch
        return iter(range(start + self.rank, start + self.samples_per_epoch, self.world_size))


def empty_label_maps(records: Sequence[Record]) -> tuple[str, ...]:
    """The sample_ids of the records whose label map has no cell: fine as background in training, and worth telling.

    Args:
        records: training records; every label map is read.

    Raises:
        InputError: no label map at all has a cell.
    """
    empty = tuple(record.sample_id for record in records if not read_label_map(record.label_path).any())
    if records and len(empty) == len(records):
        raise InputError(
            f"none of the {len(records)} training label maps has a cell ({records[0].label_path} is the first); expected ids "
            "1..n on cells: check that labels/ holds label maps and not masks of zeros"
        )
    return empty


def to_sample(image: NDArray[np.uint8], label_map: NDArray[np.int32], name: str, origin: str) -> dict[str, Any]:
    """Pack arrays (H, W, 3) and (H, W) as the sample dict of tensors."""
    return {
        "image": torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float().div_(255),
        "label_map": torch.from_numpy(label_map.astype(np.int64)),
        "sample_id": name,
        "origin": origin,
    }
