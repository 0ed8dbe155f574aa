import math

import numpy as np
import pytest
from oracles.mask_layouts import blob_map

from rbc_lightning.masks import LayoutStatistics, layout_card
from rbc_lightning.masks.statistics.card import CardRow, LayoutCard
from rbc_lightning.masks.statistics.chance import Apart, compare_by_swaps
from rbc_lightning.masks.statistics.compare import STATISTICS

REAL = LayoutStatistics.from_label_maps([blob_map(seed, n=14) for seed in range(8)])
SAMPLED = LayoutStatistics.from_label_maps([blob_map(seed, n=14) for seed in range(8, 16)])


def test_the_card_holds_every_statistic():
    card = layout_card(REAL, SAMPLED, others={"twin": REAL}, title="blobs")
    assert [row.statistic for row in card.rows] == list(STATISTICS)
    row = card.rows[2]
    assert row.statistic == "area (px)"
    assert row.real == pytest.approx(np.average(REAL.area, weights=REAL.weight))
    assert row.apart == compare_by_swaps(REAL, SAMPLED)["area (px)"]
    assert row.others == {"twin": Apart(0.0, 0.0, 1.0)}
    text = card.to_text().splitlines()
    assert text[0] == "blobs"
    assert text[1].split()[:8] == ["statistic", "real", "sampled", "distance", "chance", "ratio", "p", "twin:"]
    assert len(text) == 2 + len(STATISTICS) + 4
    assert "\n".join(text[-4:]) == card.legend


def test_the_legend_says_what_was_swapped():
    assert "between 8 real images" in layout_card(REAL, SAMPLED).legend
    assert "with images swapped at random (8 of them)" in layout_card(REAL, SAMPLED).legend
    by_groups = layout_card(REAL, SAMPLED, groups=list("aaaabbcc"))
    assert "with groups of images swapped at random (3 of them)" in by_groups.legend
    assert "at least 0.25 here" in by_groups.legend


def test_a_card_by_hand():
    rows = (
        CardRow("area (px)", 100.0, 110.0, Apart(10.0, 4.0, 0.005), {"uniform": Apart(6.0, 4.0, 0.25)}),
        CardRow("g(r)", 1.5, 1.5, Apart(0.0, 0.0, 1.0), {"uniform": Apart(1.0, math.nan, math.nan)}),
    )
    card = LayoutCard(rows, "two", "how")
    assert card.to_text().splitlines() == [
        "two",
        "statistic  real  sampled  distance  chance  ratio      p  uniform: ratio      p",
        "area (px)   100      110        10       4   2.50  0.005            1.50  0.250",
        "g(r)        1.5      1.5         0       0   0.00  1.000             nan    nan",
        "how",
    ]
