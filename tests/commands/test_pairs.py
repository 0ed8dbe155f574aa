import json

import pytest
from PIL import Image
from volume_samples import write_scans

from rbc_lightning.app import run
from rbc_lightning.errors import InputError

STAGE = ("stage=pairs", "synthetic.count=4")


def test_pairs_of_smears_are_measured_shown_and_kept(tmp_path, compose_tiny, capsys):
    cfg = compose_tiny(tmp_path, *STAGE, "pairs=copy_paste")
    result = run(cfg)
    names = {"layout_card.png", "quality_card.png", "random.png", "nearest.png", "pair_quality.json", "lineage.json"}
    assert {path.name for path in result.directory.iterdir()} == names
    content = json.loads((result.directory / "pair_quality.json").read_text())
    assert content["n"] == 4
    assert [row["name"] for row in content["layout"]][1] == "cell: number per image"
    # Cells are pasted into training images.
    assert content["near_1"] == 1
    out = capsys.readouterr().out
    assert "4 synthetic pairs beside 4 of train and 1 of validation" in out
    assert "Memorised" in out
    assert result.summary().endswith("look at layout_card.png, quality_card.png, random.png, nearest.png")
    before = (result.directory / "pair_quality.json").stat().st_mtime_ns
    assert run(cfg).quality.to_json() == result.quality.to_json()
    assert (result.directory / "pair_quality.json").stat().st_mtime_ns == before
    assert not list((tmp_path / "artifacts").glob("*gan*"))


def test_pairs_of_scans_have_every_channel_on_the_sheets(tmp_path, compose_tiny):
    folder = write_scans(tmp_path / "scans")
    data = ("data=mri", f"data.root={folder}", "data.side=40", "data.spacing=null")
    result = run(compose_tiny(tmp_path, *data, *STAGE, "training.crop=32", root=folder))
    names = [row.name for row in result.quality.layout]
    assert names[1] == "lesion: number per slice"
    assert any("distance from" in name for name in names)
    width, height = Image.open(result.directory / "random.png").size
    assert height > width  # six rows of four


def test_pairs_of_a_gan_are_compared_with_crops(tmp_path, compose_tiny, capsys):
    folder = write_scans(tmp_path / "scans")
    data = ("data=mri", f"data.root={folder}", "data.side=40", "data.spacing=null")
    cfg = compose_tiny(tmp_path, *data, *STAGE, "pairs=wgan_gp", "training.crop=32", root=folder)
    quality = run(cfg).quality
    assert quality.window == 32
    assert quality.n_train >= quality.n_train_images
    assert all(len(entry.corner) == 2 and max(entry.corner) <= 8 for entry in quality.nearest)
    assert "Pairs are crops of 32 px" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("synthetic.count=1", r"synthetic\.count=1; expected a whole number of at least 2"),
        ("synthetic.path=somewhere", r"stage=pairs measures the pairs of a source \(pairs=\.\.\.\); drop synthetic\.path"),
        ("protocol=paper", r"protocol=paper leaves no validation part to measure generated images on"),
        ("translator.quality.steps=3", r"translator\.quality\.steps=3 is no multiple"),
    ],
)
def test_what_cannot_be_measured_is_one_line_before_anything_is_made(tmp_path, compose_tiny, override, message):
    with pytest.raises(InputError, match=message):
        run(compose_tiny(tmp_path, *STAGE, override))
    assert not list(tmp_path.glob("artifacts/*/*"))
