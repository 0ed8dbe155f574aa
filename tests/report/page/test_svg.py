from xml.etree import ElementTree

import pytest

from rbc_lightning.report.page.svg import Scale, axis_below, drawing, element, labels, mark, path, scale_around, whisker, words

INF = float("inf")


def test_a_scale_lays_values_evenly_and_puts_those_beyond_on_its_ends():
    scale = Scale(0.9, 1.0, 100, 300)
    assert [scale(value) for value in (0.9, 0.925, 1.0, 0.5, INF, -INF)] == pytest.approx([100, 150, 300, 100, 300, 100])
    downwards = Scale(0.0, 10.0, 200, 0)
    assert downwards(2.5) == 150


def test_a_scale_of_logarithms_lays_doublings_evenly():
    scale = Scale(5, 40, 0, 300, log=True)
    assert [scale(value) for value in (5, 10, 20, 40)] == pytest.approx([0, 100, 200, 300])


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0.0, 1.0, 5, [0.0, 0.5, 1.0]),
        (-0.004, 0.011, 4, [0.0, 0.005, 0.01]),
        (0.948, 0.966, 5, [0.95, 0.955, 0.96, 0.965]),
        (3.0, 3.0, 5, [3.0]),
        (0.0, 600.0, 5, [0.0, 200.0, 400.0, 600.0]),
    ],
)
def test_ticks_are_round_values_within_the_scale(low, high, most, expected):
    assert Scale(low, high, 0, 1).ticks(most) == pytest.approx(expected)


def test_ticks_of_logarithms_are_1_2_5_or_round_values_within_less_than_a_decade():
    assert Scale(0.015, 1.5, 0, 1, log=True).ticks(7) == pytest.approx([0.02, 0.05, 0.1, 0.2, 0.5, 1.0])
    assert Scale(0.015, 1.5, 0, 1, log=True).ticks(3) == pytest.approx([0.02, 0.1, 0.5])
    assert Scale(0.31, 0.42, 0, 1, log=True).ticks(4) == pytest.approx([0.35, 0.4])


def test_a_scale_around_values_has_room_and_needs_no_values():
    scale = scale_around([1.0, 3.0, INF, float("nan")], 0, 1, margin=0.1)
    assert (scale.low, scale.high) == pytest.approx((0.8, 3.2))
    same = scale_around([0.9], 0, 1)
    assert (same.low, same.high) == pytest.approx((0.891, 0.909))
    assert (scale_around([], 0, 1).low, scale_around([0.0], 0, 1).high) == (0.0, 1e-3)
    decade = scale_around([1.0, 100.0], 0, 1, log=True, margin=0.5)
    assert (decade.low, decade.high) == pytest.approx((0.1, 1000.0))


def test_labels_have_the_decimals_that_tell_ticks_apart():
    assert labels([0.95, 0.955, 0.96]) == ["0.950", "0.955", "0.960"]
    assert labels([-0.01, 0.0, 0.01], signed=True) == ["−0.01", "0", "+0.01"]
    assert labels([0, 200, 400]) == ["0", "200", "400"]
    assert labels([0.9]) == ["0.9"]
    assert labels([]) == []


def test_whatever_a_name_holds_it_stays_text():
    name = "<b>&\"x'"
    svg = drawing(name, 10, [words(0, 5, name), mark("diamond", 1, 1, "red", title=name), element("g", data_name=name)])
    root = ElementTree.fromstring(svg)
    space = "{http://www.w3.org/2000/svg}"
    assert [node.text for node in root.iter(f"{space}title")] == [name, name]
    assert root.find(f"{space}text").text == name
    assert root.find(f"{space}g").get("data-name") == name
    assert (root.get("viewBox"), root.get("role")) == ("0 0 380 10", "img")


def test_numbers_are_rounded_to_a_tenth():
    assert element("circle", cx=1.0, cy=-0.04, r=2.25001) == '<circle cx="1" cy="0" r="2.3"/>'
    assert path([(0, 0), (1.04, 2.06)], [(3, 3), (4, 4)]) == "M0 0L1 2.1M3 3L4 4"


def test_a_whisker_leaves_room_for_its_mark():
    root = ElementTree.fromstring(whisker((10, 5), (60, 5), (40, 5), "red", gap=7))
    assert [node.get("d") for node in root] == ["M33 5L10 5M47 5L60 5", "M10 1.5L10 8.5M60 1.5L60 8.5"]
    dashed = ElementTree.fromstring(whisker((5, 0), (5, 30), (5, 2), "red", dashed=True))
    assert dashed[0].get("d") == "M5 9L5 30"
    assert dashed[0].get("stroke-dasharray")
    # Within the mark there is nothing to draw but the caps.
    assert len(ElementTree.fromstring(whisker((5, 0), (5, 4), (5, 2), "red"))) == 1


@pytest.mark.parametrize(
    ("ticks", "shown"),
    [
        ([0.0, 0.00005, 0.0001], ["0", "+0.00010"]),
        ([0.0, 0.05, 0.1], ["0", "+0.05", "+0.10"]),
        ([0.1], ["+0.1"]),
        ([], []),
    ],
)
def test_labels_that_would_meet_leave_the_later_one(ticks, shown):
    scale = Scale(0.0, max(ticks, default=1.0), 0.0, 90.0)
    drawn = ElementTree.fromstring(f"<g>{axis_below(scale, 50, ticks, labels(ticks, signed=True), 10)}</g>")
    assert [text.text for text in drawn.iter("text")] == shown
