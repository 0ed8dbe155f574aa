"""The page in a real browser: what it shows first, what it loads, keyboard, small screens, dark mode."""

from dataclasses import replace

import pytest
from page_browser import ARGUMENTS, CONTRAST, browser_path, contrast, shown, tab_to, transform_of, wait_for
from page_content import LAYERS, make_gallery, make_page

from rbc_lightning.report.page.page import render

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e .[dev]")

HOSTILE = """<img src=x onerror="window.hacked=1">&#"""
SIZES = [(1280, 800), (390, 844)]


@pytest.fixture(scope="module")
def browser():
    path = browser_path()
    if path is None:
        pytest.skip("no Chromium found: install it, or set RBC_CHROMIUM to its path")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def content():
    first, *others = make_gallery(4, width=320, height=240, n_cells=12)
    return make_page(gallery=(replace(first, sample_id=HOSTILE), *others))


@pytest.fixture(scope="module")
def address(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(content))
    return path.as_uri()


@pytest.fixture
def open_page(browser, address):
    """Open the page in a context of its own; at the end nothing may have been complained of or loaded from elsewhere."""
    opened = []
    problems = []

    def check(request):
        if not request.url.startswith(("data:", address)):
            problems.append(f"request for {request.url}")

    def opener(width=1280, height=800, fragment="", **settings):
        settings = {"viewport": {"width": width, "height": height}, "reduced_motion": "reduce"} | settings
        context = browser.new_context(**settings)
        opened.append(context)
        context.set_default_timeout(5_000)
        page = context.new_page()
        page.on("console", lambda message: problems.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))
        page.on("request", check)
        page.goto(f"{address}{fragment}")
        return page

    yield opener
    for context in opened:
        context.close()
    assert not problems


def order_of(page):
    return page.locator(".shots > li").evaluate_all("items => items.map(item => item.dataset.id)")


def by_score(content, layer, sign=1):
    return [image.sample_id for image in sorted(content.gallery, key=lambda image: sign * image.layers[layer].score)]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_verdict_is_seen_without_scrolling_and_above_the_table(open_page, width, height):
    page = open_page(width, height)
    words = page.locator(".card h3 .word")
    assert [word.strip() for word in words.all_inner_texts()] == ["Cannot tell", "Helps", "Hurts"]
    boxes = [word.bounding_box() for word in words.all()]
    assert all(box["y"] >= 0 and box["y"] + box["height"] <= height for box in boxes)
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= width for box in boxes)
    sizes = words.evaluate_all("words => words.map(word => parseFloat(getComputedStyle(word).fontSize))")
    assert min(sizes) >= 24
    assert page.locator("table").bounding_box()["y"] > max(box["y"] for box in boxes)


def test_every_picture_is_decoded_where_it_is_looked_at(open_page, content):
    page = open_page()
    page.locator("#gallery").scroll_into_view_if_needed()
    page.locator("#cards").scroll_into_view_if_needed()
    wait_for(page, "[...document.images].every(image => image.naturalWidth > 0 || !image.checkVisibility())")
    # Two for each test image, the viewer's two, three cards and sheets: predictions stay in their templates.
    assert page.evaluate("document.images.length") == 2 * len(content.gallery) + 2 + 3
    assert page.evaluate("window.hacked") is None


def test_the_gallery_works_with_the_keyboard_alone(open_page, content):
    page = open_page()
    tab_to(page, ".stage")
    worst = by_score(content, 1)[0]
    images = {image.sample_id: image for image in content.gallery}
    for key in "312645":
        page.keyboard.press(key)
        assert shown(page) == (worst, images[worst].layers[int(key) - 1].overlay)
        assert page.locator("[name=layer]:checked").get_attribute("value") == str(int(key) - 1)
        assert LAYERS[int(key) - 1] in page.locator(".now span").inner_text()
    page.keyboard.press("0")
    assert shown(page) == (worst, None)
    page.keyboard.press("2")
    ranking = by_score(content, 1)
    for key, place in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("ArrowLeft", 0), ("ArrowLeft", -1)):
        page.keyboard.press(key)
        assert shown(page) == (ranking[place], images[ranking[place]].layers[1].overlay)
    wait_for(page, "document.querySelector('.stage .overlay').naturalWidth === 320")
    # A number that stands for no layer changes nothing.
    page.keyboard.press("9")
    assert shown(page)[0] == ranking[-1]


def test_the_keys_are_the_gallerys_while_it_is_in_view_and_nothing_has_the_focus(open_page, content):
    page = open_page()
    assert page.evaluate("document.activeElement === document.body")
    first = shown(page)
    page.keyboard.press("3")
    assert shown(page) == first
    page.locator("#gallery .stage").scroll_into_view_if_needed()
    page.keyboard.press("3")
    worst = by_score(content, 1)[0]
    images = {image.sample_id: image for image in content.gallery}
    assert shown(page) == (worst, images[worst].layers[2].overlay)


def test_a_layer_held_away_comes_back_and_the_slider_fades_it(open_page):
    page = open_page()
    overlay = page.locator(".stage .overlay")
    tab_to(page, ".stage")
    page.keyboard.down("h")
    assert not overlay.is_visible()
    page.keyboard.up("h")
    assert overlay.is_visible()
    tab_to(page, "[name=opacity]")
    for _ in range(40):
        page.keyboard.press("ArrowLeft")
    assert overlay.evaluate("image => getComputedStyle(image).opacity") == "0.6"
    tab_to(page, "[name=hold]")
    page.keyboard.down("Space")
    assert not overlay.is_visible()
    page.keyboard.up("Space")
    assert overlay.is_visible()


def test_radio_buttons_keep_their_arrow_keys(open_page, content):
    page = open_page()
    tab_to(page, "[name=layer]")
    before = shown(page)[0]
    page.keyboard.press("ArrowRight")
    image = next(image for image in content.gallery if image.sample_id == before)
    assert shown(page) == (before, image.layers[2].overlay)


def test_images_are_ordered_by_the_score_of_the_chosen_layer(open_page, content):
    page = open_page()
    for layer in (1, 3, 5):
        page.locator(f"[name=layer][value='{layer}']").check(force=True)
        page.locator("[name=order]").select_option("worst")
        assert order_of(page) == by_score(content, layer)
        page.locator("[name=order]").select_option("best")
        assert order_of(page) == by_score(content, layer, sign=-1)
        figures = [
            f"{next(i for i in content.gallery if i.sample_id == name).layers[layer].score:.3f}" for name in order_of(page)
        ]
        texts = page.locator(".shots .score").all_inner_texts()
        assert [text.split(",")[0] for text in texts] == [f"Dice {figure}" for figure in figures]
    # The truth has no score: the order stays.
    page.locator("[name=layer][value='0']").check(force=True)
    assert order_of(page) == by_score(content, 5, sign=-1)
    page.locator("[name=order]").select_option("name")
    assert order_of(page) == [HOSTILE, "smear_01", "smear_02", "smear_03"]


def test_the_address_remembers_image_and_layer(open_page, content):
    page = open_page()
    page.get_by_role("button", name=f"Show {HOSTILE}").click()
    page.locator("[name=layer][value='3']").check(force=True)
    fragment = page.evaluate("location.hash")
    again = open_page(fragment=fragment)
    assert shown(again) == (HOSTILE, content.gallery[0].layers[3].overlay)
    assert again.evaluate("document.getElementById('gallery').getBoundingClientRect().top") < 100
    strange = open_page(fragment="#image=none&layer=none")
    assert shown(strange)[0] == by_score(content, 1)[0]


def test_a_click_zooms_at_its_point_and_dragging_moves(open_page):
    page = open_page()
    stage = page.locator(".stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    stage.click(position={"x": 20, "y": 10})
    assert transform_of(page) == pytest.approx([4, -60, -30], abs=0.1)
    assert page.locator(".stage .photo").evaluate("image => getComputedStyle(image).imageRendering") == "pixelated"
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 180, steps=4)
    page.mouse.up()
    assert transform_of(page) == pytest.approx([4, -110, -50], abs=0.1)
    stage.click(position={"x": 50, "y": 50})
    assert transform_of(page) == [1, 0, 0]
    page.get_by_role("button", name="Zoom in").click()
    assert transform_of(page)[0] == 2
    # The image's border never leaves the viewer's.
    for _ in range(6):
        page.keyboard.press("Shift+ArrowRight")
    width = stage.evaluate("stage => stage.clientWidth")
    assert transform_of(page)[1] == pytest.approx(-width, abs=1)


def test_two_fingers_zoom(open_page):
    page = open_page(390, 844, has_touch=True)
    stage = page.locator(".stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    touch = page.context.new_cdp_session(page)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def fingers(kind, apart):
        points = [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}] if apart else []
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", 20)
    for apart in (30, 40, 50, 60):
        fingers("touchMove", apart)
    fingers("touchEnd", 0)
    assert transform_of(page)[0] == pytest.approx(3, rel=0.05)


@pytest.mark.parametrize("width", [360, 768])
def test_a_small_screen_scrolls_in_one_direction_only(open_page, width):
    page = open_page(width, 640)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    scroll = page.locator("#table .scroll")
    if width == 360:
        assert scroll.evaluate("box => box.scrollWidth > box.clientWidth")
        scroll.evaluate("box => { box.scrollLeft = 200; }")
    head = page.locator("table tbody th[scope=row]").first.bounding_box()
    assert head["x"] == pytest.approx(scroll.bounding_box()["x"] + 1, abs=1)


def test_what_fingers_meet_is_large_enough(open_page):
    page = open_page(360, 640, has_touch=True)
    controls = page.locator("button, select, input[type=range], .layers label, nav a").all()
    boxes = [(control.evaluate("control => control.outerHTML.slice(0, 80)"), control.bounding_box()) for control in controls]
    assert len(boxes) > 20
    assert not [told for told, box in boxes if box["width"] < 44 or box["height"] < 44]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_background(open_page, scheme):
    page = open_page(color_scheme=scheme)
    selectors = ["body", ".lead", ".note", "td small", ".paper td", "figcaption", "kbd", ".now span", "nav a", ".order"]
    selectors += [
        f".card.{kind} .{part}" for kind in ("unsure", "helps", "hurts") for part in ("word", "columns", "range", "ends")
    ]
    selectors += [".difference.helps", ".difference.hurts", ".field", ".layers small"]
    measured = page.evaluate(CONTRAST, selectors)
    assert {name: ratio for name, *pair in measured if (ratio := contrast(*pair)) < 4.5} == {}
    body = next(background for name, _, background in measured if name == "body")
    assert (contrast(body, "rgb(255, 255, 255)") > 10) == (scheme == "dark")


def test_focus_is_seen(open_page):
    page = open_page()
    for selector in (".stage", "nav a", ".viewer button", ".open"):
        page.evaluate("document.activeElement.blur()")
        tab_to(page, selector)
        assert page.evaluate("getComputedStyle(document.activeElement).outlineWidth") == "3px"


def test_without_scripts_verdict_table_charts_and_truth_are_there(open_page, content):
    page = open_page(java_script_enabled=False)
    assert page.locator(".card h3 .word").first.is_visible()
    assert page.locator("table").is_visible()
    assert page.locator(".chart svg").first.is_visible()
    for kind in ("photo", "overlay"):
        images = page.locator(f".shots .{kind}")
        assert images.count() == len(content.gallery)
        assert all(image.is_visible() for image in images.all())
    assert page.locator(".scores").first.is_visible()
    assert not page.locator(".viewer").is_visible()


def test_printing_shows_all_test_images_and_no_controls(open_page):
    page = open_page(color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert not page.locator(".viewer").is_visible()
    assert not page.locator("nav").is_visible()
    assert all(image.is_visible() for image in page.locator(".shots .overlay").all())
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
