"""Real crops that the pairs of a GAN are compared with."""

import numpy as np
import pytest
from pair_gan_helpers import gan_pairs, slices, smears

LESION, OUTLINE = 1, 2


def views(source, samples=None, n=40):
    view = source.views(samples or source.train)
    return [view(index) for index in range(n)]


def places_of(crop, image):
    """Corners at which a crop lies in an image or in its mirror image."""
    side = len(crop)
    return [
        (row, column, mirrored)
        for mirrored, whole in ((False, image), (True, image[:, ::-1]))
        for row in range(image.shape[0] - side + 1)
        for column in range(image.shape[1] - side + 1)
        if np.array_equal(whole[row, column : column + side], crop[0])
    ]


def test_views_are_crops_of_the_samples_with_their_context_mirrored_or_not():
    source = gan_pairs()
    assert source.window == 32
    mirrored = []
    for one in views(source, n=12):
        image, label_map = one.load()
        (place,) = places_of(image, one.sample.load_image())
        assert image.shape == (32, 32, 2)
        whole = one.sample.loader.label_map()
        whole = whole[:, ::-1] if place[2] else whole
        assert np.array_equal(label_map, whole[place[0] :, place[1] :][:32, :32])
        assert OUTLINE in label_map
        mirrored.append(place[2])
    assert 0 < sum(mirrored) < 12


@pytest.mark.parametrize(("labelled", "share"), [(0.5, 0.5), (None, 0.75)])
def test_as_many_views_show_something_as_in_training(labelled, share):
    # Three of four slices of a patient do; a pass has as many draws as there are samples.
    source = gan_pairs(labelled=labelled)
    for samples in (source.train, slices("c", "d", "e", "f")):
        found = views(source, samples, n=2 * len(samples))
        shown = [(one.sample.load_label_map() == LESION).any() for one in found]
        assert np.mean(shown) == share
        assert {one.sample.sample_id for one in found} <= set(samples.ids)


@pytest.mark.parametrize("context", [False, True])
def test_views_lie_about_what_is_labelled_as_in_training(context):
    """Near the middle of crops about lesions lies one, of those about the brain more seldom."""
    source = gan_pairs(slices(n_slices=9), focus=1, context=context)
    labelled = [one for one in views(source) if (one.sample.load_label_map() == LESION).any()]
    hit = np.mean([(one.load()[1][8:25, 8:25] == LESION).any() for one in labelled])
    assert hit < 1 if context else hit == 1


def test_views_follow_from_the_seed_and_their_number():
    first, again, other = (gan_pairs(seed=seed) for seed in (0, 0, 1))
    ours, theirs, others = ([one.load()[0].tolist() for one in views(source, n=6)] for source in (first, again, other))
    assert ours == theirs
    assert ours != others
    assert first.views(first.train)(5).load()[0].tolist() == ours[5]


def test_smears_are_cut_as_well():
    image, label_map = views(gan_pairs(smears()), n=1)[0].load()
    assert image.shape == (32, 32, 3)
    assert label_map.shape == (32, 32)
