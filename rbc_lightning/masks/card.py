"""The layout card: every statistic of real and sampled layouts side by side, with what chance alone would give."""

from collections.abc import Mapping
from dataclasses import dataclass

from rbc_lightning.masks.compare import STATISTICS, distances, half_distances
from rbc_lightning.masks.layout import LayoutStatistics


@dataclass(frozen=True)
class CardRow:
    """One statistic.

    Attributes:
        statistic: its name and unit.
        real: its value in the real layouts; a mean, a share, the length of the mean direction, or the peak of g(r).
        sampled: the same in the sampled ones.
        distance: between the two sets, see `compare.distances`.
        half_distance: median distance between two random halves of real images.
        others: distances of further sets to the real one, by name.
    """

    statistic: str
    real: float
    sampled: float
    distance: float
    half_distance: float
    others: dict[str, float]

    @property
    def ratio(self) -> float:
        """Distance over half-to-half distance: about 1 where sampled layouts cannot be told from real ones."""
        return self.distance / self.half_distance if self.half_distance > 0 else float("inf")


@dataclass(frozen=True)
class LayoutCard:
    """Real against sampled layouts.

    Args:
        rows: one per statistic.
        title: what is compared with what.
    """

    rows: tuple[CardRow, ...]
    title: str = ""

    def __getitem__(self, statistic: str) -> CardRow:
        """Return the row of a statistic.

        Args:
            statistic: name as in `compare.STATISTICS`.

        Returns:
            The row.

        Raises:
            KeyError: there is no such row.
        """
        for row in self.rows:
            if row.statistic == statistic:
                return row
        raise KeyError(f"no statistic {statistic!r} on the card; it has {[row.statistic for row in self.rows]}")

    def to_text(self) -> str:
        """Lay the card out as a table of plain text; further sets show as ratios."""
        others = list(self.rows[0].others)
        head = ["statistic", "real", "sampled", "distance", "halves", "ratio", *(f"{name}: ratio" for name in others)]
        lines = [head]
        for row in self.rows:
            ratios = [row.others[name] / row.half_distance if row.half_distance > 0 else float("inf") for name in others]
            numbers = (row.real, row.sampled, row.distance, row.half_distance)
            lines.append([row.statistic, *(f"{n:.4g}" for n in numbers), *(f"{n:.2f}" for n in (row.ratio, *ratios))])
        widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
        table = "\n".join(
            "  ".join([line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))])
            for line in lines
        )
        legend = "ratio: distance over that of two random halves of real images; about 1 = cannot be told from real"
        return "\n".join([*([self.title] if self.title else []), table, legend])


def layout_card(
    real: LayoutStatistics,
    sampled: LayoutStatistics,
    halves_of: LayoutStatistics | None = None,
    others: Mapping[str, LayoutStatistics] | None = None,
    title: str = "",
) -> LayoutCard:
    """Compare sampled with real layouts.

    Args:
        real: layouts to compare with, those of a held-out split for an honest card.
        sampled: layouts of sampled masks.
        halves_of: real layouts whose random halves give the distance of chance; ``real`` if None.
        others: further sets for comparison, such as uniform placement, or the real images that were fitted.
        title: printed above the table.

    Returns:
        The card.

    Raises:
        ValueError: fewer than two images to halve.
    """
    halves = half_distances(real if halves_of is None else halves_of)
    apart = distances(sampled, real)
    further = {name: distances(layouts, real) for name, layouts in (others or {}).items()}
    rows = tuple(
        CardRow(
            name,
            summary(real),
            summary(sampled),
            apart[name],
            halves[name],
            {other: values[name] for other, values in further.items()},
        )
        for name, (summary, _) in STATISTICS.items()
    )
    return LayoutCard(rows, title)
