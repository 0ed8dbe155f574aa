"""Mixes of real, synthetic and augmented samples: how many of each, and the order in which they are drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rbc_lightning.errors import InputError

Count = int | Literal["all", "rest"]
Source = Literal["real", "synthetic"]

# The five columns of Bailo et al. 2019, Table 2, by which parts of a mix are present (real, synthetic, augmented).
_COLUMNS = {
    (True, False, False): "rd",
    (False, True, False): "sd",
    (True, False, True): "rd_aug",
    (True, True, False): "rd_sd",
    (True, True, True): "rd_sd_aug",
}


@dataclass(frozen=True)
class Mix:
    """Counts of samples in one pass over a training set.

    Args:
        real: real samples, unchanged (beyond the random crop); the training images are used in turn.
        synthetic: synthetic samples, unchanged.
        augmented: samples drawn from `augmented_from` and augmented, each time anew.
        augmented_from: which samples are augmented: real ones, synthetic ones, or both in turn.
    """

    real: int
    synthetic: int
    augmented: int
    augmented_from: tuple[Source, ...] = ("real",)

    def __post_init__(self) -> None:
        if min(self.real, self.synthetic, self.augmented) < 0 or self.total == 0:
            raise InputError(
                f"mix of {self.real} real, {self.synthetic} synthetic and {self.augmented} augmented samples; expected counts "
                "of at least 0 and one sample in all: set mix.real, mix.synthetic or mix.augmented"
            )
        if not self.augmented_from or set(self.augmented_from) - {"real", "synthetic"}:
            raise InputError(f"mix.augmented_from={list(self.augmented_from)}; expected [real], [synthetic] or both")
        if self.augmented and "synthetic" in self.augmented_from and not self.synthetic:
            raise InputError("mix.augmented_from asks for synthetic samples, yet mix.synthetic is 0: set a count for it")

    @classmethod
    def resolve(
        cls,
        n_real: int,
        *,
        real: Count,
        synthetic: Count,
        augmented: Count,
        total: int | None,
        augmented_from: Sequence[Source] = ("real",),
    ) -> "Mix":
        """Turn the words of a mix file into counts.

        Args:
            n_real: number of real training images.
            real: a count; "all" for as many as there are real training images; "rest" for an equal share of what `total`
                leaves. Likewise `synthetic` and `augmented`.
            synthetic: see `real`.
            augmented: see `real`.
            total: size of the mix; needed when a part is "rest".
            augmented_from: see the class.

        Raises:
            InputError: an unknown word, "rest" without a total, or a total smaller than the fixed parts.
        """
        parts: dict[str, Count] = {"real": real, "synthetic": synthetic, "augmented": augmented}
        counts = {name: _fixed_count(name, value, n_real) for name, value in parts.items()}
        open_parts = [name for name, count in counts.items() if count is None]
        fixed = sum(count or 0 for count in counts.values())
        if open_parts and (total is None or total < fixed):
            raise InputError(
                f"mix.total={total} with {fixed} samples already fixed and {', '.join(open_parts)} set to rest; expected a "
                "total of at least the fixed parts: raise mix.total"
            )
        if not open_parts and total is not None and total != fixed:
            raise InputError(f"mix.total={total}, yet the parts add up to {fixed}; set one part to rest, or mix.total=null")
        left = (total or 0) - fixed
        for place, name in enumerate(open_parts):
            # The first parts take the remainder, so that the sum is exact.
            counts[name] = left // len(open_parts) + (1 if place < left % len(open_parts) else 0)
        return cls(counts["real"] or 0, counts["synthetic"] or 0, counts["augmented"] or 0, tuple(augmented_from))

    @property
    def total(self) -> int:
        """Samples in one pass."""
        return self.real + self.synthetic + self.augmented

    @property
    def column(self) -> str:
        """The column of S3 Table 2 this mix belongs to, by its counts and never by its name; "other" if none."""
        return _COLUMNS.get((self.real > 0, self.synthetic > 0, self.augmented > 0), "other")


@dataclass(frozen=True)
class Draw:
    """One draw: which sample, from which pool, augmented or not; `serial` counts all draws of the training."""

    source: Source
    index: int
    augmented: bool
    serial: int


class MixStream:
    """An endless, reproducible stream of draws from a mix.

    Each pass over the mix is a fresh permutation; the draw at a position depends on (seed, position) alone, whatever
    the number of workers, and is right after a resume.

    Args:
        mix: the counts.
        n_real: real training samples at hand.
        n_synthetic: synthetic samples at hand.
        seed: of the permutations.
    """

    def __init__(self, mix: Mix, n_real: int, n_synthetic: int, seed: int) -> None:
        needs_real = mix.real > 0 or (mix.augmented > 0 and "real" in mix.augmented_from)
        if needs_real and n_real == 0:
            raise InputError("the mix asks for real samples and the train split has none; add some to splits.csv")
        if mix.synthetic > 0 and n_synthetic == 0:
            raise InputError("the mix asks for synthetic samples and none were made; run stage=synthesize")
        self.mix, self.seed = mix, seed
        self._pool = self._one_pass(n_real, n_synthetic)
        self._pass = -1
        self._order = np.empty(0, dtype=np.int64)

    def __getitem__(self, serial: int) -> Draw:
        number, place = divmod(serial, self.mix.total)
        if number != self._pass:
            self._pass = number
            self._order = np.random.default_rng(np.random.SeedSequence([self.seed, number])).permutation(self.mix.total)
        source, index, augmented = self._pool[int(self._order[place])]
        return Draw(source, index, augmented, serial)

    def _one_pass(self, n_real: int, n_synthetic: int) -> list[tuple[Source, int, bool]]:
        sizes: dict[Source, int] = {"real": n_real, "synthetic": n_synthetic}
        pool: list[tuple[Source, int, bool]] = [("real", i % n_real, False) for i in range(self.mix.real)]
        pool += [("synthetic", i % n_synthetic, False) for i in range(self.mix.synthetic)]
        sources = self.mix.augmented_from
        for i in range(self.mix.augmented):
            source = sources[i % len(sources)]
            pool.append((source, (i // len(sources)) % sizes[source], True))
        return pool


def _fixed_count(name: str, value: Count, n_real: int) -> int | None:
    if value == "rest":
        return None
    if value == "all":
        return n_real
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise InputError(f"mix.{name}={value!r}; expected a count, all (as many as real training images) or rest (of mix.total)")
