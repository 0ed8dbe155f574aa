import math

import pytest
from oracles.mask_layouts import blob_map

from rbc_lightning.masks import LayoutStatistics, layout_card
from rbc_lightning.masks.statistics.compare import STATISTICS, CardRow, LayoutCard


def test_the_card_holds_every_statistic():
    real = LayoutStatistics.from_label_maps([blob_map(seed, n=14) for seed in range(8)])
    sampled = LayoutStatistics.from_label_maps([blob_map(seed, n=14) for seed in range(8, 16)])
    card = layout_card(real, sampled, others={"twin": real}, title="blobs")
    assert [row.statistic for row in card.rows] == list(STATISTICS)
    row = card.rows[2]
    assert row.statistic == "area (px)"
    assert row.real == pytest.approx(real.area.mean())
    assert row.ratio == pytest.approx(row.distance / row.half_distance)
    assert row.others == {"twin": 0.0}
    text = card.to_text().splitlines()
    assert text[0] == "blobs"
    assert text[1].split()[:7] == ["statistic", "real", "sampled", "distance", "halves", "ratio", "twin:"]
    assert len(text) == 3 + len(STATISTICS)
    assert text[-1].startswith("ratio: distance over that of two random halves")


def test_a_card_by_hand():
    rows = (
        CardRow("area (px)", 100.0, 110.0, 10.0, 4.0, {"uniform": 6.0}),
        CardRow("g(r)", 1.5, 1.5, 0.0, 0.0, {"uniform": 1.0}),
    )
    card = LayoutCard(rows, "two")
    assert [row.ratio for row in card.rows] == [2.5, math.inf]
    assert card.to_text().splitlines() == [
        "two",
        "statistic  real  sampled  distance  halves  ratio  uniform: ratio",
        "area (px)   100      110        10       4   2.50            1.50",
        "g(r)        1.5      1.5         0       0    inf             inf",
        "ratio: distance over that of two random halves of real images; about 1 = cannot be told from real",
    ]
