"""The quality of synthetic pairs: its numbers, each beside what real pairs give, and what stands out."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rbc_lightning.evaluation.pair_quality.layout import Distances, LayoutRow
from rbc_lightning.evaluation.pair_quality.measured import MeasuredPair
from rbc_lightning.evaluation.result import changed

QUALITY_FILE = "pair_quality.json"

# Below this share of the diversity of training pairs a set has collapsed.
_COLLAPSED = 0.5
# Of the pairs nearer to train than 99 of 100 validation pairs are: above this share it is said.
_COPIED = 0.1
# A network that finds less of real masks, beyond what place alone gives, tells little.
_TELLS = 0.2
# Images whose masks it finds so much less of than of real ones do not show them.
_SHOWS = 0.5
# Percentiles of fewer validation pairs are those of one or two.
_FEW = 20


@dataclass(frozen=True)
class Agreement:
    """Dice of what the FCN-score network finds in images and of their masks, of one set.

    Attributes:
        dice: mean over pairs whose mask is not empty.
        pooled: of the pixels of all pairs.
        exchanged: the same against the mask of the next pair: what place alone gives; NaN for a single pair.
        by_pair: of each pair whose mask is not empty.
    """

    dice: float
    pooled: float
    exchanged: float
    by_pair: tuple[float, ...]

    @classmethod
    def of(cls, pairs: Sequence[MeasuredPair]) -> Agreement:
        """Of measured pairs that the network was shown; NaN without any."""
        by_pair = tuple(round(pair.agreement().dice, 4) for pair in pairs if not pair.is_empty)
        turned = [(a, b) for a, b in zip(pairs, [*pairs[1:], *pairs[:1]], strict=True) if np.array_equal(a.shape, b.shape)]
        turned = turned if len(pairs) > 1 else []
        own, others = [pair.agreement() for pair in pairs], [a.agreement(b) for a, b in turned]
        return cls(float(np.mean(by_pair)) if by_pair else math.nan, _pooled(own), _pooled(others), by_pair)

    @property
    def beyond_place(self) -> float:
        """Pooled Dice as a share of the way from that of exchanged masks to 1."""
        place = 0.0 if math.isnan(self.exchanged) else self.exchanged
        return (self.pooled - place) / (1 - place) if place < 1 else math.nan


@dataclass(frozen=True)
class SetNovelty:
    """Diversity and memorisation of one set: see `Diversity` and `Nearest`; medians, NaN where not measured.

    Attributes:
        images, masks, twins: diversity.
        nearest, rmse, cells: distances to the nearest training pair or cell.
        nearest_values, cells_values: of each, for figures.
    """

    images: float
    masks: float
    twins: float
    nearest: float = math.nan
    rmse: float = math.nan
    cells: float = math.nan
    nearest_values: tuple[float, ...] = ()
    cells_values: tuple[float, ...] = ()


@dataclass(frozen=True)
class NearestPair:
    """A synthetic pair and the training pair whose image is most like its own; of crops the place in it.

    Attributes:
        pair: its number.
        train_id: sample_id.
        distance: of the patterns, see `SetNovelty`.
        rmse: in grey levels.
        corner: row and column of the upper left pixel of the window of a crop's size; empty where pairs are no crops.
        flipped: whether rows, and columns, of that window stand in reverse order in the crop.
    """

    pair: int
    train_id: str
    distance: float
    rmse: float
    corner: tuple[int, ...] = ()
    flipped: tuple[bool, bool] = (False, False)


@dataclass(frozen=True)
class PairQuality:
    """Everything measured of the first pairs of a source.

    Attributes:
        n, n_train, n_val: pairs measured.
        window: side of the pairs, pixels, where they and the real ones are windows of images; else 0.
        n_train_images, n_val_images: samples that the real pairs are, or are cut from.
        without_ventricles: see `lack_ventricles`.
        layout: see `LayoutRow`.
        agreement, agreement_val: see `Agreement`.
        novelty, novelty_train, novelty_val: see `SetNovelty`; of train nothing is its own nearest.
        near_1, near_5: share of pairs nearer to a training pair than the 1st and the 5th percentile of validation pairs.
        cells_near_1, cells_near_5: the same of cells or patches.
        twins_1: share of pairs nearer to another one than the 1st percentile of training pairs is.
        nearest: the pairs nearest to a training pair, nearest first.
    """

    n: int
    n_train: int
    n_val: int
    window: int
    n_train_images: int
    n_val_images: int
    without_ventricles: bool
    layout: tuple[LayoutRow, ...]
    agreement: Agreement
    agreement_val: Agreement
    novelty: SetNovelty
    novelty_train: SetNovelty
    novelty_val: SetNovelty
    near_1: float
    near_5: float
    cells_near_1: float
    cells_near_5: float
    twins_1: float
    nearest: tuple[NearestPair, ...]

    def notes(self) -> list[str]:
        """What the numbers are of, where that is not plain, a line each."""
        lines = []
        if self.window:
            real = f"{self.n_train} crops of {self.n_train_images} training images"
            real += f" and {self.n_val} of {self.n_val_images} validation images" if self.n_val else ""
            searched, others = (len(each.nearest_values) for each in (self.novelty, self.novelty_val))
            lines.append(
                f"Pairs are crops of {self.window} px; the real ones are {real}, drawn as those that the source learned from. "
                f"{searched} synthetic and {others} validation crops were searched for at all places of the training images."
            )
        if self.without_ventricles:
            where = "what is bright in a crop" if self.window else "the head"
            lines.append(
                "No synthetic label map with something labelled shows the ventricles (pair GANs draw them where "
                f"pairs.context=true), so distances are from the middle of {where}."
            )
        return lines

    def findings(self) -> list[str]:
        """What stands out, a line each."""
        return [*self._of_masks(), *self._of_diversity(), *self._of_copies(), *self._of_agreement()]

    def _of_masks(self) -> list[str]:
        empty = self.layout[0]
        if empty.mean == 1:
            return [f"Every mask is empty; of the training pairs {percent(empty.mean_train)} are."]
        far = [f"{row.name} {digits(row.mean)}, train {digits(row.mean_train)}" for row in self.layout if row.is_far]
        return [f"Further from the training masks than other real ones are (means): {'; '.join(far)}."] if far else []

    def _of_diversity(self) -> list[str]:
        lines, ours, real = [], self.novelty, self.novelty_train
        for what, value, reference in (("images", ours.images, real.images), ("masks", ours.masks, real.masks)):
            if value < _COLLAPSED * reference:
                lines.append(
                    f"Collapsed: {what} differ by {value:.3f}, those of training pairs by {reference:.3f} "
                    f"({percent(value / reference)} of it)."
                )
        if self.twins_1 > _COPIED:
            share = percent(self.twins_1)
            lines.append(f"Repeated: {share} of the images are nearer to another one than 99 % of the training images are.")
        return lines

    def _of_copies(self) -> list[str]:
        lines = [
            f"Memorised: {percent(share)} of the {what} are nearer to a training one than 99 % of the validation ones are."
            for what, share in (("images", self.near_1), ("cells or patches", self.cells_near_1))
            if share > _COPIED
        ]
        if self.n_val_images < _FEW:
            lines.append(f"Validation images: {self.n_val_images}; percentiles of fewer than {_FEW} are those of one or two.")
        return lines

    def _of_agreement(self) -> list[str]:
        ours, real = self.agreement, self.agreement_val
        if not real.beyond_place > _TELLS:
            return [
                f"The network tells little: on real validation pairs its pooled Dice is {real.pooled:.2f}, masks exchanged "
                f"{real.exchanged:.2f}; train it longer (translator.quality.steps)."
            ]
        if self.layout[0].mean < 1 and not ours.beyond_place > _SHOWS * real.beyond_place:
            return [f"Images do not show their masks: pooled Dice {ours.pooled:.2f}, masks exchanged {ours.exchanged:.2f}."]
        return []

    def to_dict(self) -> dict[str, Any]:
        """Plain containers for JSON, with `notes` and `findings`; None stands for NaN."""
        content = {**asdict(self), "notes": self.notes(), "findings": self.findings()}
        # NaN alone differs from itself.
        return dict(changed(content, lambda value: value if value == value else None, list))

    def to_json(self) -> str:
        """JSON text of `to_dict`."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> PairQuality:
        """Read back what `to_json` gave."""
        content = changed(json.loads(text), lambda value: math.nan if value is None else value, tuple)
        del content["notes"], content["findings"]
        layout = tuple(_row(row) for row in content["layout"])
        agreements = {name: Agreement(**content[name]) for name in ("agreement", "agreement_val")}
        sets = {name: SetNovelty(**content[name]) for name in ("novelty", "novelty_train", "novelty_val")}
        nearest = tuple(NearestPair(**entry) for entry in content["nearest"])
        return cls(**content | agreements | sets | {"layout": layout, "nearest": nearest})


def digits(value: float) -> str:
    """Three digits; "-" where it could not be measured."""
    if math.isnan(value):
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) >= 1 else f"{value:.3f}"


def percent(share: float) -> str:
    """A share as whole per cent."""
    return f"{100 * share:.0f} %"


def _row(row: dict[str, Any]) -> LayoutRow:
    return LayoutRow(**row | {name: Distances(**row[name]) for name in ("generated", "val", "one_patient")})


def _pooled(counts: Sequence[Any]) -> float:
    total = sum(count.prediction + count.target for count in counts)
    return 2 * sum(count.both for count in counts) / total if total else math.nan
