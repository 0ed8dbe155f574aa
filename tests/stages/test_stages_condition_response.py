"""How a translator answers to its conditions, on painters whose answer is known."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_data import write_tiny_folder

from rbc_lightning.data.formats import read_image, read_label_map
from rbc_lightning.ops.structure_maps import structure_map, structure_threshold
from rbc_lightning.stages.inputs import load_inputs
from rbc_lightning.stages.painting import condition_response
from rbc_lightning.stages.painting.condition_response import measure_response
from rbc_lightning.stages.painting.held_out import HeldOut
from rbc_lightning.stages.painting.painters import StructurePainter

STRUCTURED = "translator=mode_seeking_pix2pix"


class Held:
    """Held-out pairs of a folder, and painters that return the real image of a mask, or always one picture."""

    def __init__(self, directory, compose_tiny, monkeypatch):
        root = write_tiny_folder(directory / "data", n_train=8)
        self.cfg = compose_tiny(directory, "data.validation_fraction=0.4", STRUCTURED, root=root)
        self.inputs = load_inputs(self.cfg)
        records = self.inputs.manifest.split("val")
        self.images = [read_image(record.image_path) for record in records]
        masks = tuple(read_label_map(record.label_path) for record in records)
        real = tuple(SimpleNamespace(dice=0.9) for _ in records)
        self.held_out = HeldOut(None, tuple(r.sample_id for r in records), masks, real, (), np.zeros(0), np.zeros(0))
        self.given = []
        monkeypatch.setattr(condition_response, "measure_image", lambda judge, image, mask: SimpleNamespace(dice=0.5))

    def measure(self, number_of=lambda index: index, change=lambda image: image):
        def paint(label_map, structure, seed):
            (index,) = [i for i, mask in enumerate(self.held_out.label_maps) if np.array_equal(mask, label_map)]
            self.given.append((index, structure, seed))
            return change(self.images[number_of(index)])

        translator = SimpleNamespace(settings=SimpleNamespace(structure_method="otsu"), paint=paint)
        return measure_response(self.cfg, self.inputs, StructurePainter(translator, bank=object()), self.held_out)


@pytest.fixture
def held(tmp_path, compose_tiny, monkeypatch):
    return Held(tmp_path, compose_tiny, monkeypatch)


def test_a_painter_of_the_real_images_answers_as_they_do(held):
    response = held.measure()
    assert response.n_images == len(held.images) >= 3
    assert (response.l1, response.collapse, response.texture_collapse) == (0, 0, 0)
    assert response.diversity == response.diversity_real > 0
    assert response.texture_correlation == response.texture_correlation_real
    assert (response.dice, response.dice_real) == (0.5, 0.9)
    assert len({seed for _, _, seed in held.given}) == len(held.images)
    for index, structure, _ in held.given:
        assert np.array_equal(structure, structure_map(held.images[index], structure_threshold(held.images[index])))


def test_one_picture_for_all_conditions_has_collapsed(held):
    response = held.measure(lambda index: 0)
    assert (response.diversity, response.collapse, response.texture_collapse) == (0, 1, 1)
    # Not 1: what the picture's own cells leave under other masks is taken away.
    assert response.texture_correlation > 0.6 > 0.3 > abs(response.texture_correlation_real)


def test_l1_is_in_the_units_of_the_loss(held):
    # Ten grey levels of 255, over a range of 2.
    brighter = held.measure(change=lambda image: np.where(image < 128, image + 10, image - 10).astype(np.uint8))
    assert brighter.l1 == pytest.approx(20 / 255)


def test_the_table_tells_what_is_missing(held):
    table = dataclasses.replace(held.measure(), diversity_real=None).table()
    cells = [list(column.cells) for column in table.columns]
    assert cells[2][:2] == ["", "-"]
    assert cells[1][-1] == "0.500"
