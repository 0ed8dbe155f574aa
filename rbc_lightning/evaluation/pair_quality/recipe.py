"""`MeasuredPairs`: the first pairs of any source measured beside real ones; made once, and resumed pair by pair."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rbc_lightning.core.files import write_text
from rbc_lightning.core.progress import count_progress
from rbc_lightning.core.recipe import Recipe, Work, aside, outline
from rbc_lightning.core.seeds import derive_seed
from rbc_lightning.data.manifest import Manifest, Samples
from rbc_lightning.data.spec import Image, LabelMap
from rbc_lightning.evaluation.fcn_score import FcnScoreNetwork
from rbc_lightning.evaluation.pair_quality.compare import compare
from rbc_lightning.evaluation.pair_quality.layout import RealPairs
from rbc_lightning.evaluation.pair_quality.measured import MeasuredPair, measure_pair
from rbc_lightning.evaluation.pair_quality.result import QUALITY_FILE, PairQuality
from rbc_lightning.pairs.base import PairSource

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
    format = 1
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
        with count_progress("Measuring pairs", self._units()) as advance:

            def measured(name: str, count: int, get: Callable[[int], tuple[Image, LabelMap]]) -> list[MeasuredPair]:
                found = []
                for index in range(count):
                    path = directory / _MEASURED / f"{name}_{index:05d}.npz"
                    if not path.is_file():
                        # Of the pairs that it learned from the network would say too much.
                        measure_pair(*get(index), spec, None if name == "train" else network).save(path)
                    found.append(MeasuredPair.load(path))
                    advance(self.done_units(directory), self._units())
                return found

            def generated(index: int) -> tuple[Image, LabelMap]:
                pair = draw(index)
                return pair.image, pair.label_map

            def real(name: str, samples: Samples) -> RealPairs:
                every = samples.with_context().samples
                pairs = measured(name, len(every), lambda index: (every[index].load_image(), every[index].load_label_map()))
                return RealPairs(tuple(pairs), tuple(s.group for s in every), tuple(s.sample_id for s in every))

            ours = measured("generated", self.count, generated)
            train, val = real("train", self.pairs.train), real("val", self.network.val)
        quality = compare(ours, train, val, spec, derive_seed(self.pairs.seed, "preview"))
        write_text(directory / QUALITY_FILE, quality.to_json())
        shutil.rmtree(directory / _MEASURED)

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
        return self.count + len(self.pairs.train) + len(self.network.val)
