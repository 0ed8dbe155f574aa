"""Learning curves as a chart: training loss and validation score by step, all columns of a model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from rbc_lightning.report.page import svg
from rbc_lightning.report.page.content import Chart
from rbc_lightning.report.page.series import COLORS, MARKS, Key, blank, legend
from rbc_lightning.report.page.svg import Point, Scale
from rbc_lightning.study.learning import Epoch, LearningCurve, learning_curves
from rbc_lightning.study.run_record import Run
from rbc_lightning.study.tables import TITLES

_LEFT, _RIGHT = 46.0, svg.WIDTH - 10
_LOSS_TOP, _LOSS_BOTTOM, _TOP, _BOTTOM = 26.0, 136.0, 176.0, 326.0  # of the two panels
_MOST = 500  # points of all lines together: the chart stays below 15 kB
_N_MARKS = 3  # on a line
_SETTLED = 1 / 3  # of the training, from where on the scale of the scores holds all of them

Curves = Mapping[str, Sequence[LearningCurve]]
Value = Callable[[Epoch], float | None]


def learning_chart(model: str, runs: Mapping[str, Mapping[int, Run]]) -> Chart:
    """Training loss and validation score of a model by step: thin lines for seeds, thick ones with marks for their means.

    `runs` are filed by column and seed, as `group_runs` files those of a model.
    """
    title = f"{model}: learning curves"
    read = {
        column: [curve for joined in runs[column].values() for run in joined.as_made for curve in learning_curves(run)]
        for column in TITLES
        if column in runs
    }
    curves = {column: some for column, every in read.items() if (some := [curve for curve in every if curve.epochs])}
    every = [curve for some in curves.values() for curve in some]
    if not every:
        return blank(title, f"No learning curves of {model} were recorded.")
    across = Scale(0.0, float(max(curve.epochs[-1].step for curve in every)), _LEFT, _RIGHT)
    losses = [epoch.loss for curve in every for epoch in curve.epochs if epoch.loss is not None]
    loss = svg.scale_around(losses, _LOSS_BOTTOM, _LOSS_TOP, log=all(value > 0 for value in losses))
    scores = [(epoch.step, epoch.score) for curve in every for epoch in curve.epochs if epoch.score is not None]
    # The scale leaves out what comes before the scores settle, next to which they would look alike.
    settled = [score for step, score in scores if step >= _SETTLED * across.high]
    up = svg.scale_around(settled or [score for _, score in scores], _BOTTOM, _TOP)
    ticks, name = across.ticks(), every[0].run.title(every[0].run.score)
    on_what = "test images" if any(curve.run.optimistic for curve in every) else "validation images"
    key, end = legend([Key(TITLES[column], COLORS[column], MARKS[column], line="") for column in curves], 380)
    content = [
        svg.heading(14, "Training loss, mean of each epoch"),
        svg.axis_left(loss, _LEFT, _RIGHT, most=4),
        *_lines(curves, lambda epoch: epoch.loss, across, loss, "loss"),
        svg.heading(164, f"{name} on {on_what}"),
        svg.axis_left(up, _LEFT, _RIGHT),
        svg.axis_below(across, _BOTTOM, ticks, svg.labels(ticks), _TOP),
        *_lines(curves, lambda epoch: epoch.score, across, up, name),
        *(_chosen(column, some, across, up) for column, some in curves.items()),
        svg.words((_LEFT + _RIGHT) / 2, _BOTTOM + 31, "optimiser steps", anchor="middle", size=11, dim=True),
        key,
    ]
    hidden = any(score < up.low for _, score in scores)
    return Chart(title, svg.drawing(title, end, content), " ".join(_caption(every, up.low if hidden else None)))


def _lines(curves: Curves, value: Value, across: Scale, up: Scale, name: str) -> Iterator[str]:
    """A thin line for each seed, and over all of them the means of the columns."""
    by_seed = {column: [_points(curve, value) for curve in some] for column, some in curves.items()}
    means = {column: _mean(some) for column, some in by_seed.items()}
    most = max(_MOST // (2 * (len(means) + sum(len(some) for some in by_seed.values() if len(some) > 1))), 8)
    for column, some in by_seed.items():
        thin = _parts([_thinned(points, most) for points in some], across, up, digits=0) if len(some) > 1 else ""
        if thin:
            look = {"title": f"{TITLES[column]}, single seeds", "fill": "none", "stroke": COLORS[column]}
            yield svg.element("path", d=thin, **look, stroke_width=1, opacity="0.4")
    for place, (column, points) in enumerate(means.items()):
        title = TITLES[column] + (", mean" if len(by_seed[column]) > 1 else "")
        line = _parts([_thinned(points, most)], across, up)
        marks = _marks(column, points, place / len(means), across, up, f"{TITLES[column]}: {name}")
        yield svg.element("path", d=line, title=title, fill="none", stroke=COLORS[column], stroke_width=2.2)
        yield svg.element("g", *marks, fill=COLORS[column], stroke=COLORS[column], stroke_width=1.6)


def _points(curve: LearningCurve, value: Value) -> list[Point]:
    return [(float(epoch.step), found) for epoch in curve.epochs if (found := value(epoch)) is not None]


def _mean(lines: Sequence[Sequence[Point]]) -> list[Point]:
    """(step, mean over seeds) at the steps that all seeds have."""
    by_seed = [dict(points) for points in lines]
    shared = sorted(set(by_seed[0]).intersection(*by_seed))
    return [(step, float(np.mean([found[step] for found in by_seed]))) for step in shared]


def _thinned(points: Sequence[Point], most: int) -> list[Point]:
    """Every k-th point, the last among them."""
    every = max(1, -(-len(points) // most))
    return list(points[::-1][::every])[::-1]


def _parts(lines: Sequence[Sequence[Point]], across: Scale, up: Scale, digits: int = 1) -> str:
    """The `d` of what of these lines lies within the panel."""
    parts = (part for line in lines for part in _within(line, up.low, up.high))
    return svg.path(*([(round(across(x), digits), round(up(y), digits)) for x, y in part] for part in parts))


def _within(points: Sequence[Point], low: float, high: float) -> list[list[Point]]:
    """The parts of a line of points whose values lie in [low, high], cut where it crosses them."""
    parts: list[list[Point]] = []
    for (x, y), (next_x, next_y) in pairwise(points):
        # Shares of the way from one point to the next at which the line enters and leaves the band.
        crossings = sorted((bound - y) / (next_y - y) for bound in (low, high)) if next_y != y else [0.0, 1.0]
        enter, leave = max(0.0, crossings[0]), min(1.0, crossings[1])
        if enter >= leave or not low <= y + (enter + leave) / 2 * (next_y - y) <= high:
            continue
        first, second = ((x + share * (next_x - x), y + share * (next_y - y)) for share in (enter, leave))
        if leave == 1:
            second = (next_x, next_y)
        if parts and enter == 0 and parts[-1][-1] == (x, y):
            parts[-1].append(second)
        else:
            parts.append([first, second])
    return parts


def _marks(column: str, points: Sequence[Point], shift: float, across: Scale, up: Scale, label: str) -> Iterator[str]:
    """A few marks along a line, those of other columns at other places."""
    for k in range(_N_MARKS if points else 0):
        x, y = points[min(len(points) - 1, int((k + shift) / _N_MARKS * len(points)))]
        if up.low <= y <= up.high:
            yield svg.mark(MARKS[column], across(x), up(y), None, size=3.6, title=f"{label} {y:.4f}, step {x:.0f}")


def _chosen(column: str, curves: Sequence[LearningCurve], across: Scale, up: Scale) -> str:
    """A ring on each seed's score where its weights were chosen."""
    rings = []
    for run, _, chosen in curves:
        if chosen and chosen.score is not None:
            label = f"{TITLES[column]}, seed {run.seed}, chosen: {chosen.score:.4f}, step {chosen.step}"
            rings.append(svg.mark("circle", across(chosen.step), up(chosen.score), None, size=6, title=label))
    return svg.element("g", *rings, fill="none", stroke=COLORS[column], stroke_width=1.4, pointer_events="all")


def _caption(curves: Sequence[LearningCurve], hidden_below: float | None) -> Iterator[str]:
    repeated = len({curve.run.column for curve in curves}) < len(curves)
    single = "members of ensembles" if any(curve.run.metrics.get("members") for curve in curves) else "seeds"
    lines = (
        f"Thick lines with marks: mean over {single}; thin lines: single {single}" if repeated else "One seed of each column"
    )
    yield f"{lines}; rings: the weights that were tested."
    if hidden_below is not None:
        yield f"Scores below {hidden_below:.2f}, early in training, lie under the panel."
    if any(curve.run.optimistic for curve in curves):
        yield "Optimistic: weights were chosen by scores on the test split."
