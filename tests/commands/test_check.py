import numpy as np
import pytest
from PIL import Image

from rbc_lightning.app import run


@pytest.mark.parametrize(("protocol", "n_splits"), [("held_out", 3), ("paper", 2)])
def test_every_split_is_described_under_either_protocol(tmp_path, compose_tiny, capsys, protocol, n_splits):
    result = run(compose_tiny(tmp_path, "stage=check", f"protocol={protocol}"))
    said = capsys.readouterr().out
    assert result.n_samples == 7
    assert said.count("9 +- 0") == n_splits
    assert result.summary() == f"7 samples are in order; look at {result.preview}"
    assert result.preview.is_file()


def test_notes_name_unlisted_images_and_empty_label_maps(own_folder, tmp_path, compose_tiny, capsys):
    Image.fromarray(np.zeros((96, 128), np.uint16)).save(own_folder / "labels" / "smear_00.png")
    Image.new("RGB", (8, 8)).save(own_folder / "images" / "stray.png")
    run(compose_tiny(tmp_path, "stage=check", "data.validation_fraction=0.2", root=own_folder))
    said = " ".join(capsys.readouterr().out.split())
    assert "stray.png is not in splits.csv and takes no part" in said
    assert "note: training label maps without a cell, 1: smear_00" in said


def test_the_translator_shows_its_structure_maps(tmp_path, compose_tiny):
    result = run(compose_tiny(tmp_path, "stage=check", "translator=mode_seeking_pix2pix"))
    assert result.translator_preview.is_file()
    assert str(result.translator_preview) in result.summary()
