"""What a training went through: its loss and its validation score by epoch."""

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rbc_lightning.study.run_record import MEMBERS, Run

_LOSS = "train/loss"


class Epoch(NamedTuple):
    """Optimiser steps done at the end of an epoch, mean training loss over its steps, validation score at its end."""

    step: int
    loss: float | None
    score: float | None


class LearningCurve(NamedTuple):
    """What the training of a run went through.

    `epochs` are in order of steps, none where no curves were recorded; `chosen` is the one after which the tested weights were
    taken, with its score, None where that is not known.
    """

    run: Run
    epochs: tuple[Epoch, ...]
    chosen: Epoch | None


def learning_curves(run: Run) -> list[LearningCurve]:
    """The curve of a run; of an ensemble those of its members, as far as they are recorded."""
    members = run.metrics.get("members", ())
    if not members:
        return [learning_curve(run)]
    places = [run.directory / MEMBERS / str(number) for number in range(len(members))]
    alone = [replace(run, directory=place, metrics={**run.metrics, **of}) for place, of in zip(places, members, strict=True)]
    return [curve._replace(run=run) for curve in map(learning_curve, alone)]


def learning_curve(run: Run) -> LearningCurve:
    """Training loss and validation score of a run by epoch; of steps that a resumed training repeated, the later part counts.

    The loss is the mean over the recorded steps of an epoch, finite ones; the score is the one that chose the weights, of the
    test split where they are optimistic.
    """
    monitor = str(run.metrics["headline"]).replace("test/", "val/", 1)
    # By epoch and step.
    losses: dict[int, dict[int, float]] = {}
    scores: dict[int, dict[int, float]] = {}
    # Of several attempts curves_10 comes after curves_2.
    for path in sorted(run.directory.glob("curves*/metrics.csv"), key=lambda path: (len(path.parent.name), path.parent.name)):
        for step, epoch, row in _rows(path):
            for found, name in ((losses, _LOSS), (scores, monitor)):
                value = _number(row.get(name))
                if math.isfinite(value):
                    found.setdefault(epoch, {})[step] = value
    epochs = tuple(_epochs(losses, scores))
    best = run.metrics.get(monitor.replace("val/", "selection/", 1) if run.optimistic else monitor)
    # Of equal scores the first was kept.
    chosen = next((epoch for epoch in epochs if epoch.score is not None and epoch.score == best), None)
    return LearningCurve(run, epochs, chosen)


def _rows(path: Path) -> Iterator[tuple[int, int, Mapping[str, str | None]]]:
    """Step (from 1), epoch and values of each whole row."""
    with path.open(newline="", errors="replace") as handle:
        for row in csv.DictReader(handle):
            step, epoch = row.get("step"), row.get("epoch")
            # A row torn by the end of its process was written again by the next one.
            if step and epoch and step.isdecimal() and epoch.isdecimal():
                # Lightning counts steps from 0.
                yield int(step) + 1, int(epoch), row


def _number(text: str | None) -> float:
    try:
        return float(text or math.nan)
    except ValueError:
        return math.nan


def _epochs(losses: Mapping[int, Mapping[int, float]], scores: Mapping[int, Mapping[int, float]]) -> Iterator[Epoch]:
    for epoch in sorted({*losses, *scores}):
        trained, validated = losses.get(epoch, {}), scores.get(epoch, {})
        step, score = max(validated.items(), default=(0, None))
        yield Epoch(max([step, *trained]), float(np.mean(list(trained.values()))) if trained else None, score)
