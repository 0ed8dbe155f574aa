"""A segmenter: three convolutions, logits of the size of the image."""

from torch import Tensor, nn


class ThreeConvolutions(nn.Module):
    """Images (B, C, H, W) to logits (B, 1, H, W).

    Args:
        in_channels: of the images; null in the YAML: those of the data set.
        width: channels in between.
    """

    def __init__(self, in_channels: int = 3, width: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 1, 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image)
