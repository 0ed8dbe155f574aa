import re
from dataclasses import replace

import pytest
from page_charts import SVG, difference, marks, parse, texts

from rbc_lightning.report.page.bars import bars_with_intervals
from rbc_lightning.report.page.series import STYLE
from rbc_lightning.study.ceiling import Ceiling
from rbc_lightning.study.compare import Comparison
from rbc_lightning.study.floor import Floor
from rbc_lightning.study.rows import ModelRow, TableEntry
from rbc_lightning.study.tables import OPTIMISTIC

INF = float("inf")
EMPTY = ModelRow("fcn8s", "dice", "Dice", True, 20, "20 test images", {}, {}, (), {}, ())


def comparison(column, value, half, verdict="cannot tell", against="rd_aug", seeds=3):
    return Comparison(column, against, difference(value, half, seeds), 0.08, verdict)


def entry(column, mean, spread=None, **changes):
    return replace(TableEntry(column, mean, spread, None, (0, 1, 2) if spread else (0,), False), **changes)


def row(entries, comparisons=(), paper=None, model="fcn8s"):
    compared = {(c.column, c.against): c for c in comparisons}
    return replace(EMPTY, model=model, entries={c.column: c for c in entries}, comparisons=compared, paper=paper or {})


def test_marks_lie_where_their_values_are():
    means = {"rd": 0.90, "rd_aug": 0.92, "rd_sd_aug": 0.96}
    root = parse(bars_with_intervals(row([entry(column, mean) for column, mean in means.items()])))
    xs = [marks(root, f"{title}: Dice")[0][0] for title in ("RD", "RD+aug", "RD+SD+aug")]
    # From 0.8964 to 0.9636, 6 % of the range beyond both ends, on 174 units from 94 on.
    assert xs == pytest.approx([94 + 174 * (mean - 0.8964) / 0.0672 for mean in means.values()], abs=0.06)
    assert [text for text in texts(root) if text.startswith("0.9") and len(text) == 5][:3] == ["0.900", "0.920", "0.960"]
    assert texts(root).count("not run") == 2


def test_the_spread_over_seeds_and_the_papers_figures_share_the_scale():
    paper = {"rd": 0.85, "rd_aug": 0.97}
    entries = [entry("rd", 0.95, 0.01), entry("rd_aug", 0.94, 0.004)]
    root = parse(bars_with_intervals(row(entries, paper=paper)))
    (ours,), (theirs,) = marks(root, "RD: Dice"), marks(root, "RD, Bailo et al. 2019")
    (higher,) = marks(root, "RD+aug, Bailo et al. 2019")
    unit = (higher[0] - theirs[0]) / 0.12
    assert ours[0] - theirs[0] == pytest.approx(0.1 * unit, abs=0.2)
    assert (ours[2], theirs[2], higher[2]) == (True, False, False)
    # Caps of the first whisker: x of the left one and of the right one.
    caps = [float(x) for x in re.findall(r"[ML](\S+) ", next(root.iter(f"{SVG}g"))[1].get("d"))]
    assert caps == pytest.approx([ours[0] - 0.01 * unit] * 2 + [ours[0] + 0.01 * unit] * 2, abs=0.2)
    assert "open marks: Bailo et al. 2019, another data set" in texts(root)
    assert "0.950 ± 0.010" in texts(root)


def test_a_filled_mark_says_that_the_interval_leaves_out_zero():
    entries = [entry(column, 0.9) for column in ("rd", "sd", "rd_aug", "rd_sd", "rd_sd_aug")]
    found = [
        comparison("rd", -0.02, 0.04),
        comparison("sd", -0.06, 0.01, "hurts"),
        comparison("rd_sd", 0.02, 0.01, seeds=1),
        comparison("rd_sd_aug", 0.06, 0.02, "helps"),
        comparison("sd", 0.5, 0.1, against="rd"),
    ]
    chart = bars_with_intervals(row(entries, found))
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
    assert "Against RD+aug, better: RD+SD+aug; worse: SD; cannot tell: RD; one seed: RD+SD." in chart.caption


def test_without_rd_aug_columns_are_compared_with_rd():
    chart = bars_with_intervals(row([entry("rd", 0.9), entry("sd", 0.8)], [comparison("sd", -0.1, 0.05, against="rd")]))
    assert "Difference with RD, 95 % interval" in texts(parse(chart))
    alone = bars_with_intervals(row([entry("rd", 0.9)]))
    assert not [text for text in texts(parse(alone)) if text.startswith("Difference")]
    assert "Nothing to compare yet" in alone.caption


def test_optimistic_figures_are_marked():
    chart = bars_with_intervals(row([entry("rd", 0.9, 0.01, optimistic=True), entry("sd", 0.8)]))
    assert "0.900 ± 0.010 †" in texts(parse(chart))
    assert f"† {OPTIMISTIC}" in chart.caption
    assert "†" not in bars_with_intervals(row([entry("sd", 0.8)])).svg


def test_an_infinite_interval_reaches_both_ends():
    endless = Comparison("rd", "rd_aug", difference(0.1, INF), 1.0, "cannot tell")
    root = parse(bars_with_intervals(row([entry("rd", 0.9), entry("rd_aug", 0.8)], [endless])))
    # A line from the mark to either end of the panel, all at one height.
    ends = re.compile(r"M\S+ (\S+)L94 \1M\S+ \1L268 \1")
    reach = [node for node in root.iter(f"{SVG}path") if ends.fullmatch(node.get("d"))]
    assert len(reach) == 1


def test_of_a_score_that_is_better_when_lower_less_lies_to_the_right():
    found = [comparison("rd_sd", -0.02, 0.01, "helps"), comparison("sd", 0.02, 0.01, "hurts")]
    table_row = row([entry("rd_aug", 0.3), entry("rd_sd", 0.28), entry("sd", 0.32)], found)
    chart = bars_with_intervals(replace(table_row, score="Counting error", higher_is_better=False))
    root = parse(chart)
    means = [marks(root, f"{title}: Counting error")[0][0] for title in ("SD", "RD+aug", "RD+SD")]
    assert means == sorted(means)
    (worse,), (better,) = marks(root, "SD less RD+aug"), marks(root, "RD+SD less RD+aug")
    assert worse[0] < better[0]
    assert "Mean Counting error (lower is better)" in texts(root)
    assert {"−0.0200", "+0.0200"} <= set(texts(root))
    assert "better: RD+SD; worse: SD" in chart.caption


def test_each_series_has_a_colour_and_a_mark_of_its_own():
    light, dark = STYLE.split("@media (prefers-color-scheme:dark)")
    for css in (light, dark):
        assert len(set(re.findall(r"#[0-9a-f]{6}", css))) == 7
    assert light.count("{") == light.count("}")
    entries = [entry(column, 0.9) for column in ("rd", "sd", "rd_aug", "rd_sd", "rd_sd_aug", "rd_large", "sd_large")]
    root = parse(bars_with_intervals(row(entries)))
    drawn = [node for node in root.iter() if ": Dice 0" in (node.findtext(f"{SVG}title") or "")]
    assert len({node.get("fill") for node in drawn}) == 7
    assert len({(node.tag, re.sub(r"^M\S+ [\d.]+", "", node.get("d", ""))) for node in drawn}) == 7


def test_a_model_without_runs_gets_the_reason_in_place_of_a_chart():
    chart = bars_with_intervals(EMPTY)
    parse(chart)
    assert chart.caption == "No finished run of fcn8s."


def test_names_stay_text_and_the_same_input_gives_the_same_bytes():
    name = '<script>&"model"'
    first, second = (bars_with_intervals(row([entry("rd", 0.9)], model=name)) for _ in "ab")
    assert parse(first).find(f"{SVG}title").text.startswith(name)
    assert "<script" not in first.svg
    assert first == second


def line_of(root, title):
    (found,) = [node for node in root.iter(f"{SVG}path") if (node.findtext(f"{SVG}title") or "").startswith(title)]
    return float(re.match(r"M(\S+) ", found.get("d"))[1]), found


def test_floor_and_ceiling_are_labelled_lines_on_the_scale_of_the_means():
    low = Floor("threshold", 0.85, 0.84, 0.86, None, 20, (0,), {}, "without training Dice 0.850")
    high = Ceiling(0.95, 12, "two annotators agree", "Dice 0.950 (12 images)", "two annotators agree on 0.950")
    chart = bars_with_intervals(replace(row([entry("rd", 0.9)]), floor=low, ceiling=high))
    root = parse(chart)
    (x_low, solid), (x_high, dotted) = line_of(root, "without training"), line_of(root, "two annotators agree")
    ((x_mean, _, _),) = marks(root, "RD: Dice")
    assert x_high - x_mean == pytest.approx(x_mean - x_low, abs=0.2)
    assert (solid.get("stroke-dasharray"), dotted.get("stroke-dasharray")) == (None, "1 3")
    assert {"without training (threshold): 0.850", "two annotators agree: 0.950"} < set(texts(root))
    assert chart.caption.endswith("Without training Dice 0.850. Two annotators agree on 0.950.")


def test_the_score_that_answers_is_drawn():
    pooled = replace(row([entry("rd", 0.7)]), score="Dice pooled")
    chart = bars_with_intervals(replace(row([entry("rd", 0.9)]), pooled=pooled))
    assert chart.title == "fcn8s: Dice pooled of each column"
    assert "0.700" in texts(parse(chart))
    assert "0.900" not in texts(parse(chart))
