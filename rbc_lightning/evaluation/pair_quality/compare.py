"""Measured pairs, generated and real, to numbers beside each other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.data.spec import ImageSpec
from rbc_lightning.evaluation.pair_quality.layout import RealPairs, lack_ventricles, layout_rows
from rbc_lightning.evaluation.pair_quality.measured import MeasuredPair
from rbc_lightning.evaluation.pair_quality.novelty import Diversity, diversity, nearest_cells, nearest_training_pairs
from rbc_lightning.evaluation.pair_quality.places import PlacesOfCrops
from rbc_lightning.evaluation.pair_quality.result import Agreement, NearestPair, PairQuality, SetNovelty

# Pairs named as those nearest to a training pair.
_NAMED = 8

Floats = NDArray[np.float64]


def compare(
    generated: Sequence[MeasuredPair],
    train: RealPairs,
    val: RealPairs,
    spec: ImageSpec,
    seed: int,
    places: PlacesOfCrops | None = None,
) -> PairQuality:
    """Every number of the generated pairs beside the training pairs and the validation pairs, of which there may be none.

    Args:
        generated: two or more, shown to the FCN-score network, as those of validation.
        train: what the source learned from, or takes its pairs from; of crops, crops drawn as it drew them.
        val: held out.
        spec: of the pairs, with the context where there is one.
        seed: of what is drawn at random where there is too much to compare.
        places: of crops, their nearest places in the training images.
    """
    twins_of = min(len(generated), len(train.pairs))
    spreads = {
        name: diversity(pairs, seed, twins_of)
        for name, pairs in (("", generated), ("_train", train.pairs), ("_val", val.pairs))
        if pairs
    }
    nearest = _of_places(places) if places else _of_pairs(generated, train, val)
    known = places.cells if places else [pair.crops for pair in train.pairs]
    cells = {
        name: nearest_cells([pair.crops for pair in pairs], known, seed) if pairs else np.zeros(0)
        for name, pairs in (("", generated), ("_val", val.pairs))
    }
    ours, theirs = (np.array([one.distance for one in nearest[name]]) for name in ("", "_val"))
    novelties = {
        f"novelty{name}": _novelty(spreads.get(name), nearest.get(name, ()), cells.get(name, np.zeros(0)))
        for name in ("", "_train", "_val")
    }
    return PairQuality(
        n=len(generated),
        n_train=len(train.pairs),
        n_val=len(val.pairs),
        window=places.window if places else 0,
        n_train_images=len(set(train.ids)),
        n_val_images=len(set(val.ids)),
        without_ventricles=lack_ventricles(generated, train.pairs),
        layout=tuple(layout_rows(generated, train, val, spec, crops=places is not None)),
        agreement=Agreement.of(generated),
        agreement_val=Agreement.of(val.pairs),
        **novelties,
        near_1=_nearer(ours, theirs, 1),
        near_5=_nearer(ours, theirs, 5),
        cells_near_1=_nearer(cells[""], cells["_val"], 1),
        cells_near_5=_nearer(cells[""], cells["_val"], 5),
        twins_1=_nearer(spreads[""].twin_distances, spreads["_train"].twin_distances, 1),
        nearest=tuple(sorted(nearest[""], key=lambda one: one.distance)[:_NAMED]),
    )


def _of_pairs(generated: Sequence[MeasuredPair], train: RealPairs, val: RealPairs) -> dict[str, list[NearestPair]]:
    """The nearest training pair of every pair."""
    found: dict[str, list[NearestPair]] = {}
    for name, pairs in (("", generated), ("_val", val.pairs)):
        nearest = nearest_training_pairs(pairs, train.pairs) if pairs else None
        rows = zip(nearest.index, nearest.distance, nearest.rmse, strict=True) if nearest else ()
        found[name] = [NearestPair(at, train.ids[index], float(d), float(rmse)) for at, (index, d, rmse) in enumerate(rows)]
    return found


def _of_places(places: PlacesOfCrops) -> dict[str, list[NearestPair]]:
    """The nearest place of every crop that was searched."""
    return {
        name: [
            NearestPair(at, places.ids[one.image], one.distance, one.rmse, one.corner, one.flipped)
            for at, one in enumerate(some)
        ]
        for name, some in (("", places.generated), ("_val", places.val))
    }


def _nearer(ours: Floats, reference: Floats, percentile: float) -> float:
    """Share of distances below a percentile of the reference's; NaN where either is empty."""
    if not len(ours) or not len(reference):
        return math.nan
    return float((ours < np.percentile(reference, percentile)).mean())


def _novelty(spread: Diversity | None, nearest: Sequence[NearestPair], cells: Floats) -> SetNovelty:
    images, masks, twins = (spread.images, spread.masks, spread.twins) if spread else (math.nan,) * 3
    distances, rmse = ([getattr(one, name) for one in nearest] for name in ("distance", "rmse"))
    return SetNovelty(
        images,
        masks,
        twins,
        nearest=_median(distances),
        rmse=_median(rmse),
        cells=_median(cells),
        nearest_values=tuple(np.round(distances, 4).tolist()),
        cells_values=tuple(cells.round(4).tolist()),
    )


def _median(values: Sequence[float] | Floats) -> float:
    return float(np.median(values)) if len(values) else math.nan
