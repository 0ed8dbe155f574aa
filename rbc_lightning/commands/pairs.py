"""`stage=pairs`: how good synthetic pairs are, of whatever source, beside the real ones."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from rbc_lightning.commands.experiment import Experiment
from rbc_lightning.commands.refusals import refuse_pairs
from rbc_lightning.core.progress import console
from rbc_lightning.core.seeds import derive_seed
from rbc_lightning.core.trainer import check_count
from rbc_lightning.data.conversions import to_rgb
from rbc_lightning.data.spec import Image, ImageSpec, LabelMap
from rbc_lightning.errors import InputError
from rbc_lightning.evaluation.pair_quality.recipe import MeasuredPairs
from rbc_lightning.evaluation.pair_quality.result import NearestPair, PairQuality
from rbc_lightning.pairs.base import PairSource
from rbc_lightning.report.figures.pair_quality import pair_tables, save_layout_card, save_quality_card
from rbc_lightning.report.figures.pair_sheets import ShownPair, save_sheet_of_pairs
from rbc_lightning.tracking.wandb_tables import log_sheets, log_summary

_SHOWN = 8
# Distances of patterns, of which unrelated ones are sqrt(2) apart, from which on it is said that nothing is alike.
_UNLIKE = 1.35


@dataclass(frozen=True)
class PairsResult:
    """Where the numbers and pictures are."""

    directory: Path
    figures: tuple[Path, ...]
    quality: PairQuality

    def summary(self) -> str:
        """One line for the end of the run."""
        beside = ", ".join(path.name for path in self.figures)
        return f"Quality of {self.quality.n} synthetic pairs in {self.directory}; look at {beside}"


def run(cfg: DictConfig) -> PairsResult:
    """Measure the first `synthetic.count` pairs of the chosen source, those of stage=synthesize, and show them."""
    experiment = Experiment(cfg)
    count = experiment.synthetic.count
    check_count("synthetic.count", count, 2)
    if experiment.synthetic.path is not None:
        raise InputError("stage=pairs measures the pairs of a source (pairs=...); drop synthetic.path")
    source, store = experiment.pairs(), experiment.store
    refuse_pairs(experiment, source)
    recipe = MeasuredPairs(pairs=source, network=experiment.fcn_score(), count=count, manifest=experiment.manifest)
    quality, directory = store.make(recipe), store.path(recipe)
    for table in pair_tables(quality):
        console.print(table)
    figures = tuple(directory / f"{name}.png" for name in ("layout_card", "quality_card", "random", "nearest"))
    save_layout_card(figures[0], quality)
    save_quality_card(figures[1], quality)
    _sheets(experiment, source, quality, figures[2], figures[3])

    def show(run: Any) -> None:  # noqa: ANN401 (an online service's own type)
        log_sheets(run, {path.stem: path for path in figures})
        log_summary(run, {"pair_quality": quality.to_dict()})

    tags = [type(source).__name__, experiment.reader.name]
    experiment.tracking.show_once(directory, job="pairs", tags=tags, action=show)
    return PairsResult(directory, figures, quality)


def _sheets(experiment: Experiment, source: PairSource, quality: PairQuality, random: Path, nearest: Path) -> None:
    """Draw the first pairs beside real ones chosen at random, and the pairs nearest to train beside these."""
    train, spec, draw, view = source.train, source.train.spec, source.open(experiment.store), source.views(source.train)
    by_id = {sample.sample_id: sample for sample in train}

    def made(index: int, note: str = "") -> ShownPair:
        pair = draw(index)
        return _shown(pair.image, pair.label_map, spec, f"synthetic {index}{note}")

    def real(index: int) -> ShownPair:
        one = view(index)
        return _shown(*one.load(), spec, f"train {one.sample.sample_id[-24:]}")

    def place(one: NearestPair) -> ShownPair:
        sample, title = by_id[one.train_id], f"train {one.train_id[-24:]}"
        image, label_map = sample.load_image(), sample.load_label_map()
        if one.corner:
            row, column = one.corner
            window = slice(row, row + quality.window), slice(column, column + quality.window)
            turned = tuple(slice(None, None, -1 if flipped else 1) for flipped in one.flipped)
            image, label_map = image[window][turned], label_map[window][turned]
            title += f"\nrow {row}, column {column}{', mirrored' * any(one.flipped)}"
            if one.distance > _UNLIKE:
                title = "nothing in train is like it"
        return _shown(image, label_map, spec, title)

    rng = np.random.default_rng(derive_seed(experiment.seeds.synthetic, "preview"))
    first = [made(index) for index in range(min(_SHOWN, quality.n))]
    chosen = sorted(rng.choice(quality.n_train, min(len(first), quality.n_train), replace=False).tolist())
    save_sheet_of_pairs(random, first, [real(index) for index in chosen])
    named = quality.nearest[:_SHOWN]
    pairs = [made(one.pair, f"\ndistance {one.distance:.2f}, RMSE {one.rmse:.1f}") for one in named]
    save_sheet_of_pairs(nearest, pairs, [place(one) for one in named])


def _shown(image: Image, label_map: LabelMap, spec: ImageSpec, title: str) -> ShownPair:
    """Of scans every channel is a picture of its own."""
    parts = [image[..., channel, None] for channel in range(spec.n_channels)] if spec.standard else [image]
    return ShownPair(tuple(to_rgb(part, spec) for part in parts), spec.targets(label_map), title)
