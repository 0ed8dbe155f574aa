"""A tiny Pix2PixHD and samples for it, shared by the tests of its training."""

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from rbc_lightning.core.trainer import TrainerSettings
from rbc_lightning.data.manifest import Samples
from rbc_lightning.data.sample import ArrayPair, Sample
from rbc_lightning.data.spec import RGB

TINY = {
    "base_channels": 4,
    "n_downsample": 2,
    "n_blocks": 1,
    "encoder_channels": 4,
    "encoder_downsample": 2,
    "discriminator_channels": 4,
    "n_epochs": 1,
    "n_epochs_decay": 1,
}


# One process, single precision: the same on every machine.
TRAINER = TrainerSettings(precision="32-true", progress_bar=False)


def make_samples(count=3, spec=RGB, split="train", side=64):
    """Samples in memory: discs on a ground with grain, darker or brighter than it as the spec says."""
    samples = []
    for index in range(count):
        rng = np.random.default_rng([index, len(split)])
        rows, columns = np.mgrid[:side, :side]
        label_map = np.zeros((side, side), dtype=np.int32)
        for number, (row, column) in enumerate(((14, 16), (44, 20), (30, 46)), start=1):
            label_map[np.hypot(rows - row, columns - column) < 9] = number
        ground, cells = (0.8, 0.4) if spec.objects == "dark" else (0.1, 0.7)
        image = np.where((label_map > 0)[..., None], cells, ground) + rng.normal(0, 0.02, (side, side, spec.n_channels))
        low, high = spec.value_range
        pair = ArrayPair((low + image.clip(0, 1) * (high - low)).round().astype(spec.dtype), label_map, f"{split}_{index}")
        samples.append(Sample(f"{split}_{index}", split, f"{split}_{index}", *pair.sha256, pair, spec=spec))
    return Samples(tuple(samples))


def make_sample(seed, height=32, width=32, count=3):
    """Up to three blue squares on white, the shade drawn per image."""
    rng = np.random.default_rng(seed)
    label_map = torch.zeros(height, width, dtype=torch.int64)
    for number, (row, col) in enumerate(((3, 4), (17, 2), (14, 20))[:count], start=1):
        label_map[row : row + 9, col : col + 8] = number
    image = torch.full((3, height, width), 0.9)
    image[:, label_map > 0] = torch.tensor(rng.uniform(0.2, 0.6, (3, 1)), dtype=torch.float32)
    return {"image": image, "label_map": label_map, "sample_id": f"s{seed}", "noise_seed": seed}


def make_trainer(**options):
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return pl.Trainer(accelerator="cpu", enable_model_summary=False, **(quiet | options))


def fit(task, samples, batch_size=1, **options):
    trainer = make_trainer(max_epochs=2, **options)
    trainer.fit(task, DataLoader(samples, batch_size=batch_size))
    return trainer
