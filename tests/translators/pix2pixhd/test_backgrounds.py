import io
import tracemalloc

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from rbc_lightning.errors import InputError
from rbc_lightning.translators.pix2pixhd.backgrounds import BackgroundTextures, measure_texture


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


def ground(height, width):
    return np.ones((height, width), dtype=bool)


def draw(bank, level=0.8):
    return bank.render(np.full(3, level), ground(40, 40), np.random.SeedSequence(0))


def array_bytes(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def sample_of(**kwargs):
    image, label_map = field(**kwargs)
    return {"image": torch.from_numpy(image).float(), "label_map": torch.from_numpy(label_map)}


def test_level_grain_and_illumination_are_measured_off_the_cells():
    texture = measure_texture(*field(grain=0.02, slope=0.05))
    np.testing.assert_allclose(texture.background, 0.8, atol=0.005)
    # The finest part of white noise: what a Gaussian of 5 pixels leaves is nearly all of it.
    np.testing.assert_allclose(np.sqrt(np.diag(texture.covariance)), 0.02, rtol=0.05)
    assert abs(texture.covariance[0, 1]) < 0.1 * texture.covariance[0, 0]
    ramp = 0.8 + 0.05 * np.linspace(-1, 1, 160)
    # Inside the image the smooth field is the ramp itself; a Gaussian bends it at the border.
    np.testing.assert_allclose(texture.light[:, 60:150, 10:150].mean(axis=1) / 255, np.tile(ramp[10:150], (3, 1)), atol=0.004)


def test_the_place_of_a_cell_is_filled_with_its_surroundings():
    texture = measure_texture(*field(grain=0.0, slope=0.0))
    assert (texture.light == round(0.8 * 255)).all()
    assert not texture.dirt.any()


@pytest.mark.parametrize(("blur", "expected"), [(0.0, 0.0), (0.7, np.exp(-1 / (4 * 0.49)))])
def test_the_correlation_of_neighbours_is_measured_and_drawn(blur, expected):
    # Removing what is coarser than 5 pixels lowers the correlation a little.
    assert measure_texture(*field(blur=blur)).correlation == pytest.approx(expected, abs=0.06)
    drawn = BackgroundTextures.fit([sample_of(blur=blur)]).render(np.full(3, 0.8), ground(200, 200), np.random.SeedSequence(0))
    neighbours = np.corrcoef(drawn[0, 1:].ravel(), drawn[0, :-1].ravel())[0, 1]
    assert neighbours == pytest.approx(expected, abs=0.08)
    assert drawn.std() == pytest.approx(0.02, rel=0.12)


def test_dirt_does_not_count_as_grain_and_comes_again_on_the_ground_only():
    image, label_map = field(grain=0.005)
    image[:, 100:104, 100:104] -= 0.4
    texture = measure_texture(image, label_map)
    np.testing.assert_allclose(np.sqrt(np.diag(texture.covariance)), 0.005, rtol=0.1)
    assert texture.dirt[:, 100:104, 100:104].max() < -0.3 * 127
    clean = np.ones((160, 160), dtype=bool)
    clean[90:114, 90:114] = False
    assert np.abs(texture.dirt[:, clean]).max() < 0.05 * 127
    bank = BackgroundTextures.fit([{"image": torch.from_numpy(image).float(), "label_map": torch.from_numpy(label_map)}])
    drawn = bank.render(np.full(3, 0.8), ground(160, 160), np.random.SeedSequence(0))
    # Somewhere, since the texture lies either way round: a dark patch of about the same size.
    assert 9 <= (drawn[0] < -0.3).sum() <= 36
    covered = bank.render(np.full(3, 0.8), ~ground(160, 160), np.random.SeedSequence(0))
    assert covered.min() > -0.1


def test_a_texture_smaller_than_the_image_is_continued_by_mirroring():
    bank = BackgroundTextures.fit([sample_of(grain=0.0, slope=0.1)])
    drawn = bank.render(np.full(3, 0.8), ground(160, 400), np.random.SeedSequence(1))[0, 80]
    assert np.abs(np.diff(drawn)).max() < 0.01  # no jump where it turns
    assert drawn.max() - drawn.min() > 0.15


def test_the_texture_comes_from_an_image_with_a_similar_background():
    pale = [sample_of(level=0.9, grain=0.001, seed=i) for i in range(3)]
    gray = [sample_of(level=0.5, grain=0.05, seed=i) for i in range(3)]
    bank = BackgroundTextures.fit([*pale, *gray])
    seeds = [np.random.SeedSequence(i) for i in range(5)]
    assert max(bank.render(np.full(3, 0.88), ground(40, 40), seed).std() for seed in seeds) < 0.005
    assert min(bank.render(np.full(3, 0.55), ground(40, 40), seed).std() for seed in seeds) > 0.03


def test_the_same_seed_draws_the_same_texture():
    bank = BackgroundTextures.fit([sample_of()])
    first, again, other = (bank.render(np.full(3, 0.8), ground(30, 50), np.random.SeedSequence(s)) for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (3, 30, 50)
    assert not np.array_equal(first, other)


def test_images_without_background_give_no_texture():
    full = {"image": torch.rand(3, 64, 64), "label_map": torch.ones(64, 64, dtype=torch.int64)}
    bank = BackgroundTextures.fit([full])
    assert len(bank.background) == 0
    assert not bank.render(np.zeros(3), ground(8, 8), np.random.SeedSequence(0)).any()


def test_a_bank_survives_the_round_trip_and_other_files_are_refused(tmp_path):
    bank = BackgroundTextures.fit([sample_of(), sample_of(level=0.6)])
    bank.save(tmp_path / "backgrounds.npz")
    loaded = BackgroundTextures.load(tmp_path / "backgrounds.npz")
    np.testing.assert_array_equal(loaded.covariance, bank.covariance)
    np.testing.assert_array_equal(draw(loaded), draw(bank))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backgrounds.npz", "plates.npy"]
    (tmp_path / "torn.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"torn\.npz holds no background textures .*stage=translator"):
        BackgroundTextures.load(tmp_path / "torn.npz")
    for torn, reason in ((b"no array", ""), (array_bytes(bank.plates[:-1]), f"{len(bank.plates) - 1} bytes, expected")):
        (tmp_path / "plates.npy").write_bytes(torn)
        with pytest.raises(InputError, match=rf"plates\.npy does not belong to backgrounds\.npz \({reason}.*stage=translator"):
            BackgroundTextures.load(tmp_path / "backgrounds.npz")


def test_the_earlier_layout_with_all_plates_in_one_array_draws_the_same(tmp_path):
    samples = [sample_of(), sample_of(level=0.6, size=120), sample_of(level=0.7, seed=2)]
    bank = BackgroundTextures.fit(samples)
    textures = [measure_texture(s["image"].numpy(), s["label_map"].numpy()) for s in samples]
    padded = {name: np.zeros((3, 3, 160, 160), dtype) for name, dtype in (("light", np.uint8), ("dirt", np.int8))}
    for name, stack in padded.items():
        for whole, texture in zip(stack, textures, strict=True):
            plate = getattr(texture, name)
            whole[:, : plate.shape[1], : plate.shape[2]] = plate
    few = {name: getattr(bank, name) for name in ("background", "covariance", "correlation", "sizes")}
    np.savez_compressed(tmp_path / "backgrounds.npz", **few, **padded)
    loaded = BackgroundTextures.load(tmp_path / "backgrounds.npz")
    np.testing.assert_array_equal(loaded.plates, bank.plates)
    for level in (0.6, 0.7, 0.8):
        np.testing.assert_array_equal(draw(loaded, level), draw(bank, level))


def test_what_is_drawn_is_that_of_the_plates_themselves():
    """A plain twin: light and dirt as they were measured, held as arrays."""
    bank = BackgroundTextures.fit([sample_of(level=level, size=size) for level, size in ((0.8, 160), (0.6, 120))])
    for index, (level, size) in enumerate(((0.8, 160), (0.6, 120))):
        one, measured = sample_of(level=level, size=size), bank.texture(index)
        texture = measure_texture(one["image"].numpy(), one["label_map"].numpy())
        for name in ("background", "covariance", "correlation", "light", "dirt"):
            np.testing.assert_array_equal(getattr(measured, name), getattr(texture, name))
            assert np.asarray(getattr(measured, name)).dtype == np.asarray(getattr(texture, name)).dtype


def test_drawing_takes_the_memory_of_one_plate_however_many_there_are(tmp_path):
    """Counted are the bytes of arrays; those that stay in their file are none."""
    peaks = {}
    for count in (3, 12):
        BackgroundTextures.fit(sample_of(seed=seed) for seed in range(count)).save(tmp_path / "backgrounds.npz")
        tracemalloc.start()
        bank = BackgroundTextures.load(tmp_path / "backgrounds.npz")
        held = tracemalloc.get_traced_memory()[0]
        for seed in range(4):
            bank.render(np.full(3, 0.8), ground(40, 40), np.random.SeedSequence(seed))
        peaks[count] = held, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert isinstance(bank.plates, np.memmap)
    plate = 2 * 3 * 160 * 160
    assert max(held for held, _ in peaks.values()) < plate / 2
    assert peaks[12][1] - peaks[3][1] < plate / 10


@pytest.mark.parametrize("channels", [1, 2])
def test_deep_images_of_any_channels_keep_their_fine_levels(channels):
    """Grain of less than one of 256 levels on a black ground with bright cells, as in fluorescence."""
    rng = np.random.default_rng(0)
    label_map = np.zeros((160, 160), dtype=np.int64)
    label_map[:30, :30] = 1
    image = 0.004 + 0.0005 * rng.standard_normal((channels, 160, 160))
    image[:, :30, :30] = 0.6
    sample = {"image": torch.from_numpy(image).float(), "label_map": torch.from_numpy(label_map)}
    bank = BackgroundTextures.fit([sample], deep=True)
    texture = bank.texture(0)
    assert (texture.light.dtype, texture.dirt.dtype, bank.covariance.shape) == (np.uint16, np.int16, (1, channels, channels))
    np.testing.assert_allclose(texture.light / 65535, 0.004, atol=2e-4)
    drawn = bank.render(np.full(channels, 0.004), ground(120, 150), np.random.SeedSequence(0))
    assert drawn.shape == (channels, 120, 150)
    assert drawn.std() == pytest.approx(0.0005, rel=0.15)
