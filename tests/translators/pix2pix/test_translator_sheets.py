"""Pictures of what is generated with structure maps."""

import numpy as np
import pytest
from pix2pix_helpers import TWO_16, make_samples, make_train

from rbc_lightning.core.store import Store
from rbc_lightning.data.conversions import to_rgb
from rbc_lightning.data.spec import RGB
from rbc_lightning.report.figures import style_sheets
from rbc_lightning.translators.pix2pix.structures.maps import structure_map, structure_threshold
from rbc_lightning.translators.pix2pix.structures.recipe import StructureBankRecipe
from rbc_lightning.translators.pix2pix.task import ModeSeekingPix2PixTask
from rbc_lightning.translators.pix2pix.translator import StructureTranslator

SIZES = {"size": 16, "base_channels": 4, "n_downsample": 3, "discriminator_channels": 4}


def translator_of(store, spec, structure=True):
    kind = {"channels": spec.channels, "value_range": spec.value_range, "objects": spec.objects}
    bank = store.make(StructureBankRecipe.of(make_train(spec), "otsu")) if structure else None
    return StructureTranslator.from_task(ModeSeekingPix2PixTask(**SIZES, image=kind, structure=structure), bank=bank)


@pytest.mark.parametrize("spec", [RGB, TWO_16], ids=lambda spec: "_".join(spec.channels))
def test_sheets_show_structures_and_what_is_generated_with_them(tmp_path, monkeypatch, spec):
    translator, samples = translator_of(Store(tmp_path, str), spec), make_samples(2, spec)
    shown, drawn = [], []
    monkeypatch.setattr(style_sheets, "save_translation_sheet", lambda path, rows: shown.extend(rows))
    draw = lambda path, images, structures: drawn.extend([images, structures])  # noqa: E731
    monkeypatch.setattr(style_sheets, "save_structure_sheet", draw)
    figures = translator.sheets(samples, tmp_path, 5)
    assert [path.name for path in figures] == ["translations.png", "structures.png"]
    for index, (row, sample) in enumerate(zip(shown, samples, strict=True)):
        image, label_map = sample.load_image(), sample.load_label_map()
        structure = structure_map(image, structure_threshold(image, "otsu", spec), spec)
        assert np.array_equal(row.truth, to_rgb(image, spec))
        picture, with_it, with_new = row.generated.values()
        assert np.array_equal(picture[..., 0] == picture[structure][0, 0], structure)
        assert np.array_equal(with_it, to_rgb(translator.paint_with(label_map, structure, 5 + index), spec))
        assert np.array_equal(with_new, to_rgb(translator.paint(label_map, 5 + index), spec))
    images, structures = drawn
    mask = samples[0].load_label_map()
    assert len(images) == len(structures) == 6
    assert np.array_equal(images[2], to_rgb(translator.paint(mask, 7), spec))
    assert np.array_equal(structures[2], translator.draw_structure(mask, 7))


def test_without_structure_maps_there_are_images_alone(tmp_path, monkeypatch):
    translator, shown = translator_of(Store(tmp_path, str), RGB, structure=False), []
    monkeypatch.setattr(style_sheets, "save_translation_sheet", lambda path, rows: shown.extend(rows))
    figures = translator.sheets(make_samples(1), tmp_path, 5)
    assert [list(row.generated) for row in shown] == [["generated"]]
    assert figures[1].read_bytes().startswith(b"\x89PNG")
