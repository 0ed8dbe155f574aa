"""DCAN on the FCN-8s trunk: objectness and contour of every pixel (S3 section 5.4; Chen et al. 2016, arXiv 1604.02677)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from rbc_lightning.nets.fcn8s import (
    STRIDE,
    SkipDecoder,
    TrunkFeatures,
    VGG16Trunk,
    check_arguments,
    decoder_head,
    initialize,
    pad_to_multiple,
)


class UpPath(nn.Module):
    """Way up from the trunk's features to maps of the image's size: FCN-8s' decoder, and a head on its channels if asked.

    Args:
        in_channels: Channels after pool3, pool4 and fc7 (`VGG16Trunk.out_channels`).
        n_maps: Channels of the logits.
        channels: Channels that the decoder scores and upsamples, put together by a ReLU and a 1x1 convolution;
            None upsamples the maps themselves.
        learn_upsampling: Train the transposed convolutions, which start as bilinear interpolation.
    """

    def __init__(
        self, in_channels: tuple[int, int, int], n_maps: int, channels: int | None = None, learn_upsampling: bool = True
    ) -> None:
        super().__init__()
        self.decoder = SkipDecoder(in_channels, channels or n_maps, learn_upsampling=learn_upsampling)
        self.head = decoder_head(channels, n_maps)

    def forward(self, features: TrunkFeatures, size: tuple[int, int]) -> Tensor:
        """Logits (B, n_maps, H, W) for `size` = (H, W), the image's size before any padding."""
        logits: Tensor = self.head(self.decoder(features, size))
        return logits

    def forward_by_depth(self, features: TrunkFeatures, size: tuple[int, int]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Logits as `forward` gives them, and those of pool3, pool4 and fc7, each alone, all (B, n_maps, H, W)."""
        decoder = self.decoder
        # Transposed convolutions without bias are linear: the decoder's output is the sum of what each depth sends up.
        pool4 = decoder.score_pool4(features.pool4)
        fc7 = decoder.upscore_fc7(decoder.score_fc7(features.fc7))
        scores = (decoder.score_pool3(features.pool3), decoder.upscore_pool4(pool4), decoder.upscore_pool4(fc7))
        depths = [decoder.upscore_pool3(score)[..., : size[0], : size[1]] for score in scores]
        return self.head(torch.stack(depths).sum(dim=0)), tuple(self.head(depth) for depth in depths)


class DCAN(nn.Module):
    """Deep contour-aware network: a map of cells and a map of their contours, so that touching cells come apart.

    The default is S3's variant: FCN-8s with two maps. The original has an up-path of its own for each map
    (`separate_paths`) and auxiliary classifiers, one per depth (`auxiliary`, `forward_with_auxiliary`). At width 1
    without batch norm it has the parameters of FCN-8s for two classes, 134,271,430; with separate paths 134,270,854.

    The x8 upsampling of two maps has little to draw a thin line with: eight rows share one row of scores. With
    `decoder_channels`, an extension of ours, more channels are upsampled and put together at the image's resolution.

    Args:
        width: Factor on every channel number of the trunk; 0.25 is right for two CPU cores.
        batch_norm: Put a batch norm between every trunk convolution and its ReLU.
        dropout: Dropout probability after fc6 and fc7.
        fc_channels: Channels of fc6 and fc7; None means 4096 times the square of `width`.
        separate_paths: Score and upsample objects and contours apart, as in the original.
        auxiliary: Wanted is the original's training, with losses on the auxiliary classifiers as well. They have no
            parameters of their own, so this changes no weights: the training step reads the attribute of this name.
        decoder_channels: Channels of each up-path; None for as many as it has maps.
        learn_upsampling: Train the bilinear transposed convolutions.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        width: float = 1.0,
        batch_norm: bool = True,
        dropout: float = 0.5,
        fc_channels: int | None = None,
        separate_paths: bool = False,
        auxiliary: bool = False,
        decoder_channels: int | None = None,
        learn_upsampling: bool = True,
    ) -> None:
        super().__init__()
        check_arguments(2, width, dropout, "same", fc_channels, decoder_channels)
        self.auxiliary = auxiliary
        self.trunk = VGG16Trunk(width, batch_norm, dropout, fc_channels=fc_channels)
        self.paths = nn.ModuleList(
            UpPath(self.trunk.out_channels, n_maps, decoder_channels, learn_upsampling)
            for n_maps in ((1, 1) if separate_paths else (2,))
        )
        initialize(self)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of objectness and contour.

        Args:
            image: Float (B, 3, H, W), normalised; any H and W.

        Returns:
            Logits (B, 2, H, W): channel 0 objectness, channel 1 contour.

        Raises:
            ValueError: If `image` has another shape.
        """
        features, size = self._features(image)
        return torch.cat([path(features, size) for path in self.paths], dim=1)

    def forward_with_auxiliary(self, image: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Logits, and those of the auxiliary classifiers C1, C2, C3: of strides 8, 16 and 32, each alone.

        Without `decoder_channels` the three sum up to the logits. The paper weights their losses by 1 at first, and
        by a tenth of that every 10,000 steps, down to 0.001.

        Args:
            image: Float (B, 3, H, W), normalised; any H and W.

        Returns:
            Logits (B, 2, H, W) as `forward` gives them, and three of the same shape.

        Raises:
            ValueError: If `image` has another shape.
        """
        features, size = self._features(image)
        fused, depths = zip(*(cast(UpPath, path).forward_by_depth(features, size) for path in self.paths), strict=True)
        pool3, pool4, fc7 = (torch.cat(depth, dim=1) for depth in zip(*depths, strict=True))
        return torch.cat(fused, dim=1), (pool3, pool4, fc7)

    def _features(self, image: Tensor) -> tuple[TrunkFeatures, tuple[int, int]]:
        if image.ndim != 4 or image.shape[1] != 3:
            raise ValueError(f"DCAN takes images of shape (B, 3, H, W), got {tuple(image.shape)}.")
        height, width = image.shape[-2:]
        return self.trunk(pad_to_multiple(image, STRIDE)), (height, width)
