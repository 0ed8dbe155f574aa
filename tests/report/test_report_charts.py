import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from run_records import write_run

from rbc_lightning.report.charts import STYLE, bars_with_intervals, gain_chart, learning_chart
from rbc_lightning.report.choose import group_runs
from rbc_lightning.report.collect import collect_runs
from rbc_lightning.report.curves import Gain, GainCurve, GainPoint, SeedMean
from rbc_lightning.report.learning_charts import _within
from rbc_lightning.report.statistics import Difference
from rbc_lightning.report.table2 import Cell, Comparison, ModelRow
from rbc_lightning.report.tables import OPTIMISTIC

SVG = "{http://www.w3.org/2000/svg}"
INF = float("inf")


def difference(value, half, seeds=3):
    return Difference(value, value - half, value + half, 20, (seeds, seeds), 0.01, 1e-6, 4.0 if seeds > 1 else 0.0)


def comparison(column, value, half, verdict="cannot tell", against="rd_aug", seeds=3):
    return Comparison(column, against, difference(value, half, seeds), 0.04, 0.08, verdict)


def cell(column, mean, spread=None, **changes):
    return replace(Cell(column, mean, spread, None, (0, 1, 2) if spread else (0,), False), **changes)


def row(cells, comparisons=(), paper=None, model="fcn8s"):
    return ModelRow(model, "Dice", 20, {c.column: c for c in cells}, tuple(comparisons), (), paper or {}, ())


def parse(chart):
    root = ElementTree.fromstring(chart.svg)
    assert root.tag == f"{SVG}svg"
    assert root.find(f"{SVG}title").text == chart.title
    assert len(chart.svg.encode()) < 15_000
    return root


def marks(root, start):
    """(x, y, filled) of marks whose title starts so, in their order."""
    found = []
    for node in root.iter():
        title = node.find(f"{SVG}title")
        if title is not None and title.text.startswith(start) and node.tag != f"{SVG}svg":
            at = re.match(r"M(\S+) ([\d.]+)m", node.get("d", ""))
            x, y = at.groups() if at else (node.get("cx"), node.get("cy"))
            found.append((float(x), float(y), node.get("fill") != "none"))
    return found


def texts(root):
    return [node.text for node in root.iter(f"{SVG}text")]


# --- columns


def test_marks_lie_where_their_values_are():
    means = {"rd": 0.90, "rd_aug": 0.92, "rd_sd_aug": 0.96}
    root = parse(bars_with_intervals(row([cell(column, mean) for column, mean in means.items()])))
    xs = [marks(root, f"{title}: Dice")[0][0] for title in ("RD", "RD+aug", "RD+SD+aug")]
    # From 0.8964 to 0.9636, 6 % of the range beyond both ends, on 174 units from 94 on.
    assert xs == pytest.approx([94 + 174 * (mean - 0.8964) / 0.0672 for mean in means.values()], abs=0.06)
    assert [text for text in texts(root) if text.startswith("0.9") and len(text) == 5][:3] == ["0.900", "0.920", "0.960"]
    assert texts(root).count("not run") == 2


def test_the_spread_over_seeds_and_the_papers_figures_share_the_scale():
    paper = {"rd": 0.85, "rd_aug": 0.97}
    cells = [cell("rd", 0.95, 0.01), cell("rd_aug", 0.94, 0.004)]
    root = parse(bars_with_intervals(row(cells, paper=paper)))
    (ours,), (theirs,) = marks(root, "RD: Dice"), marks(root, "RD, Bailo et al. 2019")
    (higher,) = marks(root, "RD+aug, Bailo et al. 2019")
    unit = (higher[0] - theirs[0]) / 0.12
    assert ours[0] - theirs[0] == pytest.approx(0.1 * unit, abs=0.2)
    assert (ours[2], theirs[2], higher[2]) == (True, False, False)
    # Caps of the first whisker: x of the left one and of the right one.
    caps = [float(x) for x in re.findall(r"[ML](\S+) ", next(root.iter(f"{SVG}g"))[1].get("d"))]
    assert caps == pytest.approx([ours[0] - 0.01 * unit] * 2 + [ours[0] + 0.01 * unit] * 2, abs=0.2)
    assert "Bailo et al. 2019: another data set, not comparable" in texts(root)
    assert "0.950 ± 0.010" in texts(root)


def test_a_filled_mark_says_that_the_interval_leaves_out_zero():
    cells = [cell(column, 0.9) for column in ("rd", "sd", "rd_aug", "rd_sd", "rd_sd_aug")]
    found = [
        comparison("rd", -0.02, 0.04),
        comparison("sd", -0.06, 0.01, "hurts"),
        comparison("rd_sd", 0.02, 0.01, seeds=1),
        comparison("rd_sd_aug", 0.06, 0.02, "helps"),
        comparison("sd", 0.5, 0.1, against="rd"),
    ]
    chart = bars_with_intervals(row(cells, found))
    root = parse(chart)
    shown = {title: marks(root, f"{title} less RD+aug")[0] for title in ("RD", "SD", "RD+SD", "RD+SD+aug")}
    assert [filled for _, _, filled in shown.values()] == [False, True, True, True]
    (zero,) = [node for node in root.iter(f"{SVG}path") if node.findtext(f"{SVG}title") == "no difference"]
    x0 = float(re.match(r"M(\S+) ", zero.get("d"))[1])
    # Equal differences on both sides of the line lie equally far from it.
    assert shown["RD+SD+aug"][0] - x0 == pytest.approx(x0 - shown["SD"][0], abs=0.15)
    assert shown["RD+SD+aug"][0] - x0 == pytest.approx(3 * (shown["RD+SD"][0] - x0), abs=0.3)
    assert {"interval leaves out 0", "interval holds 0", "dashed: one seed, tells of other images only"} < set(texts(root))
    dashed = [node for node in root.iter(f"{SVG}path") if node.get("stroke-dasharray")]
    # The whisker of the one column with one seed, and its key.
    assert len(dashed) == 2
    assert "Against RD+aug, better: RD+SD+aug; worse: SD; cannot tell: RD, RD+SD." in chart.caption


def test_without_rd_aug_columns_are_compared_with_rd():
    chart = bars_with_intervals(row([cell("rd", 0.9), cell("sd", 0.8)], [comparison("sd", -0.1, 0.05, against="rd")]))
    assert "Difference with RD, 95 % interval" in texts(parse(chart))
    alone = bars_with_intervals(row([cell("rd", 0.9)]))
    assert not [text for text in texts(parse(alone)) if text.startswith("Difference")]
    assert "Nothing to compare yet" in alone.caption


def test_optimistic_figures_are_marked():
    chart = bars_with_intervals(row([cell("rd", 0.9, 0.01, optimistic=True), cell("sd", 0.8)]))
    assert "0.900 ± 0.010 †" in texts(parse(chart))
    assert f"† {OPTIMISTIC}" in chart.caption
    assert "†" not in bars_with_intervals(row([cell("sd", 0.8)])).svg


def test_an_infinite_interval_reaches_both_ends():
    endless = Comparison("rd", "rd_aug", difference(0.1, INF), 1.0, 1.0, "cannot tell")
    root = parse(bars_with_intervals(row([cell("rd", 0.9), cell("rd_aug", 0.8)], [endless])))
    # A line from the mark to either end of the panel, all at one height.
    ends = re.compile(r"M\S+ (\S+)L94 \1M\S+ \1L268 \1")
    reach = [node for node in root.iter(f"{SVG}path") if ends.fullmatch(node.get("d"))]
    assert len(reach) == 1


# --- gains


def point(x, value=None, half=0.01, mean=0.9, seeds=3, column="rd_sd_aug", against="rd_aug"):
    gains = () if value is None else (Gain(column, against, difference(value, half, seeds)),)
    return GainPoint(x, {column: SeedMean(mean, 0.002 if seeds > 1 else None, tuple(range(seeds)))}, gains)


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
            {"rd": SeedMean(0.8, None, (0,)), "rd_sd_aug": SeedMean(0.9, None, (0,))},
            (Gain("rd_sd_aug", "rd", difference(0.1, 0.05)),),
        )
        for x in (5.0, 10.0, 40.0)
    ]
    root = parse(gain_chart(curve(*points, sweep="real_images", everything=40.0, optimistic=True, notes=("one left out",))))
    five, ten, forty = (marks(root, f"{count} real images, RD: Dice")[0][0] for count in (5, 10, 40))
    assert forty - five == pytest.approx(3 * (ten - five), abs=0.3)
    assert {"5", "10", "all", "real training images (all: 40)", "RD+SD+aug less RD"} < set(texts(root))
    assert "40" not in texts(root)
    caption = gain_chart(curve(*points, optimistic=True, notes=("one left out",))).caption
    assert OPTIMISTIC.lower() in caption.lower()
    assert "one left out." in caption


def test_without_gains_the_means_are_drawn_alone():
    root = parse(gain_chart(curve(point(0.5))))
    assert [text for text in texts(root) if text.startswith("Gain")] == []
    assert "Mean Dice, spread over seeds" in texts(root)


# --- learning curves


def write_trained(root, column, seed, losses, scores):
    name = f"{column}{seed}"
    write_run(root, name, column, seed, **{"val/dice": max(scores)})
    (root / name / "curves").mkdir()
    lines = ["epoch,step,train/loss,val/dice"]
    for epoch, (loss, score) in enumerate(zip(losses, scores, strict=True)):
        lines += [f"{epoch},{10 * epoch + 9},{loss},", f"{epoch},{10 * epoch + 9},,{score}"]
    (root / name / "curves" / "metrics.csv").write_text("\n".join(lines))


def test_learning_curves_show_means_of_seeds_and_where_weights_were_chosen(tmp_path):
    write_trained(tmp_path, "rd", 0, [0.8, 0.4, 0.2, 0.2], [0.1, 0.90, 0.94, 0.93])
    write_trained(tmp_path, "rd", 1, [0.8, 0.4, 0.2, 0.2], [0.1, 0.94, 0.92, 0.90])
    write_trained(tmp_path, "rd_sd", 0, [0.8, 0.4, 0.1, 0.1], [0.1, 0.98, 0.96, 0.95])
    write_run(tmp_path, "without_curves", "sd")
    chart = learning_chart("fcn8s", group_runs(collect_runs(tmp_path).runs).runs["fcn8s"])
    root = parse(chart)
    first, second, third = marks(root, "RD: loss")
    assert (second[0] - first[0], third[0] - second[0]) == pytest.approx((324 / 4, 324 / 4), abs=0.1)
    # Halving after halving, on a scale of logarithms.
    assert third[1] - second[1] == pytest.approx(second[1] - first[1], abs=0.2)
    (chosen,), (other,) = marks(root, "RD, seed 0, chosen: 0.9400, step 30"), marks(root, "RD, seed 1, chosen: 0.9400, step 20")
    assert chosen[1] == other[1]
    assert (chosen[0], other[0]) == pytest.approx((289, 208), abs=0.1)
    means = {x: y for x, y, _ in marks(root, "RD: Dice")}
    (top,) = marks(root, "RD+SD, seed 0, chosen: 0.9800, step 20")
    # The mean of 0.90 and 0.94 at step 20: as far below 0.94 as half of 0.98 lies above it.
    assert means[208.0] - other[1] == pytest.approx((other[1] - top[1]) / 2, abs=0.2)
    # Before a third of the training: below the panel, and told.
    assert 127.0 not in means
    assert "early in training" in chart.caption
    assert "SD" not in texts(root)


def test_a_line_is_cut_where_it_leaves_the_panel():
    points = [(0, 0.0), (1, 0.5), (2, 0.5), (3, 2.0), (4, 2.0), (5, 0.5)]
    assert _within(points, 0.25, 1.0) == [
        [(0.5, 0.25), (1, 0.5), (2, 0.5), (pytest.approx(2 + 1 / 3), 1.0)],
        [(pytest.approx(4 + 2 / 3), 1.0), (5, 0.5)],
    ]
    assert _within([(0, 0.0), (1, 2.0)], 0.5, 1.0) == [[(0.25, 0.5), (0.5, 1.0)]]
    assert _within([(0, 2.0), (1, 2.0)], 0.5, 1.0) == []


def test_many_epochs_of_many_seeds_stay_small(tmp_path):
    falling = [1 / (1 + 0.1 * k) for k in range(200)]
    for column in ("rd", "sd", "rd_aug", "rd_sd", "rd_sd_aug"):
        for seed in range(3):
            write_trained(tmp_path, column, seed, falling, [1 - 0.5 * loss - 0.001 * seed for loss in falling])
    parse(learning_chart("fcn8s", group_runs(collect_runs(tmp_path).runs).runs["fcn8s"]))


# --- all of them


def test_nothing_to_draw_is_said():
    for chart in (bars_with_intervals(row([])), learning_chart("fcn8s", {}), gain_chart(curve(notes=("no such runs",)))):
        parse(chart)
        assert chart.caption
    assert "no such runs" in gain_chart(curve(notes=("no such runs",))).caption


def test_names_stay_text_and_the_same_input_gives_the_same_bytes():
    name = '<script>&"model"'
    drawn = [
        [bars_with_intervals(row([cell("rd", 0.9)], model=name)), gain_chart(curve(point(0.5, 0.1), model=name))] for _ in "ab"
    ]
    for chart in drawn[0]:
        assert parse(chart).find(f"{SVG}title").text.startswith(name)
        assert "<script" not in chart.svg
    assert drawn[0] == drawn[1]


def test_each_series_has_a_colour_and_a_mark_of_its_own():
    light, dark = STYLE.split("@media (prefers-color-scheme:dark)")
    for css in (light, dark):
        assert len(set(re.findall(r"#[0-9a-f]{6}", css))) == 7
    assert light.count("{") == light.count("}")
    cells = [cell(column, 0.9) for column in ("rd", "sd", "rd_aug", "rd_sd", "rd_sd_aug", "rd_large", "sd_large")]
    root = parse(bars_with_intervals(row(cells)))
    drawn = [node for node in root.iter() if ": Dice 0" in (node.findtext(f"{SVG}title") or "")]
    assert len({node.get("fill") for node in drawn}) == 7
    assert len({(node.tag, re.sub(r"^M\S+ [\d.]+", "", node.get("d", ""))) for node in drawn}) == 7
