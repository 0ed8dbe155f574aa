"""Generating in tiles that overlap by half."""

import pytest
import torch

from rbc_lightning.translators.pix2pix.generator import blend_tiles


@pytest.mark.parametrize("shape", [(1, 3), (16, 16), (9, 40), (37, 53)])
def test_what_is_known_pixel_by_pixel_needs_no_blending(shape):
    x = torch.rand(1, 2, *shape, generator=torch.Generator().manual_seed(0))
    blended = blend_tiles(lambda tiles: torch.cat([tiles, tiles[:, :1]], dim=1), x, 16, 3)
    torch.testing.assert_close(blended, torch.cat([x, x[:, :1]], dim=1))


def test_tiles_are_of_one_size_and_a_few_at_a_time():
    sizes = []

    def generate(tiles):
        sizes.append(tuple(tiles.shape))
        return tiles

    blend_tiles(generate, torch.zeros(1, 1, 40, 32), 16, 1)
    # Rows begin at 0, 8, 16 and 24, columns at 0, 8 and 16.
    assert sizes == [(4, 1, 16, 16)] * 3


def test_tiles_are_blended_by_weights_that_fall_towards_their_edges():
    """A generator that says where in its tile a pixel is, against sums tile by tile and pixel by pixel."""
    height, width, side = 37, 20, 16
    place = torch.rand(3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1
    image = blend_tiles(lambda tiles: place.expand(len(tiles), -1, -1, -1), torch.zeros(1, 2, height, width), side, 3)
    total, weights = torch.zeros(3, height, width, dtype=torch.float64), torch.zeros(height, width, dtype=torch.float64)
    # Half overlapping, the last one ending with the image.
    for top in (0, 8, 16, 21):
        for left in (0, 4):
            for i in range(side):
                for j in range(side):
                    weight = min(i + 1, side - i) * min(j + 1, side - j)
                    total[:, top + i, left + j] += weight * place[:, i, j]
                    weights[top + i, left + j] += weight
    torch.testing.assert_close(image[0], (total / weights).float())
