"""Structure maps of a data set, to look at."""

import numpy as np
import pytest
from pix2pix_helpers import TWO_16, make_manifest, make_samples

from rbc_lightning.data.manifest import Manifest
from rbc_lightning.data.sample import ArrayPair, Sample
from rbc_lightning.errors import InputError
from rbc_lightning.translators.pix2pix import preview
from rbc_lightning.translators.pix2pix.structures.maps import structure_map, structure_threshold


def test_the_preview_shows_the_configured_map_first_and_names_a_method_that_fails(tmp_path, monkeypatch, capsys):
    def fail(image, method, spec):
        if method == "li":
            raise ValueError
        return structure_threshold(image, method, spec)

    monkeypatch.setattr(preview, "structure_threshold", fail)
    shown = []
    monkeypatch.setattr(preview, "save_structure_preview", lambda path, rows: shown.extend(rows))
    manifest = make_manifest()
    assert preview.save_preview(manifest, "mean", tmp_path / "maps.png") == tmp_path / "maps.png"
    assert "Structure maps by mean: dark is at or below grey level" in capsys.readouterr().out
    assert [row.sample_id for row in shown] == ["s0", "s1", "s2", "s3"]
    for row, sample in zip(shown, manifest.samples, strict=False):
        image = sample.load_image()
        assert np.array_equal(row.image, image)
        levels = {method: structure_threshold(image, method) for method in ("mean", "otsu", "triangle")}
        captions = [f"mean: {levels['mean']:.0f} (in use)", f"otsu: {levels['otsu']:.0f}", "li: none"]
        assert list(row.maps) == [*captions, f"triangle: {levels['triangle']:.0f}"]
        for (caption, drawn), method in zip(row.maps.items(), ("mean", "otsu", None, "triangle"), strict=True):
            expected = structure_map(image, levels[method]) if method else np.zeros(image.shape[:2], bool)
            assert np.array_equal(drawn, expected), caption


def test_the_preview_looks_at_held_out_images_too(tmp_path):
    pair = ArrayPair(np.full((64, 80, 3), 200, np.uint8), np.zeros((64, 80), np.int32), "memory/blank")
    blank = Sample("blank", "test", "blank", *pair.sha256, pair)
    with pytest.raises(InputError, match="memory/blank: no structure threshold"):
        preview.save_preview(Manifest((*make_samples(), blank)), "otsu", tmp_path / "maps.png")


def test_the_preview_of_bright_objects(tmp_path, capsys):
    preview.save_preview(make_manifest(TWO_16), 2000, tmp_path / "maps.png")
    assert "Structure maps by 2000: bright is above grey level 2000 on average" in capsys.readouterr().out
    assert (tmp_path / "maps.png").read_bytes().startswith(b"\x89PNG")
