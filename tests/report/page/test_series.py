import pytest
from page_charts import difference

from rbc_lightning.report.page.series import COLORS, MARKS, STYLE, Key, interval, interval_keys, legend, score_scale
from rbc_lightning.report.page.svg import Scale
from rbc_lightning.study.rows import TableEntry
from rbc_lightning.study.tables import TITLES


def test_every_column_has_a_look_of_its_own():
    assert list(COLORS) == list(MARKS) == list(TITLES)
    assert len({*COLORS.values()}) == len({*MARKS.values()}) == len(TITLES)
    assert all(f"--series-{place}:" in STYLE for place in range(1, len(TITLES) + 1))


def test_a_legend_breaks_into_rows_where_it_would_be_too_wide():
    keys = [Key("a name of some length", "red", "circle")] * 4
    drawn, end = legend(keys, 20.0)
    assert drawn.count("<circle") == 4
    assert end > legend(keys[:1], 20.0)[1] > 20
    assert legend([], 20.0) == ("", 20.0)


def test_only_marks_that_occur_are_explained():
    assert [key.text for key in interval_keys([difference(0.5, 0.1)])] == ["interval leaves out 0"]
    texts = [key.text for key in interval_keys([difference(0.5, 0.1), difference(0.1, 0.5, seeds=1)])]
    assert texts[1:] == ["interval holds 0", "dashed: one seed, tells of other images only"]


def test_better_lies_at_the_same_end_in_either_direction():
    for higher_is_better, (low, high) in ((True, (10.0, 90.0)), (False, (90.0, 10.0))):
        scale = score_scale([0.0, 1.0], 10.0, 90.0, higher_is_better=higher_is_better)
        assert (scale.start, scale.end) == (low, high)


def test_a_scale_holds_intervals_and_deviations_whole():
    entry = TableEntry("rd", 0.5, 0.1, None, (0, 1), optimistic=False)
    scale = score_scale([0.45, entry, difference(0.7, 0.2)], 0.0, 1.0, higher_is_better=True)
    assert (scale.low, scale.high) == pytest.approx((0.4 - 0.06 * 0.5, 0.9 + 0.06 * 0.5))


def test_a_mark_is_hollow_where_a_difference_may_be_0_and_its_whisker_dashed_with_one_seed():
    scale = Scale(0.0, 1.0, 0.0, 100.0)
    assert 'fill="none" stroke="var' in interval("rd", difference(0.1, 0.5), scale, 5.0, "a")
    sure = interval("rd", difference(0.5, 0.2, seeds=1), scale, 5.0, "a")
    assert 'stroke-dasharray="' in sure
    assert f'fill="{COLORS["rd"]}"' in sure
    assert "M43 5L30 5M57 5L70 5" in sure
    assert "M5 43L5 30M5 57L5 70" in interval("rd", difference(0.5, 0.2), scale, 5.0, "a", upright=True)


def test_a_whisker_reaches_one_deviation_to_both_sides():
    scale = Scale(0.0, 1.0, 0.0, 100.0)
    assert "M43 5L30 5M57 5L70 5" in interval("rd", TableEntry("rd", 0.5, 0.2, None, (0, 1), False), scale, 5.0, "a")
    assert "<g" not in interval("rd", TableEntry("rd", 0.5, None, None, (0,), False), scale, 5.0, "a")
