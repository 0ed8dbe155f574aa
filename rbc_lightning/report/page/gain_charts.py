"""Gains along a sweep as SVG text, and below them the mean scores they come from."""

from collections.abc import Iterator, Mapping

from rbc_lightning.report.page import svg
from rbc_lightning.report.page.content import Chart
from rbc_lightning.report.page.series import COLORS, MARKS, PLAIN, Key, blank, interval, interval_keys, legend, score_scale
from rbc_lightning.study.compare import interval_text
from rbc_lightning.study.curves import ALONG, COUNTED, GainCurve
from rbc_lightning.study.rows import TableEntry
from rbc_lightning.study.statistics import Difference
from rbc_lightning.study.tables import OPTIMISTIC, REFERENCES, TITLES, sentence

_LEFT, _RIGHT = 52.0, svg.WIDTH - 10
_APART = 7.0  # between series at one place
_MIX = "rd_sd_aug"  # whose look the one series of a ratio has


def gain_chart(curve: GainCurve) -> Chart:
    """Gain along a sweep with its intervals, and below it the mean scores it comes from."""
    title = f"{curve.model}: gain against {ALONG[curve.sweep]}"
    if not curve.points:
        return blank(title, f"Nothing to draw: {'; '.join(curve.notes) or 'no finished runs of this sweep'}.")
    across = _across(curve)
    gains, end = _gains(curve, across)
    means, end = _mean_lines(curve, across, end + 12)
    return Chart(title, svg.drawing(title, end, [*gains, *means]), " ".join(_curve_caption(curve)))


def _across(curve: GainCurve) -> svg.Scale:
    xs = [point.x for point in curve.points]
    ratio = curve.sweep == "ratio"
    # Each number of images is about twice the one before.
    return svg.scale_around([0.0, *xs] if ratio else xs, _LEFT, _RIGHT, log=not ratio)


def _gains(curve: GainCurve, across: svg.Scale) -> tuple[list[str], float]:
    gains = [gain for point in curve.points for gain in point.gains.values()]
    if not gains:
        return [], 0.0
    scale = score_scale([0.0, *gains], 178.0, 28.0, higher_is_better=curve.higher_is_better)
    drawn = [
        svg.heading(14, f"Gain in {curve.score} by synthetic samples, 95 % intervals"),
        svg.axis_left(scale, _LEFT, _RIGHT, signed=True),
        svg.zero_line((_LEFT, scale(0)), (_RIGHT, scale(0))),
    ]
    references = [name for name in REFERENCES if any(name == against for point in curve.points for _, against in point.gains)]
    keys = []
    for place, reference in enumerate(references):
        look = _MIX if curve.sweep == "ratio" else reference
        shift = (place - (len(references) - 1) / 2) * _APART
        found = [(p.x, gain) for p in curve.points for (_, against), gain in p.gains.items() if against == reference]
        line = [(across(x) + shift, scale(gain.value)) for x, gain in found]
        if curve.sweep == "ratio":
            # The mix without synthetic samples gains nothing over itself.
            line.insert(0, (across(0.0), scale(0.0)))
            drawn.append(svg.mark("circle", *line[0], PLAIN, title=f"{_place_text(curve, 0.0)}: the reference", size=3))
        else:
            keys.append(Key(f"{TITLES[_MIX]} less {TITLES[reference]}", COLORS[reference], MARKS[reference]))
        drawn.append(svg.polyline(line, color=COLORS[look], width=1))
        for x, gain in found:
            label = f"{_place_text(curve, x)}: {interval_text(gain)} against {TITLES[reference]}, {_seeds_text(gain)}"
            drawn.append(interval(look, gain, scale, across(x) + shift, label, upright=True))
    key, end = legend([*keys, *interval_keys(gains)], 200.0)
    return [*drawn, key], end


def _mean_lines(curve: GainCurve, across: svg.Scale, start: float) -> tuple[list[str], float]:
    top, bottom = start + 28, start + 148
    entries = [entry for point in curve.points for entry in point.entries.values()]
    scale = score_scale(entries, bottom, top, higher_is_better=curve.higher_is_better)
    ticks, names, unit = _place_ticks(curve, across)
    drawn = [
        svg.heading(start + 14, f"Mean {curve.score}, spread over seeds"),
        svg.axis_left(scale, _LEFT, _RIGHT),
        svg.axis_below(across, bottom, ticks, names, top),
        svg.words((_LEFT + _RIGHT) / 2, bottom + 31, unit, anchor="middle", size=11, dim=True),
    ]
    lines = _lines(curve)
    for look, line in lines.items():
        drawn.append(svg.polyline([(across(x), scale(entry.mean)) for x, entry in line], color=COLORS[look]))
        for x, entry in line:
            seeds = _count(len(entry.seeds))
            label = f"{_place_text(curve, x)}, {TITLES[entry.column]}: {curve.score} {entry.mean:.4f}, {seeds}"
            drawn.append(interval(look, entry, scale, across(x), label, upright=True, size=4.5))
    keys = [Key(TITLES[column], COLORS[column], MARKS[column], line="") for column in lines if len(lines) > 1]
    key, end = legend(keys, bottom + 52)
    return [*drawn, key], end if keys else bottom + 40


def _lines(curve: GainCurve) -> Mapping[str, list[tuple[float, TableEntry]]]:
    """Look -> places and means: along a ratio one line through all mixes, else one for each column."""
    lines: dict[str, list[tuple[float, TableEntry]]] = {column: [] for column in TITLES}
    for point in curve.points:
        for column, entry in point.entries.items():
            lines[_MIX if curve.sweep == "ratio" else column].append((point.x, entry))
    return {column: entries for column, entries in lines.items() if entries}


def _place_ticks(curve: GainCurve, across: svg.Scale) -> tuple[list[float], list[str], str]:
    if curve.sweep == "ratio":
        ticks = [tick for tick in across.ticks(6) if tick >= 0]
        return ticks, [f"{100 * tick:.0f} %" for tick in ticks], "synthetic samples in the mix"
    ticks = [point.x for point in curve.points]
    names = ["all" if tick == curve.everything else f"{tick:g}" for tick in ticks]
    return ticks, names, f"annotated {COUNTED[curve.sweep]}" + (f" (all: {curve.everything:g})" if "all" in names else "")


def _place_text(curve: GainCurve, x: float) -> str:
    return f"{100 * x:.1f} % synthetic" if curve.sweep == "ratio" else f"{x:g} {COUNTED[curve.sweep]}"


def _curve_caption(curve: GainCurve) -> Iterator[str]:
    counts = [len(entry.seeds) for point in curve.points for entry in point.entries.values()]
    seeds = _count(max(counts)) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)} seeds"
    yield f"{curve.n_images} test images, {seeds} at each point."
    if curve.sweep == "ratio":
        yield "All mixes have the same total and the same number of real samples; the others are augmented or synthetic."
    else:
        yield f"The segmenter, and all that synthetic samples come from, saw no other {COUNTED[curve.sweep]} than these."
    yield "Above the line at 0 synthetic samples help; each interval stands for its own point, uncorrected for their number."
    if curve.optimistic:
        yield f"{OPTIMISTIC.capitalize()}."
    if curve.notes:
        yield sentence("; ".join(curve.notes))


def _seeds_text(difference: Difference) -> str:
    label = _count(difference.n_seeds)
    return label if difference.n_seeds > 1 else f"{label}: the interval does not tell of other seeds"


def _count(n_seeds: int) -> str:
    return f"{n_seeds} seed{'' if n_seeds == 1 else 's'}"
