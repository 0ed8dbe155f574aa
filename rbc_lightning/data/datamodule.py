"""The Lightning datamodule: loaders over a mix for training and over whole real images for validation and test."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from rbc_lightning.data.dataset import CACHE_BYTES, ONLINE, Augment, DrawLabelMap, MixDataset, SmearDataset, StreamSampler
from rbc_lightning.data.manifest import Manifest, Record, refuse_leakage
from rbc_lightning.data.mix import Mix, MixStream
from rbc_lightning.errors import InputError

Paint = Callable[[Tensor, Sequence[int]], Tensor]


class SmearDataModule(pl.LightningDataModule):
    """Real train, val and test samples, and synthetic ones that may join train only.

    Args:
        manifest: the real samples with their splits.
        synthetic: synthetic records, refused when their lineage meets a validation or test sample; or a function that
            draws label maps, for pairs made on the fly (whoever gives it answers for its lineage).
        mix: what one pass over the training data holds.
        augment: applied to the mix's augmented draws.
        crop: side of the training crops in pixels; None for whole images.
        batch_size: samples per optimiser step, over all processes together.
        steps_per_epoch: optimiser steps between two validations; epochs are slices of an endless stream.
        seed: of draws, augmentation and crops.
        num_workers: loader processes.
        paint: paints label maps int64 (B, H, W) with a seed each as images (B, 3, H, W) in [0, 1]; needed when
            `synthetic` draws on the fly, called on the training device after the transfer.
        select_on: the split that validation reads and weights are chosen on; "test" as S3 did, which makes every figure
            optimistic.
        cache_bytes: bound on the decoded images that each loading process keeps.
    """

    def __init__(
        self,
        manifest: Manifest,
        synthetic: tuple[Record, ...] | DrawLabelMap,
        mix: Mix,
        *,
        augment: Augment | None,
        crop: int | None,
        batch_size: int,
        steps_per_epoch: int,
        seed: int,
        num_workers: int = 0,
        paint: Paint | None = None,
        select_on: Literal["val", "test"] = "val",
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        super().__init__()
        online = callable(synthetic)
        if online and mix.augmented and "synthetic" in mix.augmented_from:
            raise InputError(
                "mix.augmented_from names synthetic, yet pairs made on the fly are painted after augmentation; take "
                "synthetic.mode=offline"
            )
        if online and paint is None:
            raise ValueError("label maps drawn on the fly need `paint`")
        if select_on not in ("val", "test"):
            raise ValueError(f"select_on={select_on!r}; expected 'val' or 'test'")
        refuse_leakage(manifest, () if callable(synthetic) else synthetic)
        self.paint = paint
        self.manifest, self.batch_size, self.steps_per_epoch = manifest, batch_size, steps_per_epoch
        self.num_workers, self.select_on = num_workers, select_on
        real = manifest.split("train")
        self.stream = MixStream(mix, len(real), mix.synthetic if callable(synthetic) else len(synthetic), seed)
        self.train_set = MixDataset(
            real, synthetic, self.stream, augment=augment, crop=crop, seed=seed, cache_bytes=cache_bytes
        )

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        """One epoch of the stream, shared out among the processes of a distributed run."""
        trainer = self.trainer
        rank, world_size = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        # Lightning counts epochs for `set_epoch` one too far when a training with validation is resumed.
        epoch = (lambda: trainer.current_epoch) if trainer else None
        sampler = StreamSampler(self.batch_size * self.steps_per_epoch, rank, world_size, epoch)
        return DataLoader(
            self.train_set,
            # A generator of its own: else the number of workers would shift the random numbers of dropout.
            generator=torch.Generator().manual_seed(0),
            batch_size=self.batch_size // world_size,
            sampler=sampler,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            drop_last=True,
        )

    def val_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Whole images of the split that weights are chosen on, one at a time."""
        return _whole_images(self.manifest.split(self.select_on))

    def test_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Whole test images, one at a time; real and untouched."""
        return _whole_images(self.manifest.split("test"))

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        """Paint the samples that were drawn as label maps alone."""
        if self.paint is not None and "paint_seed" in batch:
            rows = [i for i, origin in enumerate(batch["origin"]) if origin == "synthetic"]
            if rows:
                seeds = [int(batch["paint_seed"][i]) for i in rows]
                batch["image"][rows] = self.paint(batch["label_map"][rows], seeds).to(batch["image"])
        return batch

    def drawn_counts(self, steps: int) -> dict[tuple[str, str, bool], int]:
        """How often each (origin, sample_id, augmented) is drawn in the first `steps` optimiser steps."""
        counts: dict[tuple[str, str, bool], int] = {}
        for serial in range(steps * self.batch_size):
            draw = self.stream[serial]
            pool = self.train_set.pools[draw.source]
            key = (draw.source, pool[draw.index].sample_id if pool else ONLINE, draw.augmented)
            counts[key] = counts.get(key, 0) + 1
        return counts


def _whole_images(records: Sequence[Record]) -> DataLoader[dict[str, Any]]:
    return DataLoader(SmearDataset(records), batch_size=1, generator=torch.Generator().manual_seed(0))
