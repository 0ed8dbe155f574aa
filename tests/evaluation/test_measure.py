"""Quality of generated images, of translators whose quality is known."""

import dataclasses

import numpy as np
import pytest
from evaluation_helpers import SEED, Painter, darker

from rbc_lightning.evaluation.held_out import gather_held_out
from rbc_lightning.evaluation.measure import QualityChooser, measure_quality
from rbc_lightning.evaluation.realism import cell_crops


def measure(place, held_out, change=lambda image, label_map, number: image):
    return measure_quality(Painter(place, change), held_out, "per_image", SEED)


def test_the_real_images_themselves_give_the_values_of_real_images(place, held_out):
    quality = measure(place, held_out)
    assert (quality.n_images, quality.n_styles) == (5, 4)
    assert quality.dice_real > 0.9
    for name in ("dice", "nearest_cell", "nearest_cell_p5", "kid", "background_spread", "cell_spread"):
        assert getattr(quality, name) == pytest.approx(getattr(quality, f"{name}_real")), name
    assert quality.ap50 == pytest.approx(quality.ap50_real, abs=0.02)
    assert (quality.background_distance, quality.cell_distance) == (0, 0)
    # Faithful, yet always the same image.
    assert (quality.color_diversity, quality.texture_diversity, quality.score) == (0, 0, 0)


def test_images_in_two_colours_are_the_texture_free_baseline(place, held_out):
    def flatten(image, label_map, number):
        colors = [image[label_map == 0].mean(axis=0), image[label_map > 0].mean(axis=0)]
        return np.round(np.where((label_map > 0)[..., None], colors[1], colors[0])).astype(np.uint8)

    quality = measure(place, held_out, flatten)
    for name in ("dice", "kid", "nearest_cell", "nearest_cell_p5"):
        assert getattr(quality, name) == pytest.approx(getattr(quality, f"{name}_flat")), name
    assert quality.kid_flat > 2 * quality.kid_real


def test_styles_that_differ_by_known_steps_have_a_known_diversity(place, held_out):
    quality = measure(place, held_out, darker)
    # Twelve styles, three on each of the levels 0, 10, 20, 30: of 66 pairs 27 are 10 apart, 18 are 20 and 9 are 30.
    assert quality.color_diversity == pytest.approx((270 + 360 + 270) / 66)
    # Every image of a style is moved by the same step: 0, 10, 20, 30 on average.
    assert quality.background_distance == pytest.approx(15)
    assert quality.cell_distance == pytest.approx(15)
    assert quality.background_spread == pytest.approx(quality.background_spread_real)
    # The network standardises each image, so that it sees no other texture in a darker one.
    assert quality.texture_diversity < 1e-3 < quality.texture_diversity_real
    assert quality.diversity == pytest.approx(0.5, abs=0.05)
    assert quality.score == pytest.approx(quality.dice * quality.diversity)


def test_images_that_do_not_show_their_mask_are_not_faithful(place, held_out):
    mirrored = measure(place, held_out, lambda image, label_map, number: image[::-1].copy())
    assert mirrored.dice < 0.6 < mirrored.dice_real
    assert mirrored.ap50 < mirrored.ap50_real / 2
    blank = measure(place, held_out, lambda image, label_map, number: np.full_like(image, 200))
    assert blank.dice < 0.6


def test_copied_training_cells_are_found(place, held_out):
    known = dataclasses.replace(held_out, train_crops=np.concatenate([cell_crops(*pair) for pair in place.pairs]))
    # Generated images whose every cell is a training cell in another stain; the real ones are such cells as well.
    quality = measure(place, known, darker)
    assert quality.nearest_cell < 0.01 < 0.1 < quality.nearest_cell_flat
    assert quality.nearest_cell_real < 0.01
    assert measure(place, held_out, darker).nearest_cell > 5 * quality.nearest_cell


def test_the_seed_decides_the_styles_and_no_two_images_share_one(place, held_out):
    painters = [Painter(place) for _ in range(3)]
    first = measure_quality(painters[0], held_out, "per_image", SEED)
    assert measure_quality(painters[1], held_out, "per_image", SEED) == first
    assert measure_quality(painters[2], held_out, "per_image", SEED + 1) != first
    assert painters[0].seeds == painters[1].seeds
    assert len(set(painters[0].seeds + painters[2].seeds)) == 2 * 5 * (4 + 12)


def test_images_are_numbered_as_those_of_a_set_style_by_style(place, held_out):
    """A stain in turn for every mask: five masks in sixteen styles are the first eighty images of a set, each once."""
    painter = Painter(place)
    measure_quality(painter, held_out, "per_image", SEED)
    assert sorted(painter.turns) == list(range(5 * 16))
    assert painter.turns[:4] == [0, 5, 10, 15]
    assert painter.turns[16:20] == [1, 6, 11, 16]


def test_single_values_are_kept_for_figures(place, held_out):
    samples = measure(place, held_out, darker).samples
    assert samples.sample_ids == place.val.ids
    assert len(samples.background) == len(samples.cells) == 5 * 12
    assert len(samples.background_real) == 5
    assert len(samples.cells_train) == 7
    assert samples.dice_real == pytest.approx([seen.dice for seen in held_out.real])


def test_a_single_held_out_image_leaves_gaps_and_a_score(place, network):
    one = gather_held_out(network, place.train, place.val.samples[:1])
    quality = measure(place, one, darker)
    assert np.isnan([quality.kid, quality.kid_real, quality.color_diversity_real, quality.texture_diversity_real]).all()
    # Training images tell the diversity in colour.
    assert quality.score == pytest.approx(quality.dice)


def test_the_chooser_scores_translators_by_their_quality(place, held_out):
    chooser = QualityChooser(network=place.recipe, images=2, style="per_image", seed=0)
    assert chooser.chosen_on == place.val.ancestors
    scorer = chooser.open(place.store)
    assert scorer.held_out.samples == held_out.samples[:2]
    expected = measure_quality(Painter(place, darker), scorer.held_out, "per_image", SEED).score
    assert scorer.score(Painter(place, darker)) == expected
    # The real images, always the same: faithful, without any diversity.
    assert expected > scorer.score(Painter(place)) == 0


def test_what_decides_the_choice(place):
    values = {"network": place.recipe, "images": 4, "style": "per_image", "seed": 0}
    changes = ({"images": 3}, {"style": "per_cell"}, {"seed": 1}, {"network": place.network(40, 20)})
    keys = {QualityChooser(**values | change).key for change in ({}, *changes)}
    assert len(keys) == 5
    assert [node.kind for node in QualityChooser(**values).walk()] == ["samples", "samples", "fcn_score", "quality"]
