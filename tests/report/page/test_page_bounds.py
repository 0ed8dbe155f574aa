"""Floor and pooled scores on the page."""

import pytest
from page_content import make_page, make_table
from page_tree import parse
from run_records import make_pooled

from rbc_lightning.report.page.bars import bars_with_intervals
from rbc_lightning.report.page.page import render
from rbc_lightning.study.choose import RunGroups
from rbc_lightning.study.table2 import build_table2
from rbc_lightning.study.tables import COLUMNS


@pytest.fixture(scope="module")
def table():
    return make_table(floor=True)


def test_the_verdict_card_names_the_floor_and_what_it_means(table):
    page = parse(render(make_page(table=table, gallery=())))
    said = [line.text for line in page.all("p", class_="bound")]
    figures = {row.model: row.floor.figure for row in table.rows}
    assert f"Without training AP50 {figures['dcan']}." in said
    sentence = "a threshold does as well: this data set cannot show what training data are worth (SD: worse than without)."
    assert f"Without training Dice {figures['fcn8s']}; {sentence}" in said
    assert not list(parse(render(make_page())).all("p", class_="bound"))


def test_the_table_has_a_line_of_the_floor_and_differences_with_it(table):
    html = render(make_page(table=table, gallery=()))
    assert html.count('<th scope="row">without training (threshold)</th>') == 3
    assert html.count('<th scope="row">against no training</th>') == 3
    assert f'<td colspan="5">Dice {table.rows[0].floor.figure}</td>' in html
    assert "against no training" not in render(make_page())


def test_pooled_scores_stand_on_card_and_table_where_they_answer():
    runs = {column: {seed: make_pooled("dcan", column, seed) for seed in range(3)} for column in COLUMNS}
    table = build_table2(RunGroups("smears", {"dcan": runs}, ()))
    bars = [bars_with_intervals(row) for row in table.rows]
    html = render(make_page(table=table, gallery=(), bars=bars))
    assert "<b>AP50 pooled +0.00" in html
    assert html.count('<th scope="row">against RD</th>') == 2
    assert '<tr class="means"><th scope="row">AP50 pooled</th>' in html
    assert "AP50, pooled" not in html
