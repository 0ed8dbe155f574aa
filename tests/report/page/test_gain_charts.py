from dataclasses import replace

import pytest
from page_charts import SVG, difference, marks, parse, texts

from rbc_lightning.report.page.gain_charts import gain_chart
from rbc_lightning.study.curves import GainCurve, GainPoint
from rbc_lightning.study.rows import TableEntry
from rbc_lightning.study.tables import OPTIMISTIC


def entry(column, mean, spread=None, seeds=1):
    return TableEntry(column, mean, spread, None, tuple(range(seeds)), optimistic=False)


def point(x, value=None, half=0.01, mean=0.9, seeds=3, column="rd_sd_aug", against="rd_aug"):
    gains = {} if value is None else {(column, against): difference(value, half, seeds)}
    return GainPoint(x, {column: entry(column, mean, 0.002 if seeds > 1 else None, seeds)}, gains)


def curve(*points, sweep="ratio", **changes):
    whole = GainCurve(sweep, "smears", "fcn8s", "Dice", 20, points, None, optimistic=False, notes=())
    return replace(whole, **changes)


def test_gains_lie_at_their_share_and_value():
    points = (point(0.0, column="rd_aug"), point(0.2, 0.02), point(0.4, -0.01, 0.02, seeds=1), point(0.8, 0.04))
    chart = gain_chart(curve(*points))
    root = parse(chart)
    names = ("0.0 % synthetic: the reference", "20.0 % synthetic: +", "40.0 % synthetic: −", "80.0 % synthetic: +")
    (zero,), (small,), (loss,), (large,) = (marks(root, name) for name in names)
    assert large[0] - zero[0] == pytest.approx(4 * (small[0] - zero[0]), abs=0.3)
    # Upwards is better: y falls.
    assert zero[1] - large[1] == pytest.approx(2 * (zero[1] - small[1]), abs=0.2)
    assert loss[1] - zero[1] == pytest.approx((zero[1] - small[1]) / 2, abs=0.2)
    assert (small[2], loss[2]) == (True, False)
    assert "20 test images, 1 to 3 seeds at each point." in chart.caption
    assert {"20 %", "40 %", "dashed: one seed, tells of other images only"} < set(texts(root))


def test_numbers_of_images_are_laid_by_doublings_and_all_is_named():
    points = [
        GainPoint(
            x,
            {"rd": entry("rd", 0.8), "rd_sd_aug": entry("rd_sd_aug", 0.9)},
            {("rd_sd_aug", "rd"): difference(0.1, 0.05)},
        )
        for x in (5.0, 10.0, 40.0)
    ]
    root = parse(gain_chart(curve(*points, sweep="real_images", everything=40.0, optimistic=True, notes=("one left out",))))
    five, ten, forty = (marks(root, f"{count} real images, RD: Dice")[0][0] for count in (5, 10, 40))
    assert forty - five == pytest.approx(3 * (ten - five), abs=0.3)
    assert {"5", "10", "all", "annotated real images (all: 40)", "RD+SD+aug less RD"} < set(texts(root))
    assert "40" not in texts(root)
    caption = gain_chart(curve(*points, optimistic=True, notes=("one left out",))).caption
    assert OPTIMISTIC.lower() in caption.lower()
    assert "One left out." in caption


def test_without_gains_the_means_are_drawn_alone():
    root = parse(gain_chart(curve(point(0.5))))
    assert [text for text in texts(root) if text.startswith("Gain")] == []
    assert "Mean Dice, spread over seeds" in texts(root)


def test_of_a_score_that_is_better_when_lower_less_lies_above():
    points = (point(0.0, column="rd_aug", mean=0.5), point(0.2, -0.02, mean=0.48), point(0.4, 0.03, mean=0.53))
    chart = gain_chart(curve(*points, score="Counting error", higher_is_better=False))
    root = parse(chart)
    (zero,), (gain,), (loss,) = (marks(root, f"{share} % synthetic: ")[0:1] for share in ("0.0", "20.0", "40.0"))
    assert gain[1] < zero[1] < loss[1]
    means = [marks(root, f"{share} % synthetic, ")[0][1] for share in ("20.0", "0.0", "40.0")]
    assert means == sorted(means)
    assert "Above the line at 0 synthetic samples help" in chart.caption


def test_nothing_to_draw_is_said():
    chart = gain_chart(curve(notes=("no such runs",)))
    parse(chart)
    assert "no such runs" in chart.caption


def test_names_stay_text_and_the_same_input_gives_the_same_bytes():
    name = '<script>&"model"'
    first, second = (gain_chart(curve(point(0.5, 0.1), model=name)) for _ in "ab")
    assert parse(first).find(f"{SVG}title").text.startswith(name)
    assert "<script" not in first.svg
    assert first == second
