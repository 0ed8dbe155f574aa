"""`MeasuredPairs`: the first pairs of any source measured beside real ones; made once, and resumed pair by pair."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import count as counted
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rbc_lightning.core.files import write_text
from rbc_lightning.core.progress import count_progress
from rbc_lightning.core.recipe import Recipe, Work, aside, outline
from rbc_lightning.core.seeds import derive_seed
from rbc_lightning.data.conversions import to_levels
from rbc_lightning.data.manifest import Manifest, Samples
from rbc_lightning.data.spec import Image, LabelMap
from rbc_lightning.evaluation.fcn_score import FcnScoreNetwork
from rbc_lightning.evaluation.pair_quality.compare import compare
from rbc_lightning.evaluation.pair_quality.layout import RealPairs
from rbc_lightning.evaluation.pair_quality.measured import MeasuredPair, measure_pair
from rbc_lightning.evaluation.pair_quality.patches import cells_of
from rbc_lightning.evaluation.pair_quality.places import Levels, Place, PlacesOfCrops, n_searched, nearest_places
from rbc_lightning.evaluation.pair_quality.result import QUALITY_FILE, PairQuality
from rbc_lightning.evaluation.realism import cell_crops
from rbc_lightning.pairs.base import Pair, PairSource, RealView

if TYPE_CHECKING:
    from rbc_lightning.core.store import Store

_MEASURED = "measured"


@dataclass(frozen=True, kw_only=True)
class MeasuredPairs(Recipe[PairQuality]):
    """The first `count` pairs of a source beside its training pairs; the yardstick is the validation pairs of the network.

    These chose the network's weights and nothing else; test samples take no part. Pairs that descend from held-out samples of
    `manifest` are an `InputError`.
    """

    kind = "pair_quality"
    format = 2
    title = "quality of pairs"

    pairs: PairSource
    network: FcnScoreNetwork
    count: int
    manifest: Manifest | None = aside(None)

    def build(self, directory: Path, store: Store) -> None:
        """Make and measure the pairs that an interrupted attempt has not, measure the real ones, and compare."""
        if self.manifest is not None:
            self.pairs.refuse_held_out(store, self.manifest)
        draw, network, spec = self.pairs.open(store), store.make(self.network), self.pairs.train.spec
        (directory / _MEASURED).mkdir(exist_ok=True)
        units = self._units()
        with count_progress("Measuring pairs", units) as advance:

            def measured(name: str, count: int, get: Callable[[int], tuple[Image, LabelMap]]) -> list[MeasuredPair]:
                found = []
                for index in range(count):
                    path = directory / _MEASURED / f"{name}_{index:05d}.npz"
                    if not path.is_file():
                        # Of the pairs that it learned from the network would say too much.
                        measure_pair(*get(index), spec, None if name == "train" else network).save(path)
                    found.append(MeasuredPair.load(path))
                    advance(self.done_units(directory), units)
                return found

            def generated(index: int) -> tuple[Image, LabelMap]:
                pair = draw(index)
                return pair.image, pair.label_map

            def real(name: str, views: Sequence[RealView]) -> RealPairs:
                pairs = measured(name, len(views), lambda index: views[index].load())
                return RealPairs(
                    tuple(pairs), tuple(one.sample.group for one in views), tuple(one.sample.sample_id for one in views)
                )

            ours, val_views = measured("generated", self.count, generated), self._views(self.network.val)
            train, val = real("train", self._views(self.pairs.train)), real("val", val_views)
        places = self._places(draw, val_views)
        quality = compare(ours, train, val, spec, derive_seed(self.pairs.seed, "preview"), places)
        write_text(directory / QUALITY_FILE, quality.to_json())
        shutil.rmtree(directory / _MEASURED)

    def _views(self, samples: Samples) -> list[RealView]:
        view = self.pairs.views(samples)
        return [view(index) for index in range(self._n_views(samples))]

    def _n_views(self, samples: Samples) -> int:
        """All whole samples; or as many crops as are generated, and one for each sample at least."""
        return len(samples) if self.pairs.window is None else max(self.count, len(samples))

    def _places(self, draw: Callable[[int], Pair], val: Sequence[RealView]) -> PlacesOfCrops | None:
        """The nearest training places of the first crops of either set; None where pairs are no crops."""
        window, train, spec = self.pairs.window, self.pairs.train.samples, self.pairs.train.spec
        if window is None:
            return None
        sizes = [sample.size for sample in train]
        cells = tuple(cell_crops(sample.load_image(), cells_of(sample.load_label_map(), spec)) for sample in train)

        def searched(what: str, most: int, image: Callable[[int], Image]) -> tuple[Place, ...]:
            count = n_searched(most, sizes, window, upright=spec.upright)
            with count_progress(f"Searching {count} {what} crops in train", len(train)) as advance:
                turns = counted(1)

                def load(index: int) -> Levels:
                    # Some are read again in the end.
                    advance(min(next(turns), len(train)), len(train))
                    return to_levels(train[index].load_image(), spec)

                crops = np.stack([to_levels(image(index), spec) for index in range(count)])
                return tuple(nearest_places(crops, load, len(train), upright=spec.upright))

        generated = searched("synthetic", self.count, lambda index: draw(index).image)
        real = searched("validation", len(val), lambda index: val[index].load()[0])
        return PlacesOfCrops(window, self.pairs.train.ids, cells, generated, real)

    def load(self, directory: Path, store: Store) -> PairQuality:  # noqa: ARG002 (nothing else is needed)
        """The numbers."""
        return PairQuality.from_json((directory / QUALITY_FILE).read_text())

    def work(self) -> Work:
        """Pairs, real ones as well."""
        train = self.pairs.train
        about = [outline(self.pairs), self.network.model.decisive(), train.samples[0].size, asdict(train.spec)]
        return Work(self._units(), "pairs", about)

    def done_units(self, directory: Path) -> int:
        """See `Recipe`."""
        return len(list((directory / _MEASURED).glob("*.npz")))

    def _units(self) -> int:
        return self.count + self._n_views(self.pairs.train) + self._n_views(self.network.val)
