from page_content import make_chart, make_table
from page_tree import parse

from rbc_lightning.report.page.content import Page, Picture
from rbc_lightning.report.page.page import render


def test_a_page_begins_with_its_table_alone_and_shares_nothing_with_another():
    first, second = (Page("Does it help?", make_table(models=("fcn8s",))) for _ in "ab")
    first.missing.append("gallery: no predictions")
    first.cards.append(Picture("Card", b"", "image/png", "A card."))
    assert (second.missing, second.cards, second.sheets, second.gallery, second.sources) == ([], [], [], [], [])
    sections = [section.attributes["id"] for section in parse(render(second)).all("section")]
    assert sections == ["verdict", "table", "method", "sources", "cite"]


def test_what_is_added_to_a_page_is_shown_on_it():
    page = Page("Does it help?", make_table(models=("fcn8s",)), sweeps=[make_chart("Share of synthetic samples")])
    page.missing.append("gallery: no predictions")
    sections = [section.attributes["id"] for section in parse(render(page)).all("section")]
    assert sections == ["verdict", "table", "sweeps", "missing", "method", "sources", "cite"]
