"""DCAN on the FCN-8s trunk: objectness and contour of every pixel (Bailo et al. 2019, Sec. 5.4; Chen et al. 2016)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from rbc_lightning.segmenters.fcn8s.nets import STRIDE, SkipDecoder, TrunkFeatures, VGG16Trunk, decoder_head, initialize
from rbc_lightning.segmenters.shapes import check_image, pad_to_multiple


class UpPath(nn.Module):
    """Way up from the trunk's features to maps of the image's size: FCN-8s' decoder, and a head on its channels if asked.

    Args:
        in_channels, learn_upsampling: See `SkipDecoder`.
        n_maps: Channels of the logits.
        channels: Channels that the decoder scores and upsamples, for `decoder_head`; None upsamples the maps themselves.
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

    The default is the variant of Bailo et al. 2019: FCN-8s with two maps. The original has an up-path of its own for each map
    (`separate_paths`) and auxiliary classifiers, one per depth (`auxiliary`, `forward_with_auxiliary`). At width 1
    without batch norm it has the parameters of FCN-8s for two classes, 134,271,430; with separate paths 134,270,854.

    The x8 upsampling of two maps has little to draw a thin line with: eight rows share one row of scores. With
    `decoder_channels`, an extension of ours, more channels are upsampled and put together at the image's resolution.
    A ValueError refuses arguments out of range.

    Args:
        width, batch_norm, dropout, fc_channels, learn_upsampling, in_channels: See `FCN8s`.
        separate_paths: Score and upsample objects and contours apart, as in the original.
        auxiliary: Wanted is the original's training, with losses on the auxiliary classifiers as well. They have no
            parameters of their own, so this changes no weights: the training step reads the attribute of this name.
        decoder_channels: Channels of each up-path; None for as many as it has maps.
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
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.auxiliary, self.in_channels = auxiliary, in_channels
        self.trunk = VGG16Trunk(width, batch_norm, dropout, fc_channels=fc_channels, in_channels=in_channels)
        self.paths = nn.ModuleList(
            UpPath(self.trunk.out_channels, n_maps, decoder_channels, learn_upsampling)
            for n_maps in ((1, 1) if separate_paths else (2,))
        )
        initialize(self)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, 2, H, W), objectness and contour, of standardised images (B, in_channels, H, W), else a ValueError."""
        features, size = self._features(image)
        return torch.cat([path(features, size) for path in self.paths], dim=1)

    def forward_with_auxiliary(self, image: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Logits as `forward` gives them, and those of the auxiliary classifiers C1, C2, C3, all (B, 2, H, W).

        The classifiers are those of strides 8, 16 and 32, each alone. Without `decoder_channels` the three sum up to the
        logits. The paper weights their losses by 1 at first, and by a tenth of that every 10,000 steps, down to 0.001.
        """
        features, size = self._features(image)
        fused, depths = zip(*(cast(UpPath, path).forward_by_depth(features, size) for path in self.paths), strict=True)
        pool3, pool4, fc7 = (torch.cat(depth, dim=1) for depth in zip(*depths, strict=True))
        return torch.cat(fused, dim=1), (pool3, pool4, fc7)

    def _features(self, image: Tensor) -> tuple[TrunkFeatures, tuple[int, int]]:
        check_image(self, image, self.in_channels)
        return self.trunk(pad_to_multiple(image, STRIDE)), (image.shape[-2], image.shape[-1])
