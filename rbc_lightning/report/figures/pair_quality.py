"""The quality of synthetic pairs: tables for the console, the layout card and the quality card as pictures."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox
from rich.box import SIMPLE_HEAD
from rich.table import Table

from rbc_lightning.evaluation.pair_quality.layout import LayoutRow
from rbc_lightning.evaluation.pair_quality.result import PairQuality, digits, percent
from rbc_lightning.report.figures.runs import save_figure

_GENERATED, _VAL, _TRAIN = "#d55e00", "#0072b2", "#999999"
_SETS = (("train", _TRAIN, "_train"), ("validation", _VAL, "_val"), ("generated", _GENERATED, ""))
_COLUMNS = 3  # panels in a row of the layout card
_WIDTH = 13  # characters of text in an inch

LAYOUT_HEAD = ("masks", "gen.", "train", "val.", "W1", "val.", "one", "KS", "val.", "one")
LAYOUT_LEGEND = (
    "Means of generated, training and validation pairs; distances of their distribution to that of the training pairs: W1 "
    "(Wasserstein-1, in the unit of the row) and KS (Kolmogorov-Smirnov, 0 to 1), of the generated pairs, of validation, and "
    "of one real patient (slide, image) to the training pairs of the others, the median. Wanted: no further than real ones."
)
HEAD = ("images", "generated", "val.", "train")
LEGEND = (
    "Dice: what an FCN-score network, trained on the training pairs, finds in an image against its mask; exchanged: against "
    "the mask of the next pair, which is what place alone gives. Diversity: 1 - MS-SSIM of two images; 1 - Dice of two masks "
    "that are not empty, over that of unrelated ones so large (0 = all the same). Nearest: median distances of patterns, 0 = "
    "copy, 1.41 = unrelated; RMSE in grey levels, at the best small shift and mirror image. Nearer than: share of distances "
    "below the 1st (5th) percentile of validation's, or of train's. Wanted: as validation, or as train."
)


def layout_cells(quality: PairQuality) -> list[tuple[str, ...]]:
    """The lines of the layout card, in the order of `LAYOUT_HEAD`."""
    return [_layout_cells(row) for row in quality.layout]


def quality_cells(quality: PairQuality) -> list[tuple[str, ...]]:
    """The lines of the quality card, in the order of `HEAD`; "" where there is none."""
    q, ours, val, train = quality, quality.novelty, quality.novelty_val, quality.novelty_train
    rows = [
        ("Dice, mean of pairs with a mask", q.agreement.dice, q.agreement_val.dice, None),
        ("Dice, all pixels pooled", q.agreement.pooled, q.agreement_val.pooled, None),
        ("... masks exchanged", q.agreement.exchanged, q.agreement_val.exchanged, None),
        ("diversity of images", ours.images, val.images, train.images),
        ("diversity of masks", ours.masks, val.masks, train.masks),
        ("nearest other image", ours.twins, None, train.twins),
        ("nearest training image", ours.nearest, val.nearest, None),
        ("... RMSE to it", ours.rmse, val.rmse, None),
        ("nearest training cell or patch", ours.cells, val.cells, None),
    ]
    shares = [
        ("images nearer than 1 % (5 %)", _shares(q.near_1, q.near_5), "1 % (5 %)", ""),
        ("cells or patches nearer than 1 % (5 %)", _shares(q.cells_near_1, q.cells_near_5), "1 % (5 %)", ""),
        ("images with another one nearer than 1 %", _shares(q.twins_1), "", "1 %"),
    ]
    return [*((name, *(_text(value) for value in values)) for name, *values in rows), *shares]


def pair_tables(quality: PairQuality) -> tuple[Table, Table]:
    """Both cards as tables for the console."""
    title = f"{quality.n} synthetic pairs beside {quality.n_train} of train and {quality.n_val} of validation"
    return (
        _table(title, LAYOUT_HEAD, layout_cells(quality), "\n".join([*_noted(quality), LAYOUT_LEGEND])),
        _table("", HEAD, quality_cells(quality), "\n".join([*_found(quality), LEGEND])),
    )


def save_layout_card(path: Path, quality: PairQuality) -> None:
    """Save the layout card as PNG: a cumulative distribution for each row but the share of empty masks, and the table."""
    rows = quality.layout[1:]
    n_rows = max(1, math.ceil(len(rows) / _COLUMNS))
    table = 0.6 + 0.24 * len(quality.layout)
    figure = plt.figure(figsize=(14, 2.9 * n_rows + table + 1.2), layout="constrained")
    figure.suptitle(f"Masks of {quality.n} synthetic pairs beside {quality.n_train} of train, {quality.n_val} of validation")
    grid = figure.add_gridspec(n_rows + 1, _COLUMNS, height_ratios=[*[2.9] * n_rows, table + 0.9])
    for number, row in enumerate(rows):
        _distribution(figure.add_subplot(grid[number // _COLUMNS, number % _COLUMNS]), row)
    axis = figure.add_subplot(grid[n_rows, :])
    _numbers(
        axis,
        LAYOUT_HEAD,
        layout_cells(quality),
        [*_noted(quality), LAYOUT_LEGEND],
        inches=13.5,
        first=0.31,
        share=table / (table + 0.9),
    )
    save_figure(figure, path)


def save_quality_card(path: Path, quality: PairQuality) -> None:
    """Save the quality card as PNG: faithfulness, nearest training images and cells, and the table with what stands out."""
    figure = plt.figure(figsize=(15.5, 8.4), layout="constrained")
    figure.suptitle(f"Images of {quality.n} synthetic pairs beside {quality.n_train} of train, {quality.n_val} of validation")
    grid = figure.add_gridspec(3, 2, width_ratios=(1, 1.9))
    ours, val = quality.novelty, quality.novelty_val
    panels = (
        ("Does an image show its mask?", "Dice of the network", quality.agreement.by_pair, quality.agreement_val.by_pair),
        ("Are images copied?", "distance to the nearest training image", ours.nearest_values, val.nearest_values),
        ("Are cells or patches copied?", "distance to the nearest training cell", ours.cells_values, val.cells_values),
    )
    for number, (title, label, generated, real) in enumerate(panels):
        axis = figure.add_subplot(grid[number, 0])
        for name, color, values in (("validation", _VAL, real), ("generated", _GENERATED, generated)):
            if len(values):
                axis.ecdf(values, color=color, label=f"{name} ({len(values)})", linewidth=1.5)
        axis.set(title=title, xlabel=label, ylabel="share below", xlim=(0, None if number else 1))
        if axis.lines:
            axis.legend(fontsize=8, loc="upper left")
    _numbers(
        figure.add_subplot(grid[:, 1]),
        HEAD,
        quality_cells(quality),
        [*_found(quality), *_noted(quality), LEGEND],
        inches=9.5,
        first=0.43,
        share=0.5,
    )
    save_figure(figure, path)


def _found(quality: PairQuality) -> list[str]:
    return [*(quality.findings() or ["Nothing stands out."]), ""]


def _noted(quality: PairQuality) -> list[str]:
    notes = quality.notes()
    return [*notes, ""] if notes else []


def _distribution(axis: Axes, row: LayoutRow) -> None:
    for name, color, suffix in _SETS:
        values, n = getattr(row, f"percentiles{suffix}"), getattr(row, f"n{suffix}")
        if values:
            axis.step(values, np.linspace(0, 1, len(values)), where="post", color=color, label=f"{name} ({n})", linewidth=1.5)
    axis.set_title(row.name, fontsize=10)
    axis.set_ylabel("share below", fontsize=8)
    axis.locator_params(axis="x", nbins=6)
    if axis.lines:
        axis.legend(fontsize=8, loc="lower right")


def _numbers(
    axis: Axes,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    texts: Sequence[str],
    *,
    inches: float,
    first: float,
    share: float,
) -> None:
    """A table in the upper share of a panel, its first column so wide, with lines of text below."""
    axis.axis("off")
    table = axis.table(
        [list(row) for row in rows],
        colLabels=list(head),
        colWidths=[first, *[(1 - first) / (len(head) - 1)] * (len(head) - 1)],
        cellLoc="right",
        bbox=Bbox.from_bounds(0, 1 - share, 1, share),
        edges="horizontal",
    )
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    for (line, column), entry in table.get_celld().items():
        entry.set_text_props(weight="bold" if line == 0 else "normal", ha="left" if column == 0 else "right")
    text = "\n".join("\n".join(textwrap.wrap(part, round(_WIDTH * inches))) for part in texts)
    axis.text(0, 1 - share - 0.03, text, fontsize=9, va="top", transform=axis.transAxes)


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> Table:
    about = {"title_justify": "left", "caption_justify": "left", "box": SIMPLE_HEAD, "padding": (0, 1, 0, 0), "pad_edge": False}
    table = Table(title=title or None, caption=caption, **about)  # type: ignore[arg-type]  # each of its own type
    for number, name in enumerate(head):
        table.add_column(name, justify="right" if number else "left", no_wrap=bool(number))
    for row in rows:
        table.add_row(*row)
    return table


def _layout_cells(row: LayoutRow) -> tuple[str, ...]:
    apart = (row.generated, row.val, row.one_patient)
    values = (
        *(row.mean, row.mean_train, row.mean_val),
        *(each.wasserstein for each in apart),
        *(each.ks for each in apart),
    )
    return (row.name, *map(_text, values))


def _shares(*shares: float) -> str:
    texts = ["-" if math.isnan(share) else percent(share) for share in shares]
    return texts[0] if len(texts) == 1 else f"{texts[0]} ({texts[1]})"


def _text(value: float | None) -> str:
    """See `digits`; nothing where there is none."""
    return "" if value is None else digits(value)
