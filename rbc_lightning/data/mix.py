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

# The columns of Bailo et al. 2019, Table 2, named after the parts of a mix that are present: real, synthetic, augmented.
_COLUMNS = ("rd", "sd", "rd_aug", "rd_sd", "rd_sd_aug")


@dataclass(frozen=True)
class Mix:
    """Counts of samples in one pass over a training set."""

    real: int  # unchanged (beyond the random crop); the training images are used in turn
    synthetic: int  # unchanged
    augmented: int  # drawn from `augmented_from` and augmented, each time anew
    augmented_from: tuple[Source, ...] = ("real",)  # real samples, synthetic ones, or both in turn
    # Real training images at hand, None where that does not matter: sets RD and SD apart from their size controls.
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

        Each part is a count, "all" for as many as the `n_real` real training images, or "rest" for an equal share of what
        `total` leaves. In place of "all" and "rest" may stand the `ratio` real : synthetic : augmented, as (1, 2, 1).

        Raises:
            InputError: an unknown word, parts that do not add up to `total`, or a ratio that is not three shares of a total,
                or that stands beside counts.
        """
        parts: dict[str, Count] = {"real": real, "synthetic": synthetic, "augmented": augmented}
        if ratio is not None:
            drawn = _apportion(_check_ratio(ratio, parts, total), total or 0)
        else:
            counts = {name: _fixed_count(name, value, n_real) for name, value in parts.items()}
            open_parts = [name for name, count in counts.items() if count is None]
            fixed = sum(count or 0 for count in counts.values())
            if open_parts and (total is None or total < fixed):
                raise InputError(
                    f"mix.total={total} with {fixed} samples already fixed and {', '.join(open_parts)} set to rest; expected a "
                    "total of at least the fixed parts: leave mix.total to the mix, whose size is scale.large and grows with "
                    "the data (scale.large_per_real), or raise scale.large, which fits all columns of a sweep"
                )
            if not open_parts and total not in (None, fixed):
                raise InputError(f"mix.total={total}, yet the parts add up to {fixed}; set one part to rest, or mix.total=null")
            counts |= zip(open_parts, _apportion([Fraction(1)] * len(open_parts), (total or 0) - fixed), strict=True)
            drawn = [count or 0 for count in counts.values()]
        return cls(drawn[0], drawn[1], drawn[2], tuple(augmented_from), n_real)

    @property
    def total(self) -> int:
        """Samples in one pass."""
        return self.real + self.synthetic + self.augmented

    @property
    def column(self) -> str:
        """The column of Bailo et al. 2019, Table 2, that the counts make it, whatever its name; "other" if none.

        "rd_large" and "sd_large" are the size controls: real samples alone, repeated beyond the real training images, and
        synthetic samples alone, more than there are real training images.
        """
        if self.n_real is not None and self.augmented == 0 and 0 in (self.real, self.synthetic) and self.total > self.n_real:
            return "rd_large" if self.real else "sd_large"
        name = "_".join(part for part, count in (("rd", self.real), ("sd", self.synthetic), ("aug", self.augmented)) if count)
        return name if name in _COLUMNS else "other"


@dataclass(frozen=True)
class Draw:
    """One draw: which sample, from which pool, augmented or not."""

    source: Source
    index: int
    augmented: bool


class MixStream:
    """An endless, reproducible stream of draws from a mix, given how many real and synthetic samples are at hand.

    Each pass over the mix is a fresh permutation; the draw at a position depends on (seed, position) alone, whatever
    the number of workers, and is right after a resume. An `InputError` refuses a mix of samples of which there are none.
    """

    def __init__(self, mix: Mix, n_real: int, n_synthetic: int, seed: int) -> None:
        needs_real = mix.real > 0 or (mix.augmented > 0 and "real" in mix.augmented_from)
        if needs_real and n_real == 0:
            raise InputError("the mix asks for real samples and the train split has none; add some to splits.csv")
        if mix.synthetic > 0 and n_synthetic == 0:
            raise InputError("the mix asks for synthetic samples and none were made; run stage=synthesize")
        self.mix, self.seed = mix, seed
        self._sizes: dict[Source, int] = {"real": n_real, "synthetic": n_synthetic}
        self._slots, self._pass, self._order = self._one_pass(), -1, np.empty(0, dtype=np.int64)

    def __getitem__(self, serial: int) -> Draw:
        number, place = divmod(serial, self.mix.total)
        if number != self._pass:
            self._pass, rng = number, np.random.default_rng(np.random.SeedSequence([self.seed, number]))
            self._order = rng.permutation(self.mix.total)
        source, first, step, augmented = self._slots[int(self._order[place])]
        return Draw(source, (first + number * step) % self._sizes[source], augmented)

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


class SharedStream(MixStream):
    """An endless, reproducible stream of augmented draws of real samples, of which some samples get a share of their own.

    A pass is as long as there are samples; in each of the two parts every sample has its turn, see `MixStream`.

    Args:
        of_some: whether a sample is one of them, by index.
        share: of the draws of a pass that they get, in (0, 1), though at least one draw is left to each part.

    Raises:
        InputError: a share out of its range, or a part without samples.
    """

    def __init__(self, of_some: Sequence[bool], share: float, seed: int) -> None:
        self._parts = [[i for i, some in enumerate(of_some) if some is wanted] for wanted in (True, False)]
        if not 0 < share < 1 or not all(self._parts):
            sizes = " and ".join(str(len(part)) for part in self._parts)
            raise InputError(f"a share of {share} of the draws among {sizes} samples; expected one in (0, 1), and some of each")
        n = len(of_some)
        self._first = min(max(round(share * n), 1), n - 1)
        super().__init__(Mix(0, 0, n), n, 0, seed)

    def __getitem__(self, serial: int) -> Draw:
        place, number = super().__getitem__(serial).index, serial // self.mix.total
        if place < self._first:
            part, turn = self._parts[0], number * self._first + place
        else:
            part, turn = self._parts[1], number * (self.mix.total - self._first) + place - self._first
        return Draw("real", part[turn % len(part)], True)


def large_total(large: int, per_real: float | None, n_real: int) -> int:
    """Samples in one pass of the large mixes: `large`, and at least `per_real` times the `n_real` real training images.

    All columns of a table have the same. None for `per_real` keeps `large` whatever the data. Bailo et al. 2019: 960 for 60.

    Raises:
        InputError: `per_real` leaves nothing beside the real images.
    """
    if per_real is None:
        return large
    if isinstance(per_real, bool) or not isinstance(per_real, int | float) or not 1 < per_real < math.inf:
        raise InputError(
            f"scale.large_per_real={per_real}; expected a number above 1, since a large mix holds more than the real images, "
            "such as 2, or null for scale.large samples whatever the data"
        )
    return max(large, math.ceil(per_real * n_real))


def _check_ratio(ratio: Sequence[float], parts: dict[str, Count], total: int | None) -> list[Fraction]:
    """The shares as exact fractions; what YAML or the command line may bring instead is refused."""
    shares = list(ratio) if isinstance(ratio, Sequence) else []
    if (
        len(shares) != 3
        or not all(type(share) in (int, float) and 0 <= share < math.inf for share in shares)
        or not any(shares)
    ):
        raise InputError(
            f"mix.ratio={ratio}; expected three shares real : synthetic : augmented, none negative and not all 0, such as "
            "[1, 2, 1]"
        )
    # A count, 0 as well, is a decision that the ratio would overrule without a word.
    for name, value in parts.items():
        if isinstance(value, int):
            raise InputError(
                f"mix.ratio={shares} and mix.{name}={value}; expected a ratio of mix.total or counts, not both: set "
                f"mix.{name}=rest, or mix.ratio=null"
            )
        _fixed_count(name, value, 0)
    if not isinstance(total, int) or isinstance(total, bool) or total < 1:
        raise InputError(f"mix.ratio={shares}, mix.total={total}; expected a total of at least 1 to share out: set mix.total")
    # By way of the decimal text: 0.1 : 0.2 : 0.1 is meant to be 1 : 2 : 1 exactly.
    return [Fraction(str(share)) for share in shares]


def _apportion(shares: Sequence[Fraction], total: int) -> list[int]:
    """Share out `total` by largest remainders; of equal remainders the first part takes one."""
    quotas = [share * total / sum(shares) for share in shares]
    counts = [math.floor(quota) for quota in quotas]
    by_remainder = sorted(range(len(shares)), key=lambda place: counts[place] - quotas[place])
    for place in by_remainder[: total - sum(counts)]:
        counts[place] += 1
    return counts


def _fixed_count(name: str, value: Count, n_real: int) -> int | None:
    if value in ("rest", "all"):
        return n_real if value == "all" else None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise InputError(f"mix.{name}={value!r}; expected a count, all (as many as real training images) or rest (of mix.total)")
