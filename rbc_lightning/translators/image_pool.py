"""A pool of earlier generated images for the discriminator (Shrivastava et al. 2017, as in the public pix2pixHD)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

# Part of every stream's key: the same per-image seed also feeds the generator's noise.
_STREAM = 0x9001


class ImagePool(nn.Module):
    """Show the discriminator, half of the time, a generated image of earlier steps instead of the new one.

    While the pool is not full every image is kept and returned. Then, with probability 1/2, an image changes places
    with a stored one drawn uniformly; otherwise it is returned and not kept. What belongs to an image (its condition)
    must be concatenated to it, so that both are swapped together.

    The content is part of the state dict, so a resumed training goes on exactly. Each process keeps a pool of its own,
    and a checkpoint holds that of the process that wrote it.

    Args:
        size: number of images kept, at least 0, which switches the pool off.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        if size < 0:
            raise ValueError(f"the size of the image pool must be at least 0, got {size}")
        self.size = size
        # A list, not a buffer: DDP would overwrite the buffers of all processes with those of the first.
        self._stored: list[Tensor] = []

    def forward(self, images: Tensor, seeds: Sequence[int]) -> Tensor:
        """Exchange a batch, image by image in its order.

        Args:
            images: (B, C, H, W), the same C, H, W in every call.
            seeds: B non-negative integers, new ones for every step; the draws depend on nothing else.

        Returns:
            (B, C, H, W), a detached copy; the input itself if the pool is off.
        """
        if self.size == 0:
            return images
        if images.ndim != 4 or len(seeds) != len(images):
            raise ValueError(f"expected images (B, C, H, W) and B seeds, got {tuple(images.shape)} and {len(seeds)} seeds")
        if self._stored and self._stored[0].shape != images.shape[1:]:
            raise ValueError(
                f"the image pool holds images of shape {tuple(self._stored[0].shape)}, got {tuple(images.shape[1:])}; "
                "train on crops of one size, or switch the pool off"
            )
        return torch.stack([self._exchange(image, int(seed)) for image, seed in zip(images.detach(), seeds, strict=True)])

    def get_extra_state(self) -> Tensor:
        """The stored images (n, C, H, W) in their places; a tensor, so that checkpoints load with `weights_only`."""
        return torch.stack(self._stored) if self._stored else torch.empty(0)

    def set_extra_state(self, state: Tensor) -> None:
        """Take over the images of another pool that is no larger."""
        if len(state) > self.size:
            raise ValueError(f"the checkpoint's image pool holds {len(state)} images, this one at most {self.size}")
        self._stored = [image.clone() for image in state]

    def _exchange(self, image: Tensor, seed: int) -> Tensor:
        if len(self._stored) < self.size:
            self._stored.append(image.clone())
            return image
        rng = np.random.default_rng([seed, _STREAM])
        if rng.random() < 0.5:
            return image
        place = int(rng.integers(self.size))
        earlier, self._stored[place] = self._stored[place], image.clone()
        # After a resume the stored images lie where the checkpoint was read to.
        return earlier.to(image)
