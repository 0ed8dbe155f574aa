"""One training step of pix2pixHD stage 1 the plain way: plain layers, three discriminator passes, whole graphs.

As the public implementation trains: the discriminator judges the generated image twice, once cut from
the generator for its own loss and once for the generator's, whose backward pass also fills the discriminator's gradients,
to be thrown away. Nothing here uses the package's networks or losses, only its condition.
"""

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rbc_lightning.core.labels import semantic_condition

Pool = Callable[[Tensor, Tensor], Tensor]
MakeOptimizer = Callable[[Iterable[Tensor]], torch.optim.Optimizer]


class Block(nn.Module):
    """Residual block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)]
        other = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)]
        self.conv_block = nn.Sequential(*half, nn.ReLU(), *other)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


def plain_generator(in_channels: int, width: int, n_downsample: int, n_blocks: int, out_channels: int = 3) -> nn.Sequential:
    """The public GlobalGenerator; without blocks the convolutional part of the public encoder."""
    layers = [nn.ReflectionPad2d(3), nn.Conv2d(in_channels, width, 7), nn.InstanceNorm2d(width), nn.ReLU()]
    for _ in range(n_downsample):
        layers += [nn.Conv2d(width, 2 * width, 3, 2, padding=1), nn.InstanceNorm2d(2 * width), nn.ReLU()]
        width *= 2
    layers += [Block(width) for _ in range(n_blocks)]
    for _ in range(n_downsample):
        up = nn.ConvTranspose2d(width, width // 2, 3, 2, padding=1, output_padding=1)
        layers += [up, nn.InstanceNorm2d(width // 2), nn.ReLU()]
        width //= 2
    return nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, out_channels, 7), nn.Tanh())


class PlainDiscriminator(nn.Module):
    """PatchGANs on an image pyramid, the highest index at full resolution."""

    def __init__(self, in_channels: int, base: int, n_layers: int, n_scales: int) -> None:
        super().__init__()
        self.n_layers, self.n_scales = n_layers, n_scales
        for scale in range(n_scales):
            width, inputs = base, in_channels
            for j in range(n_layers + 1):
                stride = 2 if j < n_layers else 1
                norm = [nn.InstanceNorm2d(width)] if j else []
                layer = nn.Sequential(nn.Conv2d(inputs, width, 4, stride, padding=2), *norm, nn.LeakyReLU(0.2))
                self.add_module(f"scale{scale}_layer{j}", layer)
                width, inputs = min(2 * width, 512), width
            self.add_module(f"scale{scale}_layer{n_layers + 1}", nn.Sequential(nn.Conv2d(inputs, 1, 4, 1, padding=2)))

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        results = []
        for scale in reversed(range(self.n_scales)):
            features = [x]
            for j in range(self.n_layers + 2):
                features.append(self.get_submodule(f"scale{scale}_layer{j}")(features[-1]))
            results.append(features[1:])
            x = F.avg_pool2d(x, 3, 2, padding=1, count_include_pad=False)
        return results


class PlainGanStep:
    """Networks with the weights of a `Pix2PixHDTask` (style "concat", stage 1), their optimisers, and the step.

    Args:
        task: its settings, hyperparameters and weights are copied.
        pool: instance means of the encoder's output: `instance_mean_loop`, or a vectorised one.
        make_optimizer: of a list of parameters; the task's Adam by default.
    """

    def __init__(self, task, pool: Pool, make_optimizer: MakeOptimizer | None = None) -> None:
        sizes, options = task.settings, task.hparams
        inputs = 3 + sizes.feature_channels
        self.generator = plain_generator(inputs, sizes.base_channels, sizes.n_downsample, sizes.n_blocks)
        self.encoder = plain_generator(3, sizes.encoder_channels, sizes.encoder_downsample, 0, sizes.feature_channels)
        self.discriminator = PlainDiscriminator(
            6, options["discriminator_channels"], options["discriminator_layers"], options["discriminator_scales"]
        )
        for mine, theirs in ((self.generator, task.generator), (self.encoder, task.encoder)):
            mine.load_state_dict({name.removeprefix("model."): value for name, value in theirs.state_dict().items()})
        self.discriminator.load_state_dict(task.adversary.discriminator.state_dict())
        self.pool, self.lambda_feature = pool, options["lambda_feature"]
        if make_optimizer is None:
            betas = options["beta1"], options["beta2"]
            make_optimizer = lambda weights: torch.optim.Adam(weights, options["learning_rate"], betas)  # noqa: E731
        self.optimizer_g = make_optimizer([*self.generator.parameters(), *self.encoder.parameters()])
        self.optimizer_d = make_optimizer(list(self.discriminator.parameters()))

    def step(self, image: Tensor, label_map: Tensor) -> None:
        """Train on images (B, 3, H, W) in [0, 1] and label maps (B, H, W)."""
        real, condition = image * 2 - 1, semantic_condition(label_map)
        style = self.pool(self.encoder(real), label_map)
        fake = self.generator(torch.cat((condition, style), dim=1))
        on_detached = self.discriminator(torch.cat((condition, fake.detach()), dim=1))
        on_real = self.discriminator(torch.cat((condition, real), dim=1))
        on_fake = self.discriminator(torch.cat((condition, fake), dim=1))
        loss_d = 0.5 * (distance_to(on_detached, 0.0) + distance_to(on_real, 1.0))
        loss_g = distance_to(on_fake, 1.0) + self.lambda_feature * self.feature_distance(on_real, on_fake)

        self.optimizer_g.zero_grad()
        loss_g.backward()
        self.optimizer_g.step()
        self.optimizer_d.zero_grad()
        loss_d.backward()
        self.optimizer_d.step()

    def feature_distance(self, real: list[list[Tensor]], fake: list[list[Tensor]]) -> Tensor:
        """Feature matching: 4 / (n_layers + 1) and 1 / n_scales as weights, the logits left out."""
        weight = 4.0 / (self.discriminator.n_layers + 1) / self.discriminator.n_scales
        pairs = [pair for one, other in zip(real, fake, strict=True) for pair in list(zip(one, other, strict=True))[:-1]]
        return weight * sum(F.l1_loss(b, a.detach()) for a, b in pairs)


def distance_to(judged: list[list[Tensor]], target: float) -> Tensor:
    """LSGAN: mean squared distance of the logits to the target, summed over scales."""
    return sum(F.mse_loss(features[-1], torch.full_like(features[-1], target)) for features in judged)
