"""What colours over images mean."""

from rbc_lightning.report.page.overlay_styles import LEGEND


def test_the_legend_tells_the_colors_that_are_drawn():
    assert [entry.line for entry in LEGEND] == ["rgb(86 180 233 / 1.00)", "rgb(213 94 0 / 1.00)", "rgb(0 0 0 / 1.00)"]
    assert [entry.fill for entry in LEGEND] == ["", "rgb(213 94 0 / 0.50)", "rgb(240 228 66 / 0.50)"]
    assert [entry.dashed for entry in LEGEND] == [False, False, True]
