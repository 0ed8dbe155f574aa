"""Cards and sheets, found for runs written by hand in a store written by hand."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from page_content import make_page
from page_samples import Access, make_samples
from PIL import Image
from run_records import changed, write_run

from rbc_lightning.report.page.cards import add_cards, data_overrides
from rbc_lightning.report.page.pictures import encode_png
from rbc_lightning.study.collect import collect_runs

COMMAND = ["data=folder", "data.name=smears", "data.root=/here", "scale=tiny"]
SHEETS = ["Test masks, real and generated images", "One mask in every style", "Several images of one mask"]


@pytest.fixture
def place(tmp_path):
    """Runs with and without synthetic samples, and a store with what the one with them used."""
    used = {"artifacts": {"translator": "t1", "synthetic": "s1"}, "keys": {"masks": "m1"}, "command": COMMAND}
    write_run(tmp_path / "runs", "all", "rd_sd_aug", **used)
    write_run(tmp_path / "runs", "rd", "rd")
    return tmp_path


def artifact(place, kind, key, *, inputs=None, **files):
    directory = place / "artifacts" / kind / key
    directory.mkdir(parents=True)
    (directory / "lineage.json").write_text(json.dumps({"inputs": inputs or {}}))
    for name, content in files.items():
        (directory / name.replace("__", ".")).write_bytes(content)
    return directory


def picture(height=30, width=40):
    return encode_png(np.full((height, width, 3), 70, dtype=np.uint8))


def gather(place, real=(), artifacts=None):
    access = Access(pairs=make_samples("s0", "s1"))
    page = make_page(cards=[], sheets=[], sources=[], missing=[])
    add_cards(page, access.as_run_access(), artifacts or place / "artifacts", collect_runs(place / "runs").runs, real)
    return page


def missing(found, start):
    (line,) = (line for line in found.missing if line.startswith(start))
    return line


def test_what_is_missing_comes_with_the_command_that_makes_it(place):
    found = gather(place)
    assert (found.cards, found.sheets, found.sources) == ([], [], [])
    for start, stage in (
        ("layout card", "masks fit=true figure=true"),
        ("quality card", "translator"),
        ("synthetic smears", "synthesize"),
    ):
        command = f"python -m rbc_lightning stage={stage} {' '.join(COMMAND)} seed=0 artifacts_dir={place}/artifacts"
        assert f"{command}   # and what else all/config.yaml sets" in missing(found, start)


def test_without_synthetic_samples_one_line_says_so(tmp_path):
    write_run(tmp_path / "runs", "rd", "rd")
    (line,) = gather(tmp_path).missing
    assert "no run of this table used synthetic samples; +experiment=rd_sd_aug trains one that does" in line


def test_the_layout_card_is_that_of_the_very_source_of_label_maps(place):
    card = b"statistic  distance\narea  0.5\n"
    artifact(place, "mask_set", "k1", inputs={"masks": "another"}, layout_card__txt=card)
    found = gather(place)
    assert found.cards == []
    artifact(place, "mask_set", "k2", inputs={"masks": "m1"}, layout_card__txt=card, placement__png=picture())
    artifact(place, "mask_set", "k3", inputs={"masks": "m1"})
    found = gather(place)
    assert [one.title for one in found.cards] == ["Layout card"]
    assert [one.title for one in found.sheets] == ["Where cells are placed"]
    assert found.sources == ["layout card: masks k2"]


def test_cards_and_sheets_of_the_translator_are_shown_no_wider_than_a_screen(place):
    sheets = {"translations__png": picture(), "styles__png": picture(), "structures__png": picture()}
    artifact(place, "translator", "t0", quality_card__png=picture())
    artifact(place, "translator", "t1", quality_card__png=picture(30, 2000), **sheets)
    found = gather(place)
    assert [one.title for one in found.cards] == ["Quality card"]
    assert Image.open(io.BytesIO(found.cards[0].data)).size == (1600, 24)
    assert [one.title for one in found.sheets] == SHEETS
    assert found.sources == ["quality card: translator t1"]


def test_pairs_are_drawn_with_cells_of_real_images_below(place):
    artifact(place, "synthetic", "s1", manifest__csv=b"")
    found = gather(place, real=make_samples("x"))
    assert [one.title for one in found.sheets] == ["Synthetic smears", "Synthetic cells"]
    assert found.sheets[1].caption == "Above: synthetic. Below: of the real test images; pairs of seed 0"
    assert found.sources == ["synthetic smears and cells: pairs s1"]
    heights = [Image.open(io.BytesIO(one.data)).size[1] for one in (found.sheets[1], gather(place).sheets[1])]
    assert heights[0] > 1.9 * heights[1]


def test_pairs_and_translators_given_by_path_are_looked_for_there(place):
    settings = changed(translator__path=str(place / "mine"), synthetic__path=None)
    write_run(place / "runs", "given", "rd_sd_aug", 1, settings=settings)
    (place / "mine").mkdir()
    (place / "mine" / "quality_card.png").write_bytes(picture())
    assert gather(place).sources == ["quality card: translator mine"]
    settings = changed(translator__path=str(place / "mine"), synthetic__path=str(place / "pairs"))
    write_run(place / "runs", "pairs", "rd_sd_aug", 2, settings=settings)
    (place / "pairs").mkdir()
    (place / "pairs" / "manifest.csv").touch()
    assert "synthetic smears and cells: pairs pairs" in gather(place).sources


def test_a_store_that_was_moved_is_found_where_the_run_kept_it(place):
    settings = {**changed(), "artifacts_dir": str(place / "artifacts")}
    used = {"artifacts": {"translator": "t1", "synthetic": "s1"}}
    write_run(place / "runs", "all2", "rd_sd_aug", 1, settings=settings, **used)
    artifact(place, "translator", "t1", quality_card__png=picture())
    found = gather(place, artifacts=place / "elsewhere")
    assert found.sources == ["quality card: translator t1"]


def test_a_damaged_card_is_named_and_hides_nothing_else(place):
    artifact(place, "translator", "t1", quality_card__png=picture()[:40])
    artifact(place, "synthetic", "s1", manifest__csv=b"")
    found = gather(place)
    assert missing(found, "quality card").startswith("quality card: cannot be shown: ")
    assert len(found.sheets) == 2


def test_a_run_that_recorded_no_command_has_none(place):
    everything, real_alone = collect_runs(place / "runs").runs
    assert data_overrides(everything) == "data=folder data.name=smears data.root=/here scale=tiny"
    assert data_overrides(real_alone) == ""


def test_commands_name_all_folds_where_they_are_given(place):
    run = replace(collect_runs(place / "runs").runs[0], metrics={"command": ["data=mri", "data.folds=3", "data.fold=1"]})
    assert data_overrides(run) == "data=mri data.folds=3 data.fold=1"
    assert data_overrides(run, (0, 1)) == "data=mri data.folds=3 data.fold=0,1"


def test_of_each_source_of_pairs_the_card_and_the_pairs_are_shown(place):
    for name, key in (("wgan_gp", "p1"), ("dcgan", "p2")):
        pairs = {"_target_": "rbc_lightning.pairs.gan.recipe.GanPairs", "name": name}
        used = {"artifacts": {"pair_gan": f"g{key}", "synthetic": f"s{key}"}, "keys": {"pairs": key}, "command": COMMAND}
        write_run(place / "runs", name, "rd_sd", settings={**changed(), "pairs": pairs}, **used)
        artifact(place, "synthetic", f"s{key}", manifest__csv=b"")
    artifact(place, "pair_quality", "q1", inputs={"pairs": "p1"}, quality_card__png=picture())
    found = gather(place)
    assert [one.title for one in found.cards] == ["Quality card of wgan_gp"]
    assert "quality card of wgan_gp: pair_quality q1" in found.sources
    assert [one.title for one in found.sheets] == ["Synthetic smears", "Synthetic cells"] * 2
    assert "stage=pairs data=folder" in missing(found, "quality card of dcgan, how near synthetic pairs come to real ones")
