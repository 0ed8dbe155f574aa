import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from rbc_lightning.errors import InputError
from rbc_lightning.tasks.surfaces import SurfaceBank, measure_surface


def field(level=0.8, grain=0.02, blur=0.0, slope=0.0, seed=0, size=160):
    """A background with known grain and a known slope of the illumination along x; one cell in the corner."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((3, size, size))
    if blur:
        noise = np.stack([gaussian_filter(channel, blur, mode="wrap") for channel in noise])
        noise /= noise.std()
    image = np.full((3, size, size), level) + grain * noise + slope * np.linspace(-1, 1, size)
    label_map = np.zeros((size, size), dtype=np.int64)
    label_map[:30, :30] = 1
    image[:, :30, :30] = 0.2
    return image, label_map


def sample_of(**kwargs):
    image, label_map = field(**kwargs)
    return {"image": torch.from_numpy(image).float(), "label_map": torch.from_numpy(label_map)}


def test_level_grain_and_illumination_are_measured_off_the_cells():
    background, covariance, _, illumination = measure_surface(*field(grain=0.02, slope=0.05))
    np.testing.assert_allclose(background, 0.8, atol=0.005)
    # The finest part of white noise: what a Gaussian of 5 pixels leaves is nearly all of it.
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), 0.02, rtol=0.05)
    assert abs(covariance[0, 1]) < 0.1 * covariance[0, 0]
    np.testing.assert_allclose(illumination[:, 0], 0.05, atol=0.006)
    np.testing.assert_allclose(illumination[:, 1], 0.0, atol=0.006)


@pytest.mark.parametrize(("blur", "expected"), [(0.0, 0.0), (0.7, np.exp(-1 / (4 * 0.49)))])
def test_the_correlation_of_neighbours_is_measured_and_drawn(blur, expected):
    # Removing what is coarser than 5 pixels lowers the correlation a little.
    assert measure_surface(*field(blur=blur))[2] == pytest.approx(expected, abs=0.06)
    drawn = SurfaceBank.fit([sample_of(blur=blur)]).render(np.full(3, 0.8), 200, 200, np.random.SeedSequence(0))
    neighbours = np.corrcoef(drawn[0, 1:].ravel(), drawn[0, :-1].ravel())[0, 1]
    assert neighbours == pytest.approx(expected, abs=0.08)
    assert drawn.std() == pytest.approx(0.02, rel=0.12)


def test_dirt_does_not_count_as_grain():
    image, label_map = field()
    image[:, 100:104, 100:104] -= 0.4
    np.testing.assert_allclose(np.sqrt(np.diag(measure_surface(image, label_map)[1])), 0.02, rtol=0.05)


def test_the_surface_comes_from_an_image_with_a_similar_background():
    pale = [sample_of(level=0.9, grain=0.001, seed=i) for i in range(3)]
    gray = [sample_of(level=0.5, grain=0.05, seed=i) for i in range(3)]
    bank = SurfaceBank.fit([*pale, *gray])
    seeds = [np.random.SeedSequence(i) for i in range(5)]
    assert max(bank.render(np.full(3, 0.88), 40, 40, seed).std() for seed in seeds) < 0.005
    assert min(bank.render(np.full(3, 0.55), 40, 40, seed).std() for seed in seeds) > 0.03


def test_the_same_seed_draws_the_same_surface():
    bank = SurfaceBank.fit([sample_of()])
    first, again, other = (bank.render(np.full(3, 0.8), 30, 50, np.random.SeedSequence(s)) for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (3, 30, 50)
    assert not np.array_equal(first, other)


def test_images_without_background_give_no_surface():
    full = {"image": torch.rand(3, 64, 64), "label_map": torch.ones(64, 64, dtype=torch.int64)}
    bank = SurfaceBank.fit([full])
    assert len(bank.background) == 0
    assert not bank.render(np.zeros(3), 8, 8, np.random.SeedSequence(0)).any()


def test_a_bank_survives_the_round_trip_and_other_files_are_refused(tmp_path):
    bank = SurfaceBank.fit([sample_of(), sample_of(level=0.6)])
    bank.save(tmp_path / "surfaces.npz")
    loaded = SurfaceBank.load(tmp_path / "surfaces.npz")
    np.testing.assert_array_equal(loaded.covariance, bank.covariance)
    assert [path.name for path in tmp_path.iterdir()] == ["surfaces.npz"]
    (tmp_path / "torn.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"torn\.npz holds no surfaces .*stage=translator"):
        SurfaceBank.load(tmp_path / "torn.npz")
