import dataclasses
import math

import pytest
from matplotlib.image import imread
from pair_helpers import SPEC, brain, measured, real
from rich.console import Console

from rbc_lightning.evaluation.pair_quality.compare import compare
from rbc_lightning.evaluation.pair_quality.layout import Distances
from rbc_lightning.report.figures.pair_quality import (
    HEAD,
    LAYOUT_HEAD,
    layout_cells,
    pair_tables,
    quality_cells,
    save_layout_card,
    save_quality_card,
)


@pytest.fixture(scope="module")
def quality():
    pairs = [brain((19, 12, 3)), brain((4, 12, 4), (30, 20, 2), seed=2), brain(seed=1)]
    seen = tuple(dataclasses.replace(pair, found=pair.mask) for pair in measured(*pairs))
    return compare(seen, real(*pairs), dataclasses.replace(real(*pairs), pairs=seen), SPEC, 0)


def test_every_number_of_a_layout_row_has_its_place(quality):
    apart = {"generated": Distances(4, 7), "val": Distances(5, 8), "one_patient": Distances(6, math.nan)}
    row = dataclasses.replace(quality.layout[0], mean=1, mean_train=2, mean_val=250.4, **apart)
    (cells, *_) = layout_cells(dataclasses.replace(quality, layout=(row,)))
    assert cells == ("empty masks (share)", "1", "2", "250", "4", "5", "6", "7", "8", "-")
    assert len(cells) == len(LAYOUT_HEAD)


def test_every_number_of_the_images_has_its_place(quality):
    novelty = dataclasses.replace(quality.novelty, images=0.11, masks=0.12, twins=0.13, nearest=0.14, rmse=0.15, cells=0.16)
    shown = dataclasses.replace(quality, novelty=novelty, near_1=0.25, near_5=math.nan)
    rows = {row[0]: row[1:] for row in quality_cells(shown)}
    assert [rows[name][0] for name in list(rows)[3:9]] == ["0.110", "0.120", "0.130", "0.140", "0.150", "0.160"]
    assert rows["images nearer than 1 % (5 %)"] == ("25 % (-)", "1 % (5 %)", "")
    assert rows["nearest other image"][1] == ""
    assert {len(row) for row in rows.values()} == {len(HEAD) - 1}


def test_the_tables_fit_eighty_columns_and_tell_what_stands_out(quality):
    console = Console(width=80, record=True)
    for table in pair_tables(dataclasses.replace(quality, near_1=0.5)):
        console.print(table)
    text = console.export_text()
    assert "3 synthetic pairs beside 3 of train and 3 of validation" in text
    assert "Memorised: 50 % of the images" in text
    assert "…" not in text


def test_cards_are_drawn_also_where_nothing_could_be_measured(tmp_path, quality):
    empty = compare(measured(brain(), brain(seed=1)), real(brain(), brain()), real(), SPEC, 0)
    for number, each in enumerate((quality, empty)):
        save_layout_card(tmp_path / f"layout_{number}.png", each)
        save_quality_card(tmp_path / f"quality_{number}.png", each)
        assert imread(tmp_path / f"quality_{number}.png").std() > 0.05
    assert len(list(tmp_path.iterdir())) == 4
