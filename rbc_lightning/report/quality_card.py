"""The quality card: a table for the console and a picture, painted images beside real ones."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox
from rich.table import Table

from rbc_lightning.report.figures import save_figure
from rbc_lightning.report.quality import Color, Quality

_PAINTED, _REAL, _TRAIN = "#d55e00", "#0072b2", "#999999"
_BINS = 40
# Characters per line of the legend beside the panels.
_LEGEND_WIDTH = 88

HEAD = ("measure", "painted", "real", "train", "flat")
LEGEND = (
    "Colours in grey levels. real: held-out images of the same masks (KID: halves of them). train: training images, which "
    "styles come from. flat: the masks in two plain colours. Wanted: spread, distance, KID and diversity as real or train; "
    "Dice and AP no less than real; nearest training cell (0 = copy) no less than real or flat."
)


def quality_rows(quality: Quality) -> list[tuple[str, ...]]:
    """The lines of the card: measure, painted, and its yardsticks in the order of `HEAD`; "" where there is none."""
    q = quality
    spreads = (
        ("background spread", q.background_spread, q.background_spread_real, q.background_spread_train),
        ("cell spread", q.cell_spread, q.cell_spread_real, q.cell_spread_train),
        ("background distance", q.background_distance, None, q.background_distance_train),
        ("cell distance", q.cell_distance, None, q.cell_distance_train),
        ("colour diversity", q.color_diversity, q.color_diversity_real, q.color_diversity_train),
    )
    judged = (
        ("texture diversity", q.texture_diversity, q.texture_diversity_real, None),
        ("Dice", q.dice, q.dice_real, q.dice_flat),
        ("AP@0.5", q.ap50, q.ap50_real, q.ap50_flat),
        ("nearest cell, median", q.nearest_cell, q.nearest_cell_real, q.nearest_cell_flat),
        ("nearest cell, 5 %", q.nearest_cell_p5, q.nearest_cell_p5_real, q.nearest_cell_p5_flat),
    )
    kid = (f"{_text(q.kid, 3)} ± {_text(q.kid_std, 3)}", f"{_text(q.kid_real, 3)} ± {_text(q.kid_real_std, 3)}")
    return [
        *((name, _text(ours, 1), _text(real, 1), _text(train, 1), "") for name, ours, real, train in spreads),
        *((name, _text(ours, 3), _text(real, 3), "", _text(flat, 3)) for name, ours, real, flat in judged),
        ("KID", *kid, "", _text(q.kid_flat, 3)),
    ]


def quality_table(quality: Quality) -> Table:
    """The card as a table for the console."""
    caption = f"{LEGEND}\n{_closing(quality)}"
    table = Table(title=_title(quality), title_justify="left", caption=caption, caption_justify="left")
    for name in HEAD:
        table.add_column(name, justify="left" if name == HEAD[0] else "right", no_wrap=True)
    for row in quality_rows(quality):
        table.add_row(*row)
    return table


def save_quality_card(path: Path, quality: Quality) -> None:
    """Save the card as PNG: colours, faithfulness by image, nearest training cells, and the table."""
    figure = plt.figure(figsize=(15.5, 7.6), layout="constrained")
    figure.suptitle(_title(quality), fontsize=12)
    grid = figure.add_gridspec(2, 3, width_ratios=(1, 1, 1.4))
    s = quality.samples
    _colors(
        figure.add_subplot(grid[0, 0]),
        "Background: mean colour of an image",
        s.background,
        s.background_real,
        s.background_train,
    )
    _colors(figure.add_subplot(grid[0, 1]), "Cells: mean colour of an image", s.cells, s.cells_real, s.cells_train)
    _faithfulness(figure.add_subplot(grid[1, 0]), quality)
    _nearest(figure.add_subplot(grid[1, 1]), quality)
    _numbers(figure.add_subplot(grid[:, 2]), quality)
    save_figure(figure, path)


def _colors(axis: Axes, title: str, painted: Sequence[Color], real: Sequence[Color], train: Sequence[Color]) -> None:
    """Red against blue, the two channels in which stains differ most."""
    for name, colors, marker, edge in (
        ("training images", train, ".", _TRAIN),
        ("painted", painted, "o", _PAINTED),
        ("held-out real", real, "s", _REAL),
    ):
        rgb = np.array(colors, dtype=np.float64).reshape(-1, 3)
        face: str | None = edge if marker == "." else "none"
        axis.scatter(rgb[:, 0], rgb[:, 2], marker=marker, facecolors=face, edgecolors=edge, s=26, label=name)
    axis.set(title=title, xlabel="red, grey levels", ylabel="blue, grey levels")
    axis.legend(fontsize=8)


def _faithfulness(axis: Axes, quality: Quality) -> None:
    """Dice on the painted and the real image of each mask, joined by a line."""
    s = quality.samples
    order = np.argsort(s.dice)
    places = np.arange(len(order))
    painted, real = np.array(s.dice)[order], np.array(s.dice_real)[order]
    axis.vlines(places, painted, real, color=_TRAIN, linewidth=1)
    axis.scatter(places, real, marker="s", facecolors="none", edgecolors=_REAL, s=26, label="its real image")
    axis.scatter(places, painted, marker="o", facecolors="none", edgecolors=_PAINTED, s=26, label="painted")
    axis.set(title="Does an image show its mask?", xlabel="held-out masks, worst first", ylabel="Dice of the judge")
    axis.set_xticks([])
    axis.legend(fontsize=8, loc="lower right")


def _nearest(axis: Axes, quality: Quality) -> None:
    s = quality.samples
    both = np.concatenate((s.nearest_cell, s.nearest_cell_real))
    bins = np.linspace(0, max(both.max(initial=0.0), 1e-3), _BINS).tolist()
    for name, values, color in (("real cells", s.nearest_cell_real, _REAL), ("painted cells", s.nearest_cell, _PAINTED)):
        axis.hist(values, bins=bins, histtype="step", color=color, label=name, linewidth=1.5)
    axis.set(title="Are training cells copied?", xlabel="distance to the nearest training cell (0 = copy)", ylabel="cells")
    axis.legend(fontsize=8)


def _numbers(axis: Axes, quality: Quality) -> None:
    axis.axis("off")
    rows = [list(row) for row in quality_rows(quality)]
    table = axis.table(
        rows,
        colLabels=list(HEAD),
        colWidths=[0.32, 0.22, 0.22, 0.12, 0.12],
        cellLoc="right",
        bbox=Bbox.from_bounds(0, 0.3, 1, 0.7),
        edges="horizontal",
    )
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    for (row, column), cell in table.get_celld().items():
        cell.set_text_props(weight="bold" if row == 0 else "normal", ha="left" if column == 0 else "right")
    text = "\n\n".join("\n".join(textwrap.wrap(part, _LEGEND_WIDTH)) for part in (LEGEND, _closing(quality)))
    axis.text(0, 0.25, text, fontsize=9, va="top", transform=axis.transAxes)


def _title(quality: Quality) -> str:
    return f"Painted beside real images: {quality.n_images} held-out masks, {quality.n_styles} paintings of each"


def _doubt(quality: Quality) -> str:
    """Whether the judge itself is any good."""
    if not quality.dice_real < 0.7:
        return ""
    return (
        f"The judge finds few cells even on real images (Dice {quality.dice_real:.2f}): Dice, AP, KID and score say nothing; "
        "train it longer (translator.quality.steps).\n"
    )


def _closing(quality: Quality) -> str:
    return f"{_doubt(quality)}Score, Dice times diversity (as a share of real and train, at most 1): {quality.score:.3f}"


def _text(value: float | None, digits: int) -> str:
    """A number; "-" where it could not be measured, nothing where there is none."""
    if value is None:
        return ""
    return "-" if math.isnan(value) else f"{value:.{digits}f}"
