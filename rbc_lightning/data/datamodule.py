"""The Lightning datamodule: loaders over a mix for training and over whole real images for validation and test."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Self

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from rbc_lightning.core.processes import rank_and_size
from rbc_lightning.data.augment.crops import Augment
from rbc_lightning.data.augment.transforms import FLIPS, build_augmentation
from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.mix import Mix, MixStream
from rbc_lightning.data.sample import Sample, common_spec
from rbc_lightning.data.splits import refuse_leakage
from rbc_lightning.data.stream import (
    CACHE_BYTES,
    ONLINE,
    VALIDATION_BYTES,
    DrawLabelMap,
    MixDataset,
    SmearDataset,
    StreamSampler,
)
from rbc_lightning.errors import InputError

Paint = Callable[[Tensor, Sequence[int]], Tensor]


class PairDataModule(pl.LightningDataModule):
    """Real train, val and test samples, and synthetic ones that may join train only.

    Args:
        synthetic: synthetic samples, refused when their lineage meets a validation or test sample; or a function that
            draws label maps, for pairs made on the fly (whoever gives it answers for its lineage).
        augment: see `MixDataset`, as for `crop`, `focus` and `cache_bytes`.
        batch_size: samples per optimiser step, over all processes together.
        steps_per_epoch: optimiser steps between two validations; epochs are slices of an endless stream.
        num_workers: loader processes of training and of validation, each.
        paint: generates images (B, C, H, W) in [0, 1] of label maps int64 (B, H, W) with a seed each; needed when
            `synthetic` draws on the fly, called on the training device after the transfer.
        select_on: the split that validation reads and weights are chosen on; "test" as in Bailo et al. 2019, which makes
            every figure optimistic.
        ignored: names of classes under which no prediction counts, in validation and test; see `SmearDataset`.
    """

    def __init__(
        self,
        manifest: Manifest,
        synthetic: tuple[Sample, ...] | DrawLabelMap,
        mix: Mix,
        *,
        augment: Augment | None,
        crop: int | None,
        batch_size: int,
        steps_per_epoch: int,
        seed: int,
        focus: float = 0,
        num_workers: int = 0,
        paint: Paint | None = None,
        select_on: Literal["val", "test"] = "val",
        cache_bytes: int = CACHE_BYTES,
        ignored: Sequence[str] = (),
    ) -> None:
        super().__init__()
        online = callable(synthetic)
        if online and mix.augmented and "synthetic" in mix.augmented_from:
            raise InputError(
                "mix.augmented_from names synthetic, yet pairs made on the fly get their images after augmentation; take "
                "synthetic.mode=offline"
            )
        if online and paint is None:
            raise ValueError("label maps drawn on the fly need `paint`")
        if select_on not in ("val", "test"):
            raise ValueError(f"select_on={select_on!r}; expected 'val' or 'test'")
        refuse_leakage(manifest, () if callable(synthetic) else synthetic)
        self.manifest, self.paint, self.select_on = manifest, paint, select_on
        self.batch_size, self.steps_per_epoch, self.num_workers = batch_size, steps_per_epoch, num_workers
        self.ignored = tuple(ignored)
        real = manifest.split("train")
        self.stream = MixStream(mix, len(real), mix.synthetic if callable(synthetic) else len(synthetic), seed)
        self.train_set = MixDataset(
            real, synthetic, self.stream, augment=augment, crop=crop, focus=focus, seed=seed, cache_bytes=cache_bytes
        )

    @classmethod
    def flipped(
        cls,
        train: Iterable[Sample],
        val: Iterable[Sample] = (),
        *,
        per_pass: int | None = None,
        transforms: Mapping[str, Mapping[str, Any]] | None = None,
        stream: MixStream | None = None,
        **settings: Any,  # noqa: ANN401
    ) -> Self:
        """Real samples, each draw mirrored at random: what GANs and the FCN-score network see.

        A pass takes `per_pass` of the training samples in turn, or all, unless a `stream` says what is drawn; `transforms`
        follow on the mirror image, none by default; `settings` are those of the class.
        """
        train = tuple(train)
        augment = build_augmentation({**FLIPS, **(transforms or {})}, common_spec(train))
        mix = Mix(real=0, synthetic=0, augmented=len(train) if per_pass is None else per_pass)
        data = cls(Manifest((*train, *val)), (), mix, augment=augment, **settings)
        if stream is not None:
            data.stream = data.train_set.stream = stream
        return data

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        """One epoch of the stream, shared out among the processes of a distributed run."""
        trainer, n = self.trainer, self.batch_size * self.steps_per_epoch
        if trainer is None:
            sampler = StreamSampler(n)
        else:
            # Lightning counts epochs for `set_epoch` one too far when a training with validation is resumed.
            sampler = StreamSampler(n, trainer.global_rank, trainer.world_size, lambda: trainer.current_epoch)
        return DataLoader(
            self.train_set,
            # A generator of its own: else the number of workers would shift the random numbers of dropout.
            generator=torch.Generator().manual_seed(0),
            batch_size=self.batch_size // sampler.world_size,
            sampler=sampler,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            drop_last=True,
        )

    def val_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Whole images of the split that weights are chosen on, one at a time, decoded once for all epochs.

        They are dealt out among the processes of a distributed run; fewer images than processes are seen by all.
        """
        samples, (rank, size) = self.manifest.split(self.select_on), rank_and_size()
        # A worker has the same images in every epoch, since they come in turn: each keeps its own.
        share = VALIDATION_BYTES // max(1, self.num_workers)
        return DataLoader(
            SmearDataset(samples, share, self.ignored),
            sampler=range(rank, len(samples), size) if len(samples) >= size else None,
            persistent_workers=self.num_workers > 0,
            **self._whole_images(),
        )

    def test_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Whole test images, one at a time; real and untouched."""
        return DataLoader(SmearDataset(self.manifest.split("test"), ignored=self.ignored), **self._whole_images())

    def external_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Whole images of another source, one at a time; as untouched as test."""
        return DataLoader(SmearDataset(self.manifest.split("external"), ignored=self.ignored), **self._whole_images())

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        """Generate the images of samples that were drawn as label maps alone; then only what is segmented stays in these."""
        rows = [i for i, origin in enumerate(batch["origin"]) if origin == "synthetic"]
        if self.paint is not None and "paint_seed" in batch and rows:
            seeds = [int(batch["paint_seed"][i]) for i in rows]
            label_maps = batch["label_map"][rows]
            batch["image"][rows] = self.paint(label_maps, seeds).to(batch["image"])
            if self.train_set.spec.context:
                batch["label_map"][rows] = label_maps.where(label_maps <= len(self.train_set.spec.classes), 0)
        return batch

    def drawn_counts(self, steps: int) -> dict[tuple[str, str, bool], int]:
        """How often each (origin, sample_id, augmented) is drawn in the first `steps` optimiser steps."""
        counts: Counter[tuple[str, str, bool]] = Counter()
        for serial in range(steps * self.batch_size):
            draw = self.stream[serial]
            pool = self.train_set.pools[draw.source]
            counts[draw.source, pool[draw.index].sample_id if pool else ONLINE, draw.augmented] += 1
        return counts

    def _whole_images(self) -> dict[str, Any]:
        return {"batch_size": 1, "num_workers": self.num_workers, "generator": torch.Generator().manual_seed(0)}
