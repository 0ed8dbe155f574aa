"""Learning curves as a chart: training loss and validation score by step, all columns of a model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from rbc_lightning.report.collect import Run
from rbc_lightning.report.content import Chart
from rbc_lightning.report.curves import Epoch, LearningCurve, learning_curve
from rbc_lightning.report.series import COLORS, MARKS, Key, blank, legend
from rbc_lightning.report.svg import (
    WIDTH,
    Point,
    Scale,
    axis_below,
    axis_left,
    drawing,
    element,
    labels,
    mark,
    path,
    scale_around,
    words,
)
from rbc_lightning.report.table2 import TITLES

_LEFT, _RIGHT = 46.0, WIDTH - 10
_LOSS_TOP, _LOSS_BOTTOM, _TOP, _BOTTOM = 26.0, 136.0, 176.0, 326.0  # of the two panels
_MOST = 500  # points of all lines together: the chart stays below 15 kB
_N_MARKS = 3  # on a line
_SETTLED = 1 / 3  # of the training, from where on the scale of the scores holds all of them

Curves = Mapping[str, Sequence[LearningCurve]]
Value = Callable[[Epoch], float | None]


def learning_chart(model: str, runs: Mapping[str, Mapping[int, Run]]) -> Chart:
    """Training loss and validation score of a model by step: thin lines for seeds, thick ones with marks for their means.

    Args:
        model: name of the model.
        runs: column -> seed -> run, as `group_runs` files the runs of a model.
    """
    title = f"{model}: learning curves"
    read = {column: [learning_curve(run) for run in runs[column].values()] for column in TITLES if column in runs}
    curves = {column: some for column, every in read.items() if (some := [curve for curve in every if curve.epochs])}
    every = [curve for some in curves.values() for curve in some]
    if not every:
        return blank(title, f"No learning curves of {model} were recorded.")
    across = Scale(0.0, float(max(curve.epochs[-1].step for curve in every)), _LEFT, _RIGHT)
    losses = [epoch.loss for curve in every for epoch in curve.epochs if epoch.loss is not None]
    loss = scale_around(losses, _LOSS_BOTTOM, _LOSS_TOP, log=all(value > 0 for value in losses))
    score = _score_scale(every, across)
    ticks = across.ticks()
    on_what = "test images" if any(curve.optimistic for curve in every) else "validation images"
    key, end = legend([Key(TITLES[column], COLORS[column], MARKS[column], line="") for column in curves], 380)
    content = [
        words(0, 14, "Training loss, mean of each epoch", size=13, heading=True),
        axis_left(loss, _LEFT, _RIGHT, most=4),
        *_lines(curves, lambda epoch: epoch.loss, across, loss, "loss"),
        words(0, 164, f"{every[0].score} on {on_what}", size=13, heading=True),
        axis_left(score, _LEFT, _RIGHT),
        axis_below(across, _BOTTOM, ticks, labels(ticks), _TOP),
        *_lines(curves, lambda epoch: epoch.score, across, score, every[0].score),
        *(_chosen(column, some, across, score) for column, some in curves.items()),
        words((_LEFT + _RIGHT) / 2, _BOTTOM + 31, "optimiser steps", anchor="middle", size=11, dim=True),
        key,
    ]
    return Chart(title, drawing(title, end, content), " ".join(_caption(every, score)))


def _score_scale(curves: Sequence[LearningCurve], across: Scale) -> Scale:
    """It leaves out what comes before the scores settle, beside which they could not be told apart."""
    found = [(e.step, e.score) for curve in curves for e in curve.epochs if e.score is not None]
    settled = [score for step, score in found if step >= _SETTLED * across.high]
    return scale_around(settled or [score for _, score in found], _BOTTOM, _TOP)


def _lines(curves: Curves, value: Value, across: Scale, up: Scale, name: str) -> Iterator[str]:
    """A thin line for each seed, and over all of them the means of the columns."""
    means = {column: _mean(some, value) for column, some in curves.items()}
    n_lines = len(means) + sum(len(some) for some in curves.values() if len(some) > 1)
    most = max(_MOST // (2 * n_lines), 8)
    for column, some in curves.items():
        seeds = [_thinned(_points(curve, value), most) for curve in some if len(some) > 1]
        thin = _parts(seeds, across, up, digits=0)
        if thin:
            told = f"{TITLES[column]}, single seeds"
            yield element("path", d=thin, title=told, fill="none", stroke=COLORS[column], stroke_width=1, opacity="0.4")
    for place, (column, points) in enumerate(means.items()):
        told = TITLES[column] + (", mean" if len(curves[column]) > 1 else "")
        line = _parts([_thinned(points, most)], across, up)
        marks = _marks(column, points, place / len(means), across, up, f"{TITLES[column]}: {name}")
        yield element("path", d=line, title=told, fill="none", stroke=COLORS[column], stroke_width=2.2)
        yield element("g", *marks, fill=COLORS[column], stroke=COLORS[column], stroke_width=1.6)


def _points(curve: LearningCurve, value: Value) -> list[Point]:
    return [(float(epoch.step), found) for epoch in curve.epochs if (found := value(epoch)) is not None]


def _mean(curves: Sequence[LearningCurve], value: Value) -> list[Point]:
    """(step, mean over seeds) at the steps that all seeds have."""
    by_seed = [dict(_points(curve, value)) for curve in curves]
    shared = sorted(set.intersection(*(set(found) for found in by_seed)))
    return [(step, float(np.mean([found[step] for found in by_seed]))) for step in shared]


def _thinned(points: Sequence[Point], most: int) -> list[Point]:
    """Every k-th point, the last among them."""
    every = max(1, -(-len(points) // most))
    return list(points[::-1][::every])[::-1]


def _parts(lines: Sequence[Sequence[Point]], across: Scale, up: Scale, digits: int = 1) -> str:
    """The `d` of what of these lines lies within the panel."""
    parts = (part for line in lines for part in _within(line, up.low, up.high))
    return path(*([(round(across(x), digits), round(up(y), digits)) for x, y in part] for part in parts))


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
        if parts and enter == 0 and parts[-1][-1] == (x, y):
            parts[-1].append(second)
        else:
            parts.append([first, second])
        if leave == 1:
            parts[-1][-1] = (next_x, next_y)
    return parts


def _marks(column: str, points: Sequence[Point], shift: float, across: Scale, up: Scale, told: str) -> Iterator[str]:
    """A few marks along a line, those of other columns at other places."""
    for k in range(_N_MARKS if points else 0):
        x, y = points[min(len(points) - 1, int((k + shift) / _N_MARKS * len(points)))]
        if up.low <= y <= up.high:
            yield mark(MARKS[column], across(x), up(y), None, size=3.6, title=f"{told} {y:.4f}, step {x:.0f}")


def _chosen(column: str, curves: Sequence[LearningCurve], across: Scale, up: Scale) -> str:
    """A ring on each seed's score where its weights were chosen."""
    rings = []
    for curve in curves:
        for epoch in curve.epochs:
            if epoch.step == curve.chosen and epoch.score is not None:
                told = f"{TITLES[column]}, seed {curve.seed}, chosen: {epoch.score:.4f}, step {epoch.step}"
                rings.append(mark("circle", across(epoch.step), up(epoch.score), None, size=6, title=told))
    return element("g", *rings, fill="none", stroke=COLORS[column], stroke_width=1.4, pointer_events="all")


def _caption(curves: Sequence[LearningCurve], score: Scale) -> Iterator[str]:
    repeated = len({curve.column for curve in curves}) < len(curves)
    lines = "Thick lines with marks: mean over seeds; thin lines: single seeds" if repeated else "One seed of each column"
    yield f"{lines}; rings: the weights that were tested."
    if any(e.score is not None and e.score < score.low for curve in curves for e in curve.epochs):
        yield f"Scores below {score.low:.2f}, early in training, lie under the panel."
    if any(curve.optimistic for curve in curves):
        yield "Optimistic: weights were chosen by scores on the test split."
