"""How charts tell series apart: a colour and a mark for each column of Table 2, intervals of differences, and legends."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rbc_lightning.report.content import Chart
from rbc_lightning.report.statistics import Difference
from rbc_lightning.report.svg import DASHES, WIDTH, drawing, mark, polyline, words
from rbc_lightning.report.table2 import TITLES

_LIGHT = ("#2469b8", "#c98500", "#0f9d7a", "#c667a8", "#b8381f", "#5b6472", "#8a6d3b")
_DARK = ("#6aa5f0", "#e8a72c", "#35c79f", "#e08cc6", "#f0745c", "#a3adbb", "#cdb27c")
_LETTER = 6.9  # a legend's mean width of a letter, in units of the viewBox
_ROW = 18.0

COLORS = {column: f"var(--series-{k}, {color})" for k, (column, color) in enumerate(zip(TITLES, _LIGHT, strict=True), 1)}
"""Fills and strokes by column: a variable of the page, or a colour that readers with any colour vision tell apart on white."""
MARKS = dict(zip(TITLES, ("circle", "square", "triangle", "down", "diamond", "bar", "flat"), strict=True))
PLAIN = "currentColor"


def _variables(colors: Sequence[str]) -> str:
    return ":root{" + "".join(f"--series-{place}:{color};" for place, color in enumerate(colors, 1)) + "}"


STYLE = f"{_variables(_LIGHT)}@media (prefers-color-scheme:dark){{{_variables(_DARK)}}}"
"""The variables as CSS, with brighter colours for a dark page."""


@dataclass(frozen=True)
class Key:
    """An entry of a legend: a mark, a line (solid or dashed), or both."""

    text: str
    color: str
    shape: str | None = None
    filled: bool = True
    line: str | None = None
    """None for no line, "" for a solid one, else the pattern of its dashes."""


def legend(keys: Iterable[Key], y: float) -> tuple[str, float]:
    """A legend in as many rows as it needs, the first with its base line at y; returns it and where the next row would be."""
    x, drawn = 0.0, []
    for key in keys:
        width = 22 + _LETTER * len(key.text) + 16
        if x and x + width - 16 > WIDTH:
            x, y = 0.0, y + _ROW
        if key.line is not None:
            drawn.append(polyline(((x, y - 4), (x + 18, y - 4)), color=key.color, dash=key.line or None))
        if key.shape:
            drawn.append(mark(key.shape, x + 9, y - 4, key.color, filled=key.filled, size=4.5))
        drawn.append(words(x + 24, y, key.text, size=11.5))
        x += width
    return "".join(drawn), y + (_ROW if drawn else 0.0)


def leaves_out_zero(difference: Difference) -> bool:
    """Whether the interval is wholly on one side of 0."""
    return difference.low > 0 or difference.high < 0


def interval_keys(differences: Sequence[Difference]) -> list[Key]:
    """What the marks and whiskers of these differences mean, as far as they occur."""
    keys = []
    if any(leaves_out_zero(difference) for difference in differences):
        keys.append(Key("interval leaves out 0", PLAIN, "circle"))
    if any(not leaves_out_zero(difference) for difference in differences):
        keys.append(Key("interval holds 0", PLAIN, "circle", filled=False))
    if any(difference.seed_degrees == 0 for difference in differences):
        keys.append(Key("dashed: one seed, tells of other images only", PLAIN, line=DASHES))
    return keys


def blank(title: str, why: str) -> Chart:
    """A chart in whose place there is nothing to draw, with the reason."""
    return Chart(title, drawing(title, 40, [words(0, 24, why, dim=True)]), why)
