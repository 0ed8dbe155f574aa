import numpy as np
import pytest
from oracles.nearest_place_plainly import nearest_place
from scipy.ndimage import gaussian_filter

from rbc_lightning.evaluation.pair_quality.places import n_searched, nearest_places

UPRIGHT = ((False, False), (False, True))
EVERY = (*UPRIGHT, (True, False), (True, True))


def images(*sizes, channels=2, seed=0, flat=0):
    """Blurred noise, as smooth as scans are, with so many flat columns on the left."""
    rng = np.random.default_rng(seed)
    found = []
    for size in sizes:
        image = 128 + 400 * gaussian_filter(rng.normal(size=(*size, channels)), (1.5, 1.5, 0))
        image[:, :flat] = 20
        found.append(image.astype(np.float32))
    return found


def search(crops, train, upright=False):
    return nearest_places(np.stack(crops), train.__getitem__, len(train), upright=upright)


@pytest.mark.parametrize(("upright", "mirrors", "channels"), [(True, UPRIGHT, 2), (False, EVERY, 1)])
def test_places_are_those_of_a_plain_search(upright, mirrors, channels):
    # The second has odd sides and takes several tiles, in which some windows are flat.
    train = [*images((24, 22), channels=channels), *images((53, 67), channels=channels, flat=25)]
    cut = 0.5 * train[1][30:46, 41:57] + images((16, 16), channels=channels, seed=2)[0]
    for place, crop in zip(search([cut, train[0][3:19, 4:20]], train, upright), [cut, train[0][3:19, 4:20]], strict=True):
        distance, index, corner, mirror = nearest_place(crop, train, mirrors)
        assert place.distance == pytest.approx(distance, abs=2e-3)
        assert (place.image, place.corner, place.flipped) == (index, corner, mirror)
    # Of the best places of a rough grid the best may be missed, by little.
    (other,) = search(images((16, 16), channels=channels, seed=1), train, upright)
    least = nearest_place(images((16, 16), channels=channels, seed=1)[0], train, mirrors)[0]
    assert least - 0.05 < other.distance < 1.15 * least


@pytest.mark.parametrize("flip", EVERY)
@pytest.mark.parametrize("corner", [(0, 20), (34, 50), (17, 31), (40, 25)])
def test_a_copy_is_found_at_its_place_moved_mirrored_and_of_other_contrast(flip, corner):
    train = images((64, 80), (64, 80), (64, 80))
    row, column = corner
    copy = train[2][row : row + 24, column : column + 24][:: -1 if flip[0] else 1, :: -1 if flip[1] else 1]
    changed = 0.7 * copy + np.float32([30, 10])
    dull, same, *others = search([changed, copy, *images((24, 24), (24, 24), seed=9)], train)
    for found in (dull, same):
        assert found[1:4] == (2, corner, flip)
        assert found.distance < 2e-3
    assert min(other.distance for other in others) > 0.5
    assert same.rmse == 0
    assert dull.rmse == pytest.approx(np.sqrt(np.mean((changed - copy) ** 2)), rel=1e-4)


@pytest.mark.parametrize(("seed", "corner"), [(6, (34, 39)), (13, (5, 1)), (52, (31, 7))])
def test_a_copy_of_stripes_is_found_although_its_like_lies_along_them(seed, corner):
    rng = np.random.default_rng(seed)
    image = 128 + gaussian_filter(rng.normal(size=(64, 80, 1)), (6, 1, 0)) * 1500
    image = (image + gaussian_filter(rng.normal(size=image.shape), (0.6, 0.6, 0)) * 20).astype(np.float32)
    (place,) = search([image[corner[0] :, corner[1] :][:24, :24]], [image])
    assert place.corner == corner
    assert place.distance < 2e-3


def test_upright_images_are_not_searched_upside_down():
    train = images((40, 40))
    crop = train[0][10:34, 15:39][::-1]
    assert search([crop], train)[0].distance < 0.01
    assert search([crop], train, upright=True)[0].distance > 0.5


def test_images_as_large_as_the_crops_may_be_moved_by_two_pixels():
    (image,) = images((40, 40))
    (place,) = search([np.roll(image, (2, -2), axis=(0, 1))], [image])
    assert place.distance < 0.01
    assert place.corner == (0, 0)


def test_what_shows_nothing_is_like_nothing():
    train = [np.full((30, 30, 2), 7, np.float32), *images((30, 30))]
    flat, other = search([train[0][:16, :16], *images((16, 16), seed=3)], train)
    assert flat.distance == pytest.approx(np.sqrt(2))
    assert other.image == 1


def test_crops_that_are_searched_are_few_where_places_are_many():
    # Of 150 slices 99 x 99 places, twice: 2.9 million.
    assert n_searched(500, [(256, 256)] * 150, 64, upright=True) == 200
    assert n_searched(50, [(256, 256)] * 150, 64, upright=True) == 50
    assert n_searched(500, [(256, 256)] * 1500, 64, upright=True) == int(3e9 / (1500 * 99 * 99 * 2))
    assert n_searched(500, [(1200, 1600)] * 1000, 64, upright=False) == 20
