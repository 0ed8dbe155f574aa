"""Building blocks of charts as SVG text: scales with ticks, marks, lines. Coordinates are units of the viewBox, y downwards."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

WIDTH = 380.0
"""Of every chart: letters stay readable on a phone, where the chart is about as wide in pixels."""

DASHES = "2.5 2"
"""Of whiskers that do not cover other seeds."""

DOTS = "1 3"
"""Of a line that is an upper bound."""

_MAX_WIDTH = "30rem"  # wider than that, letters would be larger than the page's
_SIZE = 12.0
_STEPS = (1.0, 2.0, 5.0, 10.0)
_LEAST_GAP = 20.0  # between labels of ticks
_LETTER = 6.5  # width of a letter in them

Point = tuple[float, float]


def element(name: str, *content: str, title: str | None = None, **attributes: str | float | None) -> str:
    """An SVG element; underscores in attribute names stand for hyphens, None leaves an attribute out.

    Args:
        name: such as "path".
        content: markup inside.
        title: words shown where the pointer rests; any characters.
        attributes: numbers are rounded to a tenth of a unit.
    """
    written = "".join(f' {key.replace("_", "-")}="{_value(value)}"' for key, value in attributes.items() if value is not None)
    inside = "".join(([f"<title>{escape(title)}</title>"] if title else []) + list(content))
    return f"<{name}{written}>{inside}</{name}>" if inside else f"<{name}{written}/>"


def drawing(title: str, height: float, content: Iterable[str]) -> str:
    """The whole chart, as wide as its place but no wider than is good to read, in the colours and the font of the page."""
    return element(
        "svg",
        *content,
        title=title,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        role="img",
        fill="currentColor",
        font_size=_SIZE,
        stroke_linejoin="round",
        style=f"display:block;width:100%;max-width:{_MAX_WIDTH};height:auto",
    )


def words(x: float, y: float, text: str, *, anchor: str | None = None, size: float | None = None, dim: bool = False) -> str:
    """A line of text with its base line at y; any characters."""
    opacity = "0.7" if dim else None
    return element("text", escape(text), x=x, y=y, text_anchor=anchor, font_size=size, opacity=opacity)


def heading(y: float, text: str) -> str:
    """A line of text above a part of a chart."""
    return element("text", escape(text), x=0, y=y, font_size=13, font_weight="600")


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` laid from `start` to `end`, evenly, or evenly in their logarithm."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Coordinate of a value; values beyond the ends are put on them."""
        low, high, value = (math.log(max(v, 1e-300)) if self.log else v for v in (self.low, self.high, value))
        share = (value - low) / (high - low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def ticks(self, most: int = 5) -> list[float]:
        """Round values within the scale, `most` or fewer; at least two where it is a decade long."""
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            found = [step * 10.0**power for power in range(first, last + 1) for step in _STEPS[:3]]
            found = [value for value in found if self.low <= value <= self.high]
            if len(found) >= 2:
                return found[:: math.ceil(len(found) / most)]
        for step in _round_steps((self.high - self.low) / most):
            first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
            if last - first < most:
                return [count * step for count in range(first, last + 1)]
        return []


def scale_around(values: Iterable[float], start: float, end: float, *, log: bool = False, margin: float = 0.06) -> Scale:
    """A scale that holds all finite values, with room on both sides; without any, from 0 to 1."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return Scale(0.0, 1.0, start, end)
    low, high = min(finite), max(finite)
    if log:
        room = (high / low) ** margin if high > low else 1.1
        return Scale(low / room, high * room, start, end, log=True)
    room = margin * (high - low) or max(abs(high) * 0.01, 1e-3)
    return Scale(low - room, high + room, start, end)


def labels(ticks: Sequence[float], *, signed: bool = False) -> list[str]:
    """Values with as many decimals as they differ in, 0 as "0", and a true minus sign."""
    gap = min((b - a for a, b in pairwise(ticks)), default=0.0) or max(map(abs, ticks), default=1.0) or 1.0
    decimals = max(0, -math.floor(math.log10(gap) + 1e-9))
    made = [f"{value:{'+' if signed else ''}.{decimals}f}" if round(value, decimals) else "0" for value in ticks]
    return [text.replace("-", "−") for text in made]


def axis_below(scale: Scale, y: float, ticks: Sequence[float], names: Sequence[str], top: float) -> str:
    """Names below y under thin lines up to `top`; where names would meet, the later one stands."""
    lines = "".join(f"M{_value(scale(tick))} {_value(top)}V{_value(y)}" for tick in ticks)
    places = [scale(tick) for tick in ticks]
    room = [
        abs(b - a) >= max(_LEAST_GAP, _LETTER * (len(m) + len(n) + 2) / 2)
        for (a, b), (m, n) in zip(pairwise(places), pairwise(names), strict=True)
    ]
    shown = [
        words(place, y + 15, name, anchor="middle", size=11, dim=True)
        for place, name, fits in zip(places, names, [*room, True], strict=False)
        if fits
    ]
    return _grid(lines) + "".join(shown)


def axis_left(scale: Scale, x: float, right: float, *, most: int = 5, signed: bool = False) -> str:
    """Values left of x beside thin lines as far as `right`."""
    ticks = scale.ticks(most)
    lines = "".join(f"M{_value(x)} {_value(scale(tick))}H{_value(right)}" for tick in ticks)
    names = zip(ticks, labels(ticks, signed=signed), strict=True)
    shown = [words(x - 6, scale(tick) + 4, name, anchor="end", size=11, dim=True) for tick, name in names]
    return _grid(lines) + "".join(shown)


def zero_line(start: Point, end: Point) -> str:
    """Where a difference is 0."""
    return line_across(start, end, None, "no difference")


def line_across(start: Point, end: Point, dash: str | None, title: str) -> str:
    """A line across what is compared with it; `dash` is "" or None for a solid one."""
    d, dashes = path((start, end)), dash or None
    return element("path", d=d, stroke="currentColor", stroke_width=1.2, stroke_dasharray=dashes, opacity="0.75", title=title)


def polyline(*parts: Sequence[Point], color: str, width: float = 2, dash: str | None = None) -> str:
    """Straight lines from point to point, in one part or several."""
    return element("path", d=path(*parts), fill="none", stroke=color, stroke_width=width, stroke_dasharray=dash)


def path(*parts: Sequence[Point]) -> str:
    """The `d` of lines from point to point."""
    return "".join("M" + "L".join(f"{_value(x)} {_value(y)}" for x, y in part) for part in parts)


def mark(
    shape: str, x: float, y: float, color: str | None, *, filled: bool = True, title: str | None = None, size: float = 5
) -> str:
    """A mark around a point; hollow ones have a line of their colour only. Colour None is that of the group it stands in."""
    # Hollow marks take the pointer in their middle as well.
    fill, events = (color, None) if filled else ("none", "all")
    look = {"fill": fill, "stroke": color, "stroke_width": None if color is None else 1.6, "pointer_events": events}
    if shape == "circle":
        return element("circle", cx=x, cy=y, r=size, title=title, **look)
    return element("path", d=f"M{_value(x)} {_value(y)}{_SHAPES[shape](size)}", title=title, **look)


def whisker(start: Point, end: Point, middle: Point, color: str, *, dashed: bool = False, gap: float = 7) -> str:
    """An interval from start to end along one axis that leaves room for the mark in its middle; caps at both ends."""
    along = (1.0, 0.0) if start[1] == end[1] else (0.0, 1.0)
    parts, caps = [], []
    for tip in (start, end):
        away = (tip[0] - middle[0]) * along[0] + (tip[1] - middle[1]) * along[1]
        cap = (along[1] * 3.5, along[0] * 3.5)
        caps.append(((tip[0] - cap[0], tip[1] - cap[1]), (tip[0] + cap[0], tip[1] + cap[1])))
        if abs(away) > gap:
            reach = math.copysign(gap, away)
            parts.append(((middle[0] + reach * along[0], middle[1] + reach * along[1]), tip))
    line = element("path", d=path(*parts), stroke_dasharray=DASHES if dashed else None) if parts else ""
    return element("g", line, element("path", d=path(*caps)), stroke=color, stroke_width=2, fill="none")


def _grid(d: str) -> str:
    return element("path", d=d, stroke="currentColor", opacity="0.15") if d else ""


def _value(value: str | float) -> str:
    if isinstance(value, str):
        return escape(value)
    # Adding 0 makes 0 of -0.
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")


def _round_steps(least: float) -> Iterable[float]:
    """1, 2 or 5 times a power of ten, from the power below `least` on."""
    power = math.floor(math.log10(least)) if least > 0 else 0
    return (step * 10.0**k for k in range(power, power + 3) for step in _STEPS[:3])


def _polygon(*corners: Point) -> Callable[[float], str]:
    """A closed path through corners, in units of the mark's size, relative to its middle."""

    def path(size: float) -> str:
        steps = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(((0.0, 0.0), *corners), corners, strict=False)]
        (x, y), *others = [(dx * size, dy * size) for dx, dy in steps]
        return f"m{_value(x)} {_value(y)}" + "".join(f"l{_value(a)} {_value(b)}" for a, b in others) + "z"

    return path


_SHAPES: dict[str, Callable[[float], str]] = {
    "square": _polygon((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "triangle": _polygon((0, -1.1), (1.1, 0.9), (-1.1, 0.9)),
    "down": _polygon((0, 1.1), (1.1, -0.9), (-1.1, -0.9)),
    "diamond": _polygon((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    "bar": _polygon((-0.5, -1.2), (0.5, -1.2), (0.5, 1.2), (-0.5, 1.2)),
    "flat": _polygon((-1.2, -0.5), (1.2, -0.5), (1.2, 0.5), (-1.2, 0.5)),
}
