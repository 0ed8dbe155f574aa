"""How series differ in charts: a colour and a mark for each column of Table 2, intervals, and legends."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rbc_lightning.report.page.content import Chart
from rbc_lightning.report.page.svg import DASHES, WIDTH, Scale, drawing, mark, polyline, scale_around, whisker, words
from rbc_lightning.study.rows import TableEntry
from rbc_lightning.study.statistics import Difference
from rbc_lightning.study.tables import TITLES

_LIGHT = ("#2469b8", "#c98500", "#0f9d7a", "#c667a8", "#b8381f", "#5b6472", "#8a6d3b")
_DARK = ("#6aa5f0", "#e8a72c", "#35c79f", "#e08cc6", "#f0745c", "#a3adbb", "#cdb27c")
_LETTER = 6.9  # a legend's mean width of a letter, in units of the viewBox
_ROW = 18.0

COLORS = {column: f"var(--series-{k}, {color})" for k, (column, color) in enumerate(zip(TITLES, _LIGHT, strict=True), 1)}
"""Fills and strokes by column: a variable of the page, or a colour that is distinct on white with any colour vision."""
MARKS = dict(zip(TITLES, ("circle", "square", "triangle", "down", "diamond", "bar", "flat"), strict=True))
PLAIN = "currentColor"


STYLE = "".join(
    frame % "".join(f"--series-{place}:{color};" for place, color in enumerate(colors, 1))
    for frame, colors in ((":root{%s}", _LIGHT), ("@media (prefers-color-scheme:dark){:root{%s}}", _DARK))
)
"""The variables as CSS, with brighter colours for a dark page."""


@dataclass(frozen=True)
class Key:
    """An entry of a legend: a mark, a line (solid or dashed), both, or text alone."""

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
        indent = 24 if key.shape or key.line is not None else 0
        width = indent + _LETTER * len(key.text) + 14
        if x and x + width - 16 > WIDTH:
            x, y = 0.0, y + _ROW
        if key.line is not None:
            drawn.append(polyline(((x, y - 4), (x + 18, y - 4)), color=key.color, dash=key.line or None))
        if key.shape:
            drawn.append(mark(key.shape, x + 9, y - 4, key.color, filled=key.filled, size=4.5))
        drawn.append(words(x + indent, y, key.text, size=11.5))
        x += width
    return "".join(drawn), y + (_ROW if drawn else 0.0)


def interval_keys(differences: Sequence[Difference]) -> list[Key]:
    """What the marks and whiskers of these differences mean, as far as they occur."""
    apart = {_leaves_out_zero(difference) for difference in differences}
    keys = [Key("interval leaves out 0", PLAIN, "circle")] if True in apart else []
    keys += [Key("interval holds 0", PLAIN, "circle", filled=False)] if False in apart else []
    if any(difference.n_seeds < 2 for difference in differences):
        keys.append(Key("dashed: one seed, tells of other images only", PLAIN, line=DASHES))
    return keys


def interval(
    column: str, found: Difference | TableEntry, scale: Scale, at: float, title: str, *, upright: bool = False, size: float = 5
) -> str:
    """The mark of a column with its whisker, along a scale; hollow where a difference may be 0, dashed with one seed."""
    start, middle, end = ((at, scale(value)) if upright else (scale(value), at) for value in _ends(found))
    dashed = isinstance(found, Difference) and found.n_seeds < 2
    filled = not isinstance(found, Difference) or _leaves_out_zero(found)
    line = whisker(start, end, middle, COLORS[column], dashed=dashed) if start != end else ""
    return line + mark(MARKS[column], *middle, COLORS[column], filled=filled, title=title, size=size)


def score_scale(
    shown: Iterable[Difference | TableEntry | float], worse: float, better: float, *, higher_is_better: bool
) -> Scale:
    """A scale that holds scores or their differences, better ones towards one end."""
    values = (value for one in shown for value in ([one] if isinstance(one, float) else _ends(one)))
    return scale_around(values, *((worse, better) if higher_is_better else (better, worse)))


def blank(title: str, why: str) -> Chart:
    """A chart in whose place there is nothing to draw, with the reason."""
    return Chart(title, drawing(title, 40, [words(0, 24, why, dim=True)]), why)


def _leaves_out_zero(difference: Difference) -> bool:
    return difference.low > 0 or difference.high < 0


def _ends(found: Difference | TableEntry) -> tuple[float, float, float]:
    """Start, middle and end: of the interval of a difference, of one deviation over seeds to both sides of a mean."""
    if isinstance(found, Difference):
        return found.low, found.value, found.high
    spread = found.spread or 0.0
    return found.mean - spread, found.mean, found.mean + spread
