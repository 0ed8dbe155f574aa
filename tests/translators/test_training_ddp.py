"""A step of two processes on halves of a batch is the step of one process on the whole of it."""

import pytest
import pytorch_lightning as pl
import torch
from pix2pixhd_helpers import TINY, make_sample, make_trainer
from torch.utils.data import DataLoader, Subset

from rbc_lightning.core.training import SharedBatch
from rbc_lightning.translators.pix2pixhd.task import Pix2PixHDTask

OPTIONS = TINY | {"diff_augment": "color,translation,cutout", "ema_decay": 0.5}
SAMPLES = [make_sample(seed, count=2 + seed % 2) for seed in range(4)]


class Halves(pl.LightningDataModule):
    """The samples, every second one for each of two processes."""

    def train_dataloader(self):
        rank, world_size = self.trainer.global_rank, self.trainer.world_size
        return DataLoader(Subset(SAMPLES, range(rank, len(SAMPLES), world_size)), batch_size=2 // world_size)


class Steps(pl.Callback):
    """Write the gradients that each optimiser gets, step by step, and the weights at the end."""

    def __init__(self, path):
        self.path, self.seen = path, []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        named = {id(parameter): name for name, parameter in pl_module.named_parameters()}
        own = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self.seen.append({named[id(p)]: None if p.grad is None else p.grad.clone() for p in own})

    def on_train_end(self, trainer, pl_module):
        torch.save({"steps": self.seen, "weights": pl_module.state_dict()}, self.path.with_suffix(f".{trainer.global_rank}"))


def build_task(stage, style):
    torch.manual_seed(3)
    first = Pix2PixHDTask(style=style, **OPTIONS)
    if stage == 1:
        return first
    # Two steps an epoch: the trunk stays as it is for two steps, and is released for two.
    task = Pix2PixHDTask(style=style, stage=2, n_blocks_local=1, n_epochs_fix_global=1, **OPTIONS)
    task.start_from(first)
    channels = task.settings.style_channels
    generator = torch.Generator().manual_seed(5)
    task.use_styles({s["sample_id"]: torch.rand(4, channels, generator=generator).numpy() for s in SAMPLES})
    return task


def train(stage, style, path, **options):
    trainer = make_trainer(max_epochs=2, callbacks=[Steps(path)], use_distributed_sampler=False, **options)
    trainer.fit(build_task(stage, style), datamodule=Halves())
    return [torch.load(part) for part in sorted(path.parent.glob(f"{path.name}.*"))]


@pytest.mark.parametrize("style", ["concat", "modulated"])
@pytest.mark.parametrize("stage", [1, 2])
def test_two_processes_take_the_steps_of_one(stage, style, tmp_path):
    (whole,) = train(stage, style, tmp_path / "one", devices=1)
    first, second = train(stage, style, tmp_path / "two", devices=2, strategy=SharedBatch("fork"))
    # Two optimisers in four batches; in stage 2 the trunk has no gradient in the first two.
    assert len(first["steps"]) == len(second["steps"]) == len(whole["steps"]) == 8
    frozen = [sum(gradient is None for gradient in step.values()) for step in whole["steps"]]
    assert [bool(n) for n in frozen] == [stage == 2 and step in (0, 2) for step in range(8)]
    for ours, theirs, expected in zip(first["steps"], second["steps"], whole["steps"], strict=True):
        # Of the whole network: a bias before instance norm has rounding noise for a gradient.
        largest = max(float(gradient.abs().max()) for gradient in expected.values() if gradient is not None)
        for name, gradient in expected.items():
            if gradient is None:
                assert ours[name] is theirs[name] is None
            else:
                assert torch.equal(ours[name], theirs[name])
                torch.testing.assert_close(ours[name], gradient, rtol=0, atol=5e-6 * largest)
    # With the running mean, and the weights that no optimiser touches.
    for name, weight in first["weights"].items():
        assert torch.equal(weight, second["weights"][name]), name
