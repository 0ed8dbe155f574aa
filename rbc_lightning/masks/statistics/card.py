"""Real and sampled layouts on one card: values, distances, and what chance alone gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rbc_lightning.masks.statistics.chance import Apart, compare_by_swaps, smallest_p
from rbc_lightning.masks.statistics.compare import STATISTICS
from rbc_lightning.masks.statistics.layout import LayoutStatistics


@dataclass(frozen=True)
class CardRow:
    """One statistic.

    Attributes:
        statistic: its name and unit.
        real: its value in the real layouts; a mean, a share, the length of the mean direction, or the peak of g(r).
        sampled: the same in the sampled ones.
        apart: the two sets compared, at equal sizes.
        others: further sets compared with the real one, by name.
    """

    statistic: str
    real: float
    sampled: float
    apart: Apart
    others: dict[str, Apart]


@dataclass(frozen=True)
class LayoutCard:
    """Real against sampled layouts: one row per statistic, a title that says what is compared, and how chance was measured."""

    rows: tuple[CardRow, ...]
    title: str = ""
    legend: str = ""

    def to_text(self) -> str:
        """Lay the card out as a table of plain text; further sets show as ratios and p-values."""
        others = list(self.rows[0].others)
        beside = [entry for name in others for entry in (f"{name}: ratio", "p")]
        lines = [["statistic", "real", "sampled", "distance", "chance", "ratio", "p", *beside]]
        for row in self.rows:
            numbers = (row.real, row.sampled, row.apart.distance, row.apart.chance)
            tests = [row.apart, *(row.others[name] for name in others)]
            told = [entry for test in tests for entry in (f"{test.ratio:.2f}", f"{test.p:.3f}")]
            lines.append([row.statistic, *(f"{number:.4g}" for number in numbers), *told])
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = [
            "  ".join([line[0].ljust(widths[0]), *(entry.rjust(w) for entry, w in zip(line[1:], widths[1:], strict=True))])
            for line in lines
        ]
        return "\n".join([*([self.title] if self.title else []), *table, *([self.legend] if self.legend else [])])


def layout_card(
    real: LayoutStatistics,
    sampled: LayoutStatistics,
    others: Mapping[str, LayoutStatistics] | None = None,
    title: str = "",
    groups: Sequence[str] | None = None,
) -> LayoutCard:
    """Compare sampled with real layouts, those of a held-out split for an honest card.

    ``others`` are further sets for comparison, such as uniform placement, or the real images that were fitted. ``groups`` are
    those of the real images, in a row; see `chance.compare_by_swaps`.

    Raises:
        ValueError: not one group for each real image.
    """
    tests = {name: compare_by_swaps(real, layouts, groups) for name, layouts in (others or {}).items()}
    apart = compare_by_swaps(real, sampled, groups)
    rows = [
        CardRow(name, summary(real), summary(sampled), apart[name], {other: test[name] for other, test in tests.items()})
        for name, (summary, _) in STATISTICS.items()
    ]
    n_units = len(real) if groups is None else len(set(groups))
    unit = "images" if n_units == len(real) else "groups of images"
    legend = (
        f"distance: between {len(real)} real images and as many of the others\n"
        f"chance: the same with {unit} swapped at random ({n_units} of them)\n"
        "ratio: distance over chance, 1 on average where both are of one kind\n"
        f"p: share of swaps as far apart, at least {smallest_p(groups, len(real)):.2g} here; chance gives one row in "
        "twenty p <= 0.05"
    )
    return LayoutCard(tuple(rows), title, legend)
