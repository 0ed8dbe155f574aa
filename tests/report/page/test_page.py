import re
from base64 import b64decode, b64encode
from dataclasses import replace
from hashlib import sha256

import pytest
from page_content import LAYERS, make_chart, make_gallery, make_page, make_table
from page_tree import only, parse

from rbc_lightning.report.page.content import Picture
from rbc_lightning.report.page.page import render
from rbc_lightning.study.table2_text import footnotes
from rbc_lightning.study.tables import COLUMNS, OPTIMISTIC, PAPER

HOSTILE = """<script>alert(1)</script>"'><img src=x onerror=alert(2)>&amp;{{ 7 * 7 }}"""
SECTIONS = [
    "verdict",
    "table",
    "bars",
    "learning",
    "sweeps",
    "cards",
    "sheets",
    "gallery",
    "missing",
    "method",
    "sources",
    "cite",
]


@pytest.fixture(scope="module")
def full_page():
    return make_page(missing=("Ratio curve: the gain; +sweep=ratio",))


@pytest.fixture(scope="module")
def full_html(full_page):
    return render(full_page)


@pytest.fixture(scope="module")
def full(full_html):
    return parse(full_html)


def test_sections_come_in_their_order_and_the_navigation_finds_them(full):
    assert [section.attributes["id"] for section in full.all("section")] == SECTIONS
    ids = [element.attributes["id"] for element in full.all("*") if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    links = [link.attributes["href"] for link in full.all("a")]
    assert all(link.removeprefix("#") in ids for link in links)
    labels = [element.attributes["aria-labelledby"] for element in full.all("*") if "aria-labelledby" in element.attributes]
    assert set(labels) <= set(ids)


def test_sections_with_nothing_are_left_out_and_missing_says_how_to_get_them():
    empty = dict.fromkeys(("bars", "learning", "sweeps", "cards", "sheets", "gallery"), ())
    page = parse(render(make_page(**empty, missing=("Gallery: test images; stage=report with the runs' checkpoints",))))
    assert [section.attributes["id"] for section in page.all("section")] == [
        "verdict",
        "table",
        "missing",
        "method",
        "sources",
        "cite",
    ]
    assert only(page.all("section", id="missing")).text.endswith(
        "Gallery: test images; stage=report with the runs' checkpoints"
    )
    assert not list(page.all("img"))
    assert "missing" not in [section.attributes["id"] for section in parse(render(make_page())).all("section")]


def test_every_model_gets_its_verdict_with_reasons_and_what_would_settle_it(full, full_page):
    cards = list(full.all("li", class_="card"))
    words = [(only(card.all("span", class_="model")).text, next(card.all("span", class_="word")).text) for card in cards]
    assert words == [("fcn8s", "Cannot tell"), ("dcan", "Helps"), ("faster_rcnn", "Hurts")]
    assert [card.attributes["class"] for card in cards] == ["card unsure", "card helps", "card hurts"]
    for card, row in zip(cards, full_page.table.rows, strict=True):
        difference = row.answers[0].comparison.difference
        assert f"{row.score} {difference.value:+.4f}".replace("-", "−") in card.text
        assert f"[{difference.low:+.4f}, {difference.high:+.4f}]".replace("-", "−") in card.text
        assert list(card.all("svg", class_="icon"))
    # The remedy is that of the answer's line, which the Markdown table gives as well.
    remedy = full_page.table.rows[0].answers[0].text.partition("; ")[2]
    settle = only(cards[0].all("p", class_="settle")).text
    assert settle.lower() == f"{remedy.lower()}."
    assert not list(cards[1].all("p", class_="settle"))


def test_the_strip_puts_an_interval_on_the_right_side_of_zero(full):
    rects = [only(next(card.all("svg", class_="strip")).all("rect")).attributes for card in full.all("li", class_="card")]
    ends = [(float(r["x"][:-1]), float(r["x"][:-1]) + float(r["width"][:-1])) for r in rects]
    assert ends[0][0] < 50 < ends[0][1]
    assert 50 < ends[1][0] < ends[1][1] <= 96.01
    assert 3.99 <= ends[2][0] < ends[2][1] < 50


def test_where_lower_is_better_the_strip_is_turned_and_said(full_page):
    rows = [replace(row, higher_is_better=False) for row in full_page.table.rows]
    page = parse(render(make_page(table=replace(full_page.table, rows=tuple(rows)))))
    rects = [only(next(card.all("svg", class_="strip")).all("rect")).attributes for card in page.all("li", class_="card")]
    ends = [(float(r["x"][:-1]), float(r["x"][:-1]) + float(r["width"][:-1])) for r in rects]
    # What was right of the middle is left of it.
    assert 3.99 <= ends[1][0] < ends[1][1] < 50 < ends[2][0] < ends[2][1] <= 96.01
    assert "Dice (lower is better), 20 test images" in only(page.all("section", id="table")).text


def test_layers_say_which_way_their_scores_go(full):
    image = make_gallery(1)[0]
    layers = (image.layers[0], replace(image.layers[1], higher_is_better=False))
    page = parse(render(make_page(gallery=(replace(image, layers=layers),))))
    assert len([found for found in page.all("img") if "data-lower" in found.attributes]) == 1
    assert not [found for found in full.all("img") if "data-lower" in found.attributes]


def test_columns_that_were_not_run_are_told_instead_of_a_verdict():
    page = parse(render(make_page(table=make_table(models=("fcn8s",), columns=("rd", "sd", "rd_sd")))))
    card = only(page.all("li", class_="card"))
    assert next(card.all("span", class_="word")).text == "Not run yet"
    told = "Run RD+SD+aug (+experiment=rd_sd_aug) and RD+aug (+experiment=rd_aug) with the same seeds."
    assert only(card.all("p", class_="settle")).text == told
    assert not list(card.all("p", class_="figures"))
    cells = [cell.text for cell in only(page.all("tr", class_="means")).all("td")]
    assert [cell == "–" for cell in cells] == [False, False, True, False, True]


def test_what_makes_all_figures_void_stands_above_them():
    table = replace(make_table(models=("fcn8s",)), caution="these figures mean nothing")
    section = only(parse(render(make_page(table=table))).all("section", id="verdict"))
    assert only(section.all("p", class_="warning")).text == "These figures mean nothing."
    assert section.text.index("mean nothing") < section.text.index("fcn8s")
    assert not list(parse(render(make_page())).all("p", class_="warning"))


def test_with_one_seed_a_cell_says_so():
    section = only(parse(render(make_page(table=make_table(models=("dcan",), seeds=(0,))))).all("section", id="table"))
    assert "one seed" in section.text
    assert "cannot tell" not in section.text


def test_whose_luck_the_spread_is_stands_on_the_card():
    table = make_table(models=("fcn8s",))
    rows = (replace(table.rows[0], luck=("of the spread, training seed 40 %",)),)
    card = only(parse(render(make_page(table=replace(table, rows=rows)))).all("li", class_="card"))
    assert only(card.all("p", class_="bound")).text == "Of the spread, training seed 40 %."


def test_models_without_the_columns_come_last_and_get_no_empty_lines():
    runs = [make_table(models=("dcan",), columns=("rd_aug",)), make_table(models=("fcn8s",))]
    table = replace(runs[1], rows=runs[0].rows + runs[1].rows)
    page = parse(render(make_page(table=table)))
    assert [model.text for model in page.all("span", class_="model")] == ["fcn8s", "dcan"]
    lines = [[next(line.all("th")).text for line in body.all("tr")] for body in page.all("tbody")]
    assert [sum(line.startswith("against") for line in body) for body in lines] == [0, 2]


def test_one_image_has_no_interval_to_draw():
    page = parse(render(make_page(table=make_table(models=("fcn8s",), n_images=1))))
    assert not list(page.all("svg", class_="strip"))
    assert "[−inf, +inf]" in only(page.all("li", class_="card")).text


def test_the_table_has_means_differences_and_the_papers_figures(full, full_page):
    row = full_page.table.rows[0]
    body = next(only(full.all("table")).all("tbody"))
    lines = {next(line.all("th")).text: [cell.text for cell in line.all("td")] for line in body.all("tr")}
    assert list(lines) == [
        "fcn8s",
        "Dice",
        "against RD+aug",
        "against RD",
        "Bailo et al. 2019 (another data set: not comparable)",
    ]
    entries = [row.entries[column] for column in COLUMNS]
    assert lines["Dice"] == [f"{entry.mean:.3f} ± {entry.spread:.3f} 3 seeds" for entry in entries]
    found = row.comparisons["rd_sd", "rd_aug"]
    d = found.difference
    told = f"▼ {d.value:+.4f} worse [{d.low:+.4f}, {d.high:+.4f}] p = {found.p:.3f} ‡".replace("-", "−")
    assert lines["against RD+aug"][3] == told
    assert lines["against RD+aug"][2] == lines["against RD"][0] == "–"
    assert lines["against RD"][1].startswith("▼ −")
    assert lines["Bailo et al. 2019 (another data set: not comparable)"] == [f"{value:.3f}" for value in PAPER["fcn8s"][1]]
    assert [th.text for th in next(full.all("thead")).all("th")] == ["Trained on", *COLUMNS.values()]


def test_optimistic_figures_are_marked_and_said():
    page = parse(render(make_page(table=make_table(models=("fcn8s",), optimistic=True))))
    assert all("†" in cell.text for cell in only(page.all("tr", class_="means")).all("td"))
    assert OPTIMISTIC in only(page.all("li", class_="card")).text.lower()
    assert f"† {OPTIMISTIC}" in only(page.all("section", id="table")).text
    assert "†" not in render(make_page())


def test_notes_sources_and_citation_close_the_page(full, full_page):
    notes = [item.text for item in only(full.all("section", id="method")).all("li")]
    assert notes == [" ".join(note.split()) for note in footnotes(full_page.table)]
    assert [item.text for item in only(full.all("section", id="sources")).all("li")] == list(full_page.sources)
    assert "Bailo, D. Ham and Y. M. Shin" in only(full.all("section", id="cite")).text
    assert "Novoselov" not in only(full.all("section", id="cite")).text  # of slices alone


def test_hostile_names_stay_text():
    image = make_gallery(1)[0]
    layers = (image.layers[0], replace(image.layers[1], name=HOSTILE, score_name=HOSTILE))
    html = render(
        make_page(
            title=HOSTILE,
            table=make_table(models=(HOSTILE,), left_out=(HOSTILE,)),
            gallery=(replace(image, sample_id=HOSTILE, layers=layers),),
            cards=(Picture(HOSTILE, image.data, "image/jpeg", HOSTILE),),
            bars=(replace(make_chart("fine"), title=HOSTILE, caption=HOSTILE),),
            sources=(HOSTILE,),
            missing=(HOSTILE,),
        )
    )
    page = parse(html)
    assert len(list(page.all("script"))) == 1
    assert not [key for element in page.all("*") for key in element.attributes if key.startswith("on")]
    shown = [
        only(page.all("h1")),
        only(page.all("span", class_="model")),
        next(only(page.all("section", id="sources")).all("li")),
    ]
    assert [element.text for element in shown] == [HOSTILE] * 3
    assert [item.attributes["data-id"] for item in page.all("li") if "data-id" in item.attributes] == [HOSTILE]
    assert only(only(page.all("section", id="cards")).all("img")).attributes["alt"] == f"{HOSTILE}: {HOSTILE}"


def test_nothing_is_loaded_from_elsewhere(full, full_html):
    for element in full.all("*"):
        assert "url(" not in (element.attributes.get("style") or "")
        for key in ("src", "href", "srcset", "poster", "data", "action", "xlink:href"):
            value = element.attributes.get(key) or "#"
            assert value.startswith(("data:", "#")), f"<{element.tag} {key}={value[:80]}>"
    assert not re.search(r"url\(|@import|image-set\(", only(full.all("style")).text)
    assert not re.search(r"fetch\(|XMLHttpRequest|WebSocket|import[ (]|sendBeacon", only(full.all("script")).text)
    assert set(re.findall(r"https?://[^\s\"'<>]*", full_html)) <= {"http://www.w3.org/2000/svg"}


def test_the_policy_lets_this_script_alone_run(full):
    policy = next(full.all("meta", http_equiv="Content-Security-Policy")).attributes["content"]
    script = "".join(only(full.all("script")).children)
    assert f"script-src 'sha256-{b64encode(sha256(script.encode()).digest()).decode()}';" in policy
    assert policy.startswith("default-src 'none';")


def test_every_picture_is_embedded_once_and_decodes_to_what_was_given(full, full_html, full_page):
    uris = [image.attributes["src"] for image in full.all("img") if "src" in image.attributes]
    decoded = [(uri.split(";")[0], b64decode(uri.partition("base64,")[2], validate=True)) for uri in uris]
    expected = [(f"data:{picture.media_type}", picture.data) for picture in (*full_page.cards, *full_page.sheets)]
    for image in full_page.gallery:
        expected += [("data:image/jpeg", image.data), *(("data:image/png", layer.overlay) for layer in image.layers)]
    assert decoded == expected
    for uri in {*uris[3:]}:
        assert full_html.count(uri) == 1
    icon = next(full.all("link", rel="icon")).attributes["href"]
    assert parse(b64decode(icon.partition("base64,")[2]).decode()).children[0].tag == "svg"


def test_cards_and_sheets_are_there_when_printed_unseen(full):
    pictures = [image for key in ("cards", "sheets") for image in only(full.all("section", id=key)).all("img")]
    assert pictures
    # A large picture that is decoded apart is left out of what is drawn at once.
    assert not any({"loading", "decoding"} & {*image.attributes} for image in pictures)


def test_predictions_lie_in_inert_templates_with_their_scores(full, full_page):
    for item, image in zip((li for li in full.all("li") if "data-id" in li.attributes), full_page.gallery, strict=True):
        visible = only(only(item.all("figure")).all("img", class_="overlay"))
        assert (visible.attributes["data-layer"], visible.attributes["alt"]) == ("0", "truth")
        stored = [found.attributes for found in only(item.all("template")).all("img")]
        assert [found["alt"] for found in stored] == list(LAYERS[1:])
        assert [float(found["data-score"]) for found in stored] == [layer.score for layer in image.layers[1:]]
        assert [found.get("data-cells") for found in stored] == [None, "38", "39", "40", "41"]
        assert all(found["loading"] == "lazy" for found in stored)
        told = [line.text for line in only(item.all("ul", class_="scores")).all("li")]
        assert told[:2] == ["truth, 40 cells", f"fcn8s RD+aug: Dice {image.layers[1].score:.3f}"]


def test_the_page_weighs_little_more_than_its_pictures(full_html, full_page):
    pictures = [picture.data for picture in (*full_page.cards, *full_page.sheets)]
    pictures += [data for image in full_page.gallery for data in (image.data, *(layer.overlay for layer in image.layers))]
    own = len(full_html) - sum(len(b64encode(data)) for data in pictures)
    assert 0 < own < 100_000


def test_the_same_content_gives_the_same_page(full_html):
    assert render(make_page(missing=("Ratio curve: the gain; +sweep=ratio",))) == full_html


@pytest.mark.parametrize(
    ("svg", "problem"),
    [
        ("<svg><rect></svg>", "expected one well-formed <svg> element"),
        ("<p>no</p>", "got <p>, expected one <svg> element"),
        ('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "<script> could run or load something"),
        ('<svg onload="alert(1)"/>', "<svg> could run or load something"),
        ('<svg><use href="https://example.org/x.svg#a"/></svg>', "<use> could run or load something"),
    ],
)
def test_a_chart_that_is_no_plain_drawing_is_refused(svg, problem):
    with pytest.raises(ValueError, match=f"chart 'bad': .*{re.escape(problem)}"):
        render(make_page(bars=(replace(make_chart("bad"), svg=svg),)))


def test_a_picture_that_cannot_be_read_is_refused():
    with pytest.raises(ValueError, match=r"picture 'Card': .*expected PNG or JPEG bytes"):
        render(make_page(cards=(Picture("Card", b"no picture", "image/png", ""),)))


def test_a_gallery_image_without_layers_is_refused():
    with pytest.raises(ValueError, match="gallery image smear_00 has no layers; expected the truth first"):
        render(make_page(gallery=(replace(make_gallery(1)[0], layers=()),)))
