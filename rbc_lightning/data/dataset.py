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
from rbc_lightning.data.mix import MixStream

DrawLabelMap = Callable[[np.random.SeedSequence], NDArray[np.int32]]
Augment = Callable[[NDArray[np.uint8], NDArray[np.int32], int], tuple[NDArray[np.uint8], NDArray[np.int32]]]

# Begins the names of samples that are made on the fly.
ONLINE = "online"


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


class MixDataset(Dataset[dict[str, Any]]):
    """Training samples drawn from a mix: read, cropped, augmented where the draw says so.

    The item at `serial` is a function of (seed, serial) alone: draws, augmentation, crop, and `noise_seed` (int), from which
    a task draws what it adds to this sample, whatever process it lands in.

    Args:
        real: real training records.
        synthetic: synthetic training records; or, for pairs made on the fly, a function that draws a label map. Then
            such an item has a black `image`, to be painted after the transfer to the training device, with `paint_seed`.
        stream: decides which record each serial number gets.
        augment: applied to the augmented draws.
        crop: side of the random square crop in pixels; None for whole images.
        seed: of augmentation and crop.
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
    ) -> None:
        self.draw_label_map = synthetic if callable(synthetic) else None
        self.pools = {"real": tuple(real), "synthetic": () if callable(synthetic) else tuple(synthetic)}
        for record in (*self.pools["real"], *self.pools["synthetic"]):
            if record.split != "train":
                raise ValueError(f"sample {record.sample_id!r} of split {record.split!r} in a training set; expected train")
        self.stream, self.augment, self.crop, self.seed = stream, augment, crop, seed

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
            image, label_map = read_image(record.image_path), read_label_map(record.label_path)
            name, origin = record.sample_id, record.origin
        # Cropped first: augmenting a whole field of 1920 x 1200 costs forty times as much.
        if self.crop is not None:
            image, label_map = random_crop(image, label_map, self.crop, np.random.default_rng(crop_seed))
        if draw.augmented and self.augment is not None:
            image, label_map = self.augment(image, label_map, augment_seed)
        sample = to_sample(image, label_map, name, origin) | {"noise_seed": noise_seed}
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


def to_sample(image: NDArray[np.uint8], label_map: NDArray[np.int32], name: str, origin: str) -> dict[str, Any]:
    """Pack arrays (H, W, 3) and (H, W) as the sample dict of tensors."""
    return {
        "image": torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float().div_(255),
        "label_map": torch.from_numpy(label_map.astype(np.int64)),
        "sample_id": name,
        "origin": origin,
    }
