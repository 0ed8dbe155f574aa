"""Charts of the report as SVG text: columns with intervals, and gains along a sweep."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from rbc_lightning.report.content import Chart
from rbc_lightning.report.curves import Gain, GainCurve, GainPoint
from rbc_lightning.report.learning_charts import learning_chart
from rbc_lightning.report.series import COLORS, MARKS, PLAIN, STYLE, Key, blank, interval_keys, leaves_out_zero, legend
from rbc_lightning.report.statistics import Difference
from rbc_lightning.report.svg import (
    WIDTH,
    Scale,
    axis_below,
    axis_left,
    drawing,
    labels,
    mark,
    polyline,
    scale_around,
    whisker,
    words,
    zero_line,
)
from rbc_lightning.report.table2 import REFERENCES, TITLES, Cell, ModelRow, interval_text, signed_text
from rbc_lightning.report.tables import COLUMNS, OPTIMISTIC

__all__ = ["STYLE", "bars_with_intervals", "gain_chart", "learning_chart"]

_NAMES_END, _VALUES = 86.0, 282.0  # of charts with a row for each column: names, marks, values
_LEFT, _RIGHT = 52.0, WIDTH - 10  # of charts with an axis on the left
_ROW = 24.0
_APART = 7.0  # between series at one place
_MIX = "rd_sd_aug"  # whose look the one series of a ratio has
_PAPER_KEY = Key("Bailo et al. 2019: another data set, not comparable", PLAIN, "circle", filled=False)
_WORDS = {"helps": "better", "hurts": "worse", "cannot tell": "cannot tell"}


class _Band(NamedTuple):
    """Part of a chart: its markup and where it ends."""

    drawn: list[str]
    end: float


def bars_with_intervals(row: ModelRow) -> Chart:
    """Mean score of each column with its spread over seeds, and below it the difference with RD+aug (without it: with RD).

    The scale of the means holds all marks and does not begin at 0: they are marks, not bars, so that no length lies. S3's
    figures stand beside as hollow marks.
    """
    title = f"{row.model}: {row.score} of each column"
    if not row.cells:
        return blank(title, f"No finished run of {row.model}.")
    columns = [column for column in TITLES if column in COLUMNS or column in row.cells]
    means = _means(row, columns)
    against = next((name for name in REFERENCES if any(c.against == name for c in row.comparisons)), None)
    differences = _differences(row, columns, against, means.end + 14) if against else _Band([], means.end)
    svg = drawing(title, differences.end, [*means.drawn, *differences.drawn])
    return Chart(title, svg, " ".join(_row_caption(row, against)))


def gain_chart(curve: GainCurve) -> Chart:
    """Gain along a sweep with its intervals, and below it the mean scores it comes from."""
    about = {"ratio": "the share of synthetic samples", "real_images": "the number of real images"}[curve.sweep]
    title = f"{curve.model}: gain against {about}"
    if not curve.points:
        return blank(title, f"Nothing to draw: {'; '.join(curve.notes) or 'no finished runs of this sweep'}.")
    across = _across(curve)
    gains = _gains(curve, across)
    means = _mean_lines(curve, across, gains.end + 12)
    return Chart(title, drawing(title, means.end, [*gains.drawn, *means.drawn]), " ".join(_curve_caption(curve)))


def _means(row: ModelRow, columns: Sequence[str]) -> _Band:
    bounds = [bound for cell in row.cells.values() for bound in _reach(cell.mean, cell.spread)]
    scale = scale_around([*bounds, *row.paper.values()], _NAMES_END + 8, _VALUES - 14)
    bottom = 30 + _ROW * len(columns)
    ticks = scale.ticks(4)
    drawn = [words(0, 14, f"Mean {row.score}", size=13, heading=True), axis_below(scale, bottom, ticks, labels(ticks), 26)]
    for place, column in enumerate(columns):
        y, cell = 30 + _ROW * (place + 0.5), row.cells.get(column)
        drawn.append(words(0, y + 4, TITLES[column]))
        if column in row.paper:
            told = f"{TITLES[column]}, Bailo et al. 2019 on another data set: {row.paper[column]:.3f}"
            drawn.append(mark(MARKS[column], scale(row.paper[column]), y + 7, PLAIN, filled=False, title=told, size=3))
        if cell:
            drawn.append(_horizontal(scale, y, cell.mean, *_reach(cell.mean, cell.spread), COLORS[column]))
            drawn.append(mark(MARKS[column], scale(cell.mean), y, COLORS[column], title=_cell_text(row.score, cell)))
        drawn.append(words(_VALUES, y + 4, _cell_value(cell), dim=cell is None))
    key, end = legend([_PAPER_KEY] if row.paper else [], bottom + 36)
    return _Band([*drawn, key], end if row.paper else bottom + 24)


def _differences(row: ModelRow, columns: Sequence[str], against: str, top: float) -> _Band:
    found = [c for column in columns if (c := row.compared(column, against))]
    bounds = [bound for c in found for bound in (c.difference.value, c.difference.low, c.difference.high)]
    scale = scale_around([0.0, *bounds], _NAMES_END + 8, _VALUES - 14)
    start, bottom = top + 16, top + 16 + _ROW * len(found)
    ticks = scale.ticks(4)
    drawn = [
        words(0, top, f"Difference with {TITLES[against]}, 95 % interval", size=13, heading=True),
        axis_below(scale, bottom, ticks, labels(ticks, signed=True), start - 4),
        zero_line((scale(0), start - 4), (scale(0), bottom)),
    ]
    for place, c in enumerate(found):
        y, difference = start + _ROW * (place + 0.5), c.difference
        told = f"{TITLES[c.column]} less {TITLES[against]}: {interval_text(difference)}, {c.verdict}"
        one_seed = difference.seed_degrees == 0
        drawn += [
            words(0, y + 4, TITLES[c.column]),
            _horizontal(scale, y, difference.value, difference.low, difference.high, COLORS[c.column], dashed=one_seed),
            mark(
                MARKS[c.column],
                scale(difference.value),
                y,
                COLORS[c.column],
                filled=leaves_out_zero(difference),
                title=told,
            ),
            words(_VALUES, y + 4, signed_text(difference.value)),
        ]
    key, end = legend(interval_keys([c.difference for c in found]), bottom + 36)
    return _Band([*drawn, key], end)


def _row_caption(row: ModelRow, against: str | None) -> Iterator[str]:
    spreads = any(cell.spread is not None for cell in row.cells.values())
    yield f"Means over {row.n_images} test images and seeds" + (
        "; whiskers: standard deviation over seeds." if spreads else "."
    )
    if against is None:
        yield "Nothing to compare yet: neither RD+aug nor RD stands beside another column."
    else:
        found = [c for c in row.comparisons if c.against == against]
        told = [
            f"{_WORDS[verdict]}: {', '.join(TITLES[c.column] for c in found if c.verdict == verdict)}"
            for verdict in _WORDS
            if any(c.verdict == verdict for c in found)
        ]
        yield f"Against {TITLES[against]}, {'; '.join(told)}."
    if any(cell.optimistic for cell in row.cells.values()):
        yield f"† {OPTIMISTIC}."


def _cell_value(cell: Cell | None) -> str:
    if cell is None:
        return "not run"
    spread = "" if cell.spread is None else f" ± {cell.spread:.3f}"
    return f"{cell.mean:.3f}{spread}{' †' if cell.optimistic else ''}"


def _cell_text(score: str, cell: Cell) -> str:
    spread = "one seed" if cell.spread is None else f"standard deviation {cell.spread:.4f} over {len(cell.seeds)} seeds"
    pooled = "" if cell.pooled is None else f"; {cell.pooled:.4f} with the cells of all images pooled"
    return f"{TITLES[cell.column]}: {score} {cell.mean:.4f}, {spread}{pooled}{f' ({OPTIMISTIC})' if cell.optimistic else ''}"


def _across(curve: GainCurve) -> Scale:
    xs = [point.x for point in curve.points]
    if curve.sweep == "real_images":
        # Each number of images is about twice the one before.
        return scale_around(xs, _LEFT, _RIGHT, log=True)
    return scale_around([0.0, *xs], _LEFT, _RIGHT)


def _gains(curve: GainCurve, across: Scale) -> _Band:
    gains = [gain for point in curve.points for gain in point.gains]
    if not gains:
        return _Band([], 0.0)
    top, bottom = 28.0, 178.0
    bounds = [bound for gain in gains for bound in (gain.difference.value, gain.difference.low, gain.difference.high)]
    scale = scale_around([0.0, *bounds], bottom, top)
    drawn = [
        words(0, 14, f"Gain in {curve.score} by synthetic samples, 95 % intervals", size=13, heading=True),
        axis_left(scale, _LEFT, _RIGHT, signed=True),
        zero_line((_LEFT, scale(0)), (_RIGHT, scale(0))),
    ]
    references = [name for name in REFERENCES if any(gain.against == name for gain in gains)]
    keys = []
    for place, against in enumerate(references):
        look = _MIX if curve.sweep == "ratio" else against
        found = {point.x: gain for point in curve.points for gain in point.gains if gain.against == against}
        places = {x: across(x) + (place - (len(references) - 1) / 2) * _APART for x in found}
        start = []
        if curve.sweep == "ratio":
            # The mix without synthetic samples gains nothing over itself.
            start = [(across(0.0), scale(0.0))]
            drawn.append(mark("circle", *start[0], PLAIN, title=f"{_place_text(curve, 0.0)}: the reference", size=3))
        line = [*start, *((places[x], scale(found[x].difference.value)) for x in found)]
        drawn.append(polyline(line, color=COLORS[look], width=1))
        drawn += [_gain_mark(curve, x, gain, places[x], scale, look) for x, gain in found.items()]
        if curve.sweep == "real_images":
            keys.append(Key(f"{TITLES[_MIX]} less {TITLES[against]}", COLORS[against], MARKS[against]))
    key, end = legend([*keys, *interval_keys([gain.difference for gain in gains])], bottom + 22)
    return _Band([*drawn, key], end)


def _gain_mark(curve: GainCurve, x: float, gain: Gain, place: float, scale: Scale, look: str) -> str:
    difference = gain.difference
    low, value, high = (scale(bound) for bound in (difference.low, difference.value, difference.high))
    told = f"{_place_text(curve, x)}: {interval_text(difference)} against {TITLES[gain.against]}, {_seeds_text(difference)}"
    drawn = whisker((place, low), (place, high), (place, value), COLORS[look], dashed=not gain.tells_of_seeds)
    return drawn + mark(MARKS[look], place, value, COLORS[look], filled=leaves_out_zero(difference), title=told)


def _mean_lines(curve: GainCurve, across: Scale, start: float) -> _Band:
    top, bottom = start + 28, start + 148
    reaches = [bound for point in curve.points for s in point.scores.values() for bound in _reach(s.mean, s.spread)]
    scale = scale_around(reaches, bottom, top)
    ticks, names, unit = _place_ticks(curve, across)
    drawn = [
        words(0, start + 14, f"Mean {curve.score}, spread over seeds", size=13, heading=True),
        axis_left(scale, _LEFT, _RIGHT),
        axis_below(across, bottom, ticks, names, top),
        words((_LEFT + _RIGHT) / 2, bottom + 31, unit, anchor="middle", size=11, dim=True),
    ]
    lines = _lines(curve)
    for column, points in lines.items():
        placed = [(across(point.x), scale(point.scores[name].mean)) for point, name in points]
        drawn.append(polyline(placed, color=COLORS[column]))
        for (x, y), (point, name) in zip(placed, points, strict=True):
            mean = point.scores[name]
            low, high = (scale(bound) for bound in _reach(mean.mean, mean.spread))
            told = f"{_place_text(curve, point.x)}, {TITLES[name]}: {curve.score} {mean.mean:.4f}, {_count(len(mean.seeds))}"
            if low != high:
                drawn.append(whisker((x, low), (x, high), (x, y), COLORS[column]))
            drawn.append(mark(MARKS[column], x, y, COLORS[column], title=told, size=4.5))
    keys = [Key(TITLES[column], COLORS[column], MARKS[column], line="") for column in lines if len(lines) > 1]
    key, end = legend(keys, bottom + 52)
    return _Band([*drawn, key], end if keys else bottom + 40)


def _lines(curve: GainCurve) -> Mapping[str, list[tuple[GainPoint, str]]]:
    """Look -> points and the column of each: along a ratio one line through all mixes, else one for each column."""
    lines: dict[str, list[tuple[GainPoint, str]]] = {}
    for point in curve.points:
        for column in point.scores:
            lines.setdefault(_MIX if curve.sweep == "ratio" else column, []).append((point, column))
    return {column: lines[column] for column in TITLES if column in lines}


def _place_ticks(curve: GainCurve, across: Scale) -> tuple[list[float], list[str], str]:
    if curve.sweep == "ratio":
        ticks = [tick for tick in across.ticks(6) if tick >= 0]
        return ticks, [f"{100 * tick:.0f} %" for tick in ticks], "synthetic samples in the mix"
    ticks = [point.x for point in curve.points]
    names = ["all" if tick == curve.everything else f"{tick:g}" for tick in ticks]
    return ticks, names, "real training images" + (f" (all: {curve.everything:g})" if "all" in names else "")


def _place_text(curve: GainCurve, x: float) -> str:
    return f"{100 * x:.1f} % synthetic" if curve.sweep == "ratio" else f"{x:g} real images"


def _curve_caption(curve: GainCurve) -> Iterator[str]:
    fewest, most = (choose(_seed_counts(curve)) for choose in (min, max))
    seeds = _count(most) if fewest == most else f"{fewest} to {most} seeds"
    yield f"{curve.n_images} test images, {seeds} at each point."
    if curve.sweep == "ratio":
        yield "All mixes have the same total and the same number of real samples; the others are augmented or synthetic."
    else:
        yield "Shape bank, translator and segmenter were trained on no other real images than these."
    yield "Above the line at 0 synthetic samples help; each interval stands for its own point, uncorrected for their number."
    if curve.optimistic:
        yield f"{OPTIMISTIC.capitalize()}."
    if curve.notes:
        yield f"{'; '.join(curve.notes)}."


def _seed_counts(curve: GainCurve) -> list[int]:
    return [len(score.seeds) for point in curve.points for score in point.scores.values()]


def _seeds_text(difference: Difference) -> str:
    first, second = difference.n_seeds
    told = _count(first) if first == second else f"{first} and {second} seeds"
    return told if difference.seed_degrees else f"{told}: the interval does not tell of other seeds"


def _count(n_seeds: int) -> str:
    return f"{n_seeds} seed{'' if n_seeds == 1 else 's'}"


def _reach(mean: float, spread: float | None) -> tuple[float, float]:
    return mean - (spread or 0.0), mean + (spread or 0.0)


def _horizontal(scale: Scale, y: float, value: float, low: float, high: float, color: str, *, dashed: bool = False) -> str:
    if low == high:
        return ""
    return whisker((scale(low), y), (scale(high), y), (scale(value), y), color, dashed=dashed)
