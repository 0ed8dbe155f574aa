"""How a translator responds to its conditions, for translators whose response is known."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
from pix2pix_helpers import TWO_16, make_samples

from rbc_lightning.data.spec import RGB
from rbc_lightning.translators.pix2pix.condition_response import measure_response
from rbc_lightning.translators.pix2pix.structures.maps import structure_map, structure_threshold
from rbc_lightning.translators.pix2pix.translator import StructureTranslator


class Held:
    """Held-out pairs, and translators that return the real image of a mask, or always the same one."""

    def __init__(self, spec=RGB, n=4):
        self.samples = make_samples(n, spec, "val")
        self.spec = spec
        self.images = [sample.load_image() for sample in self.samples]
        self.label_maps = [sample.load_label_map() for sample in self.samples]
        self.real = [SimpleNamespace(dice=0.9) for _ in self.samples]
        self.masks = self.label_maps
        self.given = []

    def measure(self, image, label_map):
        """What `HeldOut` would measure of an image."""
        return SimpleNamespace(dice=0.5)

    def translator(self, number_of=lambda index: index, change=lambda image: image):
        def paint_with(label_map, structure, seed):
            (index,) = [i for i, mask in enumerate(self.label_maps) if np.array_equal(mask, label_map)]
            self.given.append((index, structure, seed))
            return change(self.images[number_of(index)])

        settings = SimpleNamespace(structure_method="otsu")
        return SimpleNamespace(settings=settings, spec=self.spec, bank=object(), paint_with=paint_with)

    def response(self, *arguments, **options):
        return measure_response(self.translator(*arguments, **options), self, seed=7)


@pytest.mark.parametrize("spec", [RGB, TWO_16], ids=lambda spec: "_".join(spec.channels))
def test_real_images_are_a_perfect_response(spec):
    held = Held(spec)
    response = held.response()
    assert response.n_images == 4
    assert (response.l1, response.collapse, response.texture_collapse) == (0, 0, 0)
    assert response.diversity == response.diversity_real > 0
    assert response.texture_correlation == response.texture_correlation_real
    assert (response.dice, response.dice_real) == (0.5, 0.9)
    assert [seed for _, _, seed in held.given] == [7, 8, 9, 10]
    for index, structure, _ in held.given:
        image = held.images[index]
        assert np.array_equal(structure, structure_map(image, structure_threshold(image, "otsu", spec), spec))


def test_the_same_image_for_all_conditions_has_collapsed():
    response = Held().response(lambda index: 0)
    assert (response.diversity, response.collapse, response.texture_collapse) == (0, 1, 1)
    # Not 1: what the image's own cells leave under other masks is taken away.
    assert response.texture_correlation > 0.6 > 0.3 > abs(response.texture_correlation_real)


@pytest.mark.parametrize(("spec", "step"), [(RGB, 10), (TWO_16, 100)], ids=["8 bits", "16 bits"])
def test_l1_is_in_the_units_of_the_loss(spec, step):
    # So many grey levels of the range, over 2.
    middle = spec.value_range[1] // 2
    changed = Held(spec).response(change=lambda image: np.where(image < middle, image + step, image - step).astype(image.dtype))
    assert changed.l1 == pytest.approx(2 * step / spec.value_range[1])


def test_images_of_the_commonest_size_are_compared():
    held = Held()
    held.label_maps[1] = held.label_maps[1][:40]
    assert held.response().n_images == 3


def test_one_image_has_nothing_to_be_compared_with():
    response = Held(n=1).response()
    assert (response.diversity, response.collapse, response.texture_correlation) == (None, None, None)
    assert response.l1 == 0


def test_the_table_shows_what_is_missing():
    table = dataclasses.replace(Held().response(), diversity_real=None).table()
    columns = [list(column.cells) for column in table.columns]
    assert columns[2][:2] == ["", "-"]
    assert columns[1][-1] == "0.500"


def test_a_translator_writes_its_response(tmp_path):
    held = Held()
    table = StructureTranslator.measure(held.translator(), held, tmp_path, 7)
    assert table.title == "Response to 4 held-out conditions"
    content = json.loads((tmp_path / "condition_response.json").read_text())
    assert (content["l1"], content["n_images"], content["dice_real"]) == (0, 4, 0.9)
