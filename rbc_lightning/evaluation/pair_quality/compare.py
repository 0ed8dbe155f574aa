"""Measured pairs, generated and real, to numbers beside each other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.data.spec import ImageSpec
from rbc_lightning.evaluation.pair_quality.layout import RealPairs, layout_rows
from rbc_lightning.evaluation.pair_quality.measured import MeasuredPair
from rbc_lightning.evaluation.pair_quality.novelty import Diversity, Nearest, diversity, nearest_training_pairs
from rbc_lightning.evaluation.pair_quality.result import Agreement, NearestPair, PairQuality, SetNovelty

# Pairs named as those nearest to a training pair.
_NAMED = 8

Floats = NDArray[np.float64]


def compare(generated: Sequence[MeasuredPair], train: RealPairs, val: RealPairs, spec: ImageSpec, seed: int) -> PairQuality:
    """Every number of the generated pairs beside the training pairs and the validation pairs, of which there may be none.

    Args:
        generated: two or more, shown to the FCN-score network, as those of validation.
        train: what the source learned from, or takes its pairs from.
        val: held out.
        spec: of the pairs, with the context where there is one.
        seed: of what is drawn at random where there is too much to compare.
    """
    twins_of = min(len(generated), len(train.pairs))
    spreads = {
        name: diversity(pairs, seed, twins_of)
        for name, pairs in (("", generated), ("_train", train.pairs), ("_val", val.pairs))
        if pairs
    }
    ours = nearest_training_pairs(generated, train.pairs, seed)
    theirs = nearest_training_pairs(val.pairs, train.pairs, seed) if val.pairs else None
    found = {"": ours, "_val": theirs}
    distances, cells = (theirs.distance, theirs.cells) if theirs else (np.zeros(0), np.zeros(0))
    novelties = {f"novelty{name}": _novelty(spreads.get(name), found.get(name)) for name in ("", "_train", "_val")}
    order = np.argsort(ours.distance, kind="stable")[:_NAMED].tolist()
    return PairQuality(
        n=len(generated),
        n_train=len(train.pairs),
        n_val=len(val.pairs),
        layout=tuple(layout_rows(generated, train, val, spec)),
        agreement=Agreement.of(generated),
        agreement_val=Agreement.of(val.pairs),
        **novelties,
        near_1=_nearer(ours.distance, distances, 1),
        near_5=_nearer(ours.distance, distances, 5),
        cells_near_1=_nearer(ours.cells, cells, 1),
        cells_near_5=_nearer(ours.cells, cells, 5),
        twins_1=_nearer(spreads[""].twin_distances, spreads["_train"].twin_distances, 1),
        nearest=tuple(
            NearestPair(index, train.ids[ours.index[index]], float(ours.distance[index]), float(ours.rmse[index]))
            for index in order
        ),
    )


def _nearer(ours: Floats, reference: Floats, percentile: float) -> float:
    """Share of distances below a percentile of the reference's; NaN where either is empty."""
    if not len(ours) or not len(reference):
        return math.nan
    return float((ours < np.percentile(reference, percentile)).mean())


def _novelty(spread: Diversity | None, nearest: Nearest | None) -> SetNovelty:
    images, masks, twins = (spread.images, spread.masks, spread.twins) if spread else (math.nan,) * 3
    if nearest is None:
        return SetNovelty(images, masks, twins)
    return SetNovelty(
        images,
        masks,
        twins,
        nearest=float(np.median(nearest.distance)),
        rmse=float(np.median(nearest.rmse)),
        cells=float(np.median(nearest.cells)) if len(nearest.cells) else math.nan,
        nearest_values=tuple(nearest.distance.round(4).tolist()),
        cells_values=tuple(nearest.cells.round(4).tolist()),
    )
