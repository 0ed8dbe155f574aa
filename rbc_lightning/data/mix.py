"""Mixes of real, synthetic and augmented samples: how many of each, and the order in which they are drawn."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
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
        n_real: real training images at hand, None where that does not matter: tells RD and SD from their size controls.
    """

    real: int
    synthetic: int
    augmented: int
    augmented_from: tuple[Source, ...] = ("real",)
    n_real: int | None = None

    def __post_init__(self) -> None:
        if min(self.real, self.synthetic, self.augmented) < 0 or self.total == 0:
            raise InputError(
                f"mix of {self.real} real, {self.synthetic} synthetic and {self.augmented} augmented samples; expected counts "
                "of at least 0 and one sample in all: set mix.real, mix.synthetic or mix.augmented"
            )
        if not self.augmented_from or set(self.augmented_from) - {"real", "synthetic"}:
            raise InputError(f"mix.augmented_from={list(self.augmented_from)}; expected [real], [synthetic] or both")
        if not self.augmented:
            # What decides nothing makes no difference between two mixes.
            object.__setattr__(self, "augmented_from", ("real",))
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
        ratio: Sequence[float] | None = None,
    ) -> "Mix":
        """Turn the words of a mix file into counts.

        Args:
            n_real: number of real training images.
            real: a count; "all" for as many as there are real training images; "rest" for an equal share of what `total`
                leaves. Likewise `synthetic` and `augmented`.
            synthetic: see `real`.
            augmented: see `real`.
            total: size of the mix; needed when a part is "rest", and with a ratio.
            augmented_from: see the class.
            ratio: shares real : synthetic : augmented of `total`, such as (1, 2, 1), in place of "all" and "rest".

        Raises:
            InputError: an unknown word, "rest" without a total, a total smaller than the fixed parts, or a ratio that is
                not three shares of a total, or that stands beside counts.
        """
        parts: dict[str, Count] = {"real": real, "synthetic": synthetic, "augmented": augmented}
        if ratio is not None:
            shares = _check_ratio(ratio, parts, total)
            n_real_drawn, n_synthetic, n_augmented = _apportion(shares, total or 0)
            return cls(n_real_drawn, n_synthetic, n_augmented, tuple(augmented_from), n_real)
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
        return cls(counts["real"] or 0, counts["synthetic"] or 0, counts["augmented"] or 0, tuple(augmented_from), n_real)

    @property
    def total(self) -> int:
        """Samples in one pass."""
        return self.real + self.synthetic + self.augmented

    @property
    def column(self) -> str:
        """The column of S3 Table 2 this mix belongs to, by its counts and never by its name; "other" if none.

        "rd_large" and "sd_large" are the size controls: real samples alone, repeated beyond the real training images, and
        synthetic samples alone, more than there are real training images.
        """
        if self.n_real is not None and self.augmented == 0 and 0 in (self.real, self.synthetic) and self.total > self.n_real:
            return "rd_large" if self.real else "sd_large"
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
        self._sizes: dict[Source, int] = {"real": n_real, "synthetic": n_synthetic}
        self._slots = self._one_pass()
        self._pass = -1
        self._order = np.empty(0, dtype=np.int64)

    def __getitem__(self, serial: int) -> Draw:
        number, place = divmod(serial, self.mix.total)
        if number != self._pass:
            self._pass = number
            self._order = np.random.default_rng(np.random.SeedSequence([self.seed, number])).permutation(self.mix.total)
        source, first, step, augmented = self._slots[int(self._order[place])]
        return Draw(source, (first + number * step) % self._sizes[source], augmented, serial)

    def _one_pass(self) -> list[tuple[Source, int, int, bool]]:
        """For each draw of a pass: source, index in the first pass, how far it moves on from pass to pass, augmented or not.

        Where a part is smaller than its pool, or no multiple of it, the next pass goes on where this one stopped, so that
        every sample has its turn.
        """
        real, synthetic, sources = self.mix.real, self.mix.synthetic, self.mix.augmented_from
        slots: list[tuple[Source, int, int, bool]] = [("real", i, real, False) for i in range(real)]
        slots += [("synthetic", i, synthetic, False) for i in range(synthetic)]
        for place, source in enumerate(sources):
            share = len(range(place, self.mix.augmented, len(sources)))
            slots += [(source, i, share, True) for i in range(share)]
        return slots


def _check_ratio(ratio: Sequence[float], parts: dict[str, Count], total: int | None) -> list[Fraction]:
    """The shares as exact fractions; what YAML or the command line may bring instead is refused."""
    wanted = "expected three shares real : synthetic : augmented, none negative and not all 0, such as [1, 2, 1]"
    shares = list(ratio) if isinstance(ratio, Sequence) and not isinstance(ratio, str) else []
    numbers = [share for share in shares if isinstance(share, int | float) and not isinstance(share, bool)]
    if len(shares) != 3 or len(numbers) != 3 or not all(0 <= share < math.inf for share in numbers) or not any(numbers):
        raise InputError(f"mix.ratio={ratio}; {wanted}")
    # A count, 0 as well, is a decision that the ratio would overrule without a word.
    counts = {name: value for name, value in parts.items() if isinstance(value, int)}
    if counts:
        name, value = next(iter(counts.items()))
        raise InputError(
            f"mix.ratio={shares} and mix.{name}={value}; expected a ratio of mix.total or counts, not both: set "
            f"mix.{name}=rest, or mix.ratio=null"
        )
    for name, word in parts.items():
        _fixed_count(name, word, 0)
    if not isinstance(total, int) or isinstance(total, bool) or total < 1:
        raise InputError(f"mix.ratio={shares}, mix.total={total}; expected a total of at least 1 to share out: set mix.total")
    # By way of the decimal text: 0.1 : 0.2 : 0.1 is meant to be 1 : 2 : 1 exactly.
    return [Fraction(str(share)) for share in numbers]


def _apportion(shares: Sequence[Fraction], total: int) -> list[int]:
    """Share out `total` by largest remainders; of equal remainders the first part takes one."""
    quotas = [share * total / sum(shares) for share in shares]
    counts = [math.floor(quota) for quota in quotas]
    by_remainder = sorted(range(len(shares)), key=lambda place: counts[place] - quotas[place])
    for place in by_remainder[: total - sum(counts)]:
        counts[place] += 1
    return counts


def _fixed_count(name: str, value: Count, n_real: int) -> int | None:
    if value == "rest":
        return None
    if value == "all":
        return n_real
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise InputError(f"mix.{name}={value!r}; expected a count, all (as many as real training images) or rest (of mix.total)")
