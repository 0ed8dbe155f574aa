"""Two steps of the task against two steps written the plain way."""

import pytest
import torch
from oracles.instance_mean_loop import instance_mean_loop
from oracles.plain_gan_step import PlainGanStep
from pix2pixhd_helpers import make_trainer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from rbc_lightning.translators.pix2pixhd.layers import pool_instances
from rbc_lightning.translators.pix2pixhd.task import Pix2PixHDTask

SIZES = {
    "style": "concat",
    "base_channels": 4,
    "n_downsample": 2,
    "n_blocks": 2,
    "feature_channels": 2,
    "encoder_channels": 3,
    "encoder_downsample": 2,
    "discriminator_channels": 4,
}


def descent(weights):
    # Not Adam: it divides every gradient by its own size, so rounding would decide the steps of those that are zero.
    return torch.optim.SGD(weights, 0.05)


class DescentTask(Pix2PixHDTask):
    def configure_optimizers(self):
        optimizers = [
            descent([*self.generator.parameters(), *self.encoder.parameters()]),
            descent(self.adversary.discriminator.parameters()),
        ]
        return optimizers, [LambdaLR(optimizer, lambda epoch: 1.0) for optimizer in optimizers]


def make_batches(n=2):
    generator = torch.Generator().manual_seed(3)
    batches = []
    for index in range(n):
        label_map = torch.zeros(2, 40, 48, dtype=torch.int64)
        label_map[0, 4:15, 6:19], label_map[0, 20:33, 9:20], label_map[1, 8:30, 30:44] = 1, 2, 5
        image = torch.rand(2, 3, 40, 48, generator=generator)
        names = [f"s{index}{item}" for item in "ab"]
        seeds = torch.arange(2) + index
        batches.append({"image": image, "label_map": label_map, "sample_id": names, "noise_seed": seeds})
    return batches


@pytest.mark.parametrize("pool", [instance_mean_loop, pool_instances])
def test_two_steps_move_the_weights_as_the_plain_way_does(pool):
    torch.manual_seed(0)
    task, batches = DescentTask(**SIZES), make_batches()
    plain = PlainGanStep(task, pool, descent)
    start = {name: weight.clone() for name, weight in task.named_parameters()}
    for batch in batches:
        plain.step(batch["image"], batch["label_map"])
    make_trainer(max_epochs=1).fit(task, DataLoader(batches, batch_size=None))

    twins = {"generator.model": plain.generator, "encoder.model": plain.encoder}
    twins["adversary.discriminator"] = plain.discriminator
    expected = {f"{prefix}.{name}": weight for prefix, net in twins.items() for name, weight in net.named_parameters()}
    actual = dict(task.named_parameters())
    assert actual.keys() == expected.keys()
    for prefix in twins:
        names = [name for name in expected if name.startswith(prefix)]
        moves = torch.cat([(expected[name] - start[name]).flatten() for name in names])
        differences = torch.cat([(actual[name] - expected[name]).flatten() for name in names])
        assert moves.abs().max() > 1e-3
        assert differences.abs().max() < 1e-4 * moves.abs().max()
