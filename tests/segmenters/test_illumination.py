"""Uneven light: a known surface is found whatever lies on it, and images without one are left alone."""

import numpy as np
import pytest
import torch
from tiny_data import disc_smear

from rbc_lightning.segmenters.illumination import background_surface, flatten_illumination, standardize


def smear(seed=0, count=14, height=192, width=256):
    image, label_map = disc_smear(seed, height, width, radius=14, count=count)
    return torch.from_numpy(image.transpose(2, 0, 1).copy()).float().div(255), torch.from_numpy(label_map)


def vignette(height, width, depth=0.12):
    rows = torch.linspace(-1, 1, height)[:, None]
    columns = torch.linspace(-1, 1, width)[None]
    return -depth * (rows**2 + columns**2) / 2 + 0.03 * columns


def test_a_known_surface_is_taken_away_and_cells_keep_their_depth():
    image, label_map = smear()
    dark = image + vignette(*label_map.shape)
    flat = flatten_illumination(dark[None])[0]
    background = label_map == 0
    before, after = (float(pixels[:, background].mean(0).std()) for pixels in (dark, flat))
    assert before > 0.025
    # What remains is the camera noise of 4 grey levels, and what the ridge holds back.
    assert after < 0.013
    depth = float(image[:, background].mean() - image[:, ~background].mean())
    assert float(flat[:, background].mean() - flat[:, ~background].mean()) == pytest.approx(depth, abs=0.02)


def test_cells_do_not_pull_the_surface_down():
    """All cells in one half: a plain least-squares fit would call that half dark."""
    image, label_map = smear(count=1)
    rows, columns = torch.meshgrid(torch.arange(192), torch.arange(256), indexing="ij")
    for row in range(20, 192, 34):
        for column in range(150, 256, 34):
            cell = (rows - row) ** 2 + (columns - column) ** 2 < 14**2
            image[:, cell] = image[:, cell].clamp(max=0.5)
            label_map[cell] = 1
    surface = background_surface(image[None])[0]
    background = float(image[:, label_map == 0].mean())
    x, y = np.meshgrid(np.linspace(-1, 1, 256), np.linspace(-1, 1, 192))
    basis = np.stack([np.ones_like(x), x, y, x * y, x**2, y**2], axis=-1).reshape(-1, 6)
    plain = basis @ np.linalg.lstsq(basis, image.mean(0).numpy().ravel(), rcond=None)[0]
    error = float((surface.mean(0) - background).abs().max())
    assert error < 0.06
    assert error < np.abs(plain - background).max() / 3
    flat = flatten_illumination(image[None])[0]
    halves = [flat[:, :, part][:, (label_map == 0)[:, part]].mean() for part in (slice(0, 128), slice(128, None))]
    assert float(halves[0]) == pytest.approx(float(halves[1]), abs=0.02)


def test_an_even_image_stays_as_it_is():
    constant = torch.full((2, 3, 40, 60), 0.7)
    assert torch.allclose(flatten_illumination(constant), constant, atol=1e-6)
    image, _ = smear()
    assert float((flatten_illumination(image[None])[0] - image).abs().mean()) < 0.01


def test_each_image_has_a_surface_of_its_own_and_channels_keep_their_means():
    first, second = smear(1)[0], smear(2)[0] + vignette(192, 256)
    both = flatten_illumination(torch.stack([first, second]))
    assert torch.allclose(both[1], flatten_illumination(second[None])[0], atol=1e-6)
    assert torch.allclose(both.mean((2, 3)), torch.stack([first, second]).mean((2, 3)), atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (8, 8), (9, 17)])
def test_any_size(size):
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    flat = flatten_illumination(image)
    assert flat.shape == image.shape
    assert torch.isfinite(flat).all()


def test_autocast_changes_nothing():
    image = smear()[0][None] + vignette(192, 256)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = flatten_illumination(image)
    assert cast.dtype == torch.float32
    assert np.array_equal(cast.numpy(), flatten_illumination(image).numpy())


def test_bright_objects_do_not_pull_the_surface_up():
    """As dark ones, with the image turned into its negative."""
    image = smear()[0][None] + vignette(192, 256)
    surface = background_surface(image)
    bright = background_surface(1 - image, "bright")
    assert torch.allclose(bright, 1 - surface, atol=1e-6)
    assert float((background_surface(1 - image) - bright).abs().max()) > 0.02
    assert torch.allclose(standardize(1 - image, "bright"), -standardize(image), atol=1e-4)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_any_number_of_channels(channels):
    image = torch.rand(2, channels, 40, 50, generator=torch.Generator().manual_seed(0))
    together = standardize(image)
    assert torch.allclose(together.mean((2, 3)), torch.zeros(2, channels), atol=1e-5)


def test_standardising_removes_brightness_and_contrast_of_each_image_and_channel():
    image = torch.rand(2, 3, 8, 9)
    standard = standardize(image)
    assert torch.allclose(standard.mean((2, 3)), torch.zeros(2, 3), atol=1e-5)
    assert torch.allclose(standard.std((2, 3), correction=0), torch.ones(2, 3), atol=1e-5)
    gain = torch.tensor([0.5, 0.7, 0.9])[:, None, None]
    assert torch.allclose(standardize(gain * image + 0.05), standard, atol=1e-4)
    assert torch.equal(standardize(torch.full((1, 3, 4, 4), 0.5)), torch.zeros(1, 3, 4, 4))
    assert torch.allclose(standardize(image[:1]), standard[:1])
