"""The quality card: a table for the console and a picture, generated images beside real ones."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox
from rich.table import Table

from rbc_lightning.core.files import write_text
from rbc_lightning.evaluation.result import CARD_FILE, QUALITY_FILE, Color, Quality, QualitySamples
from rbc_lightning.report.figures.runs import save_figure

_GENERATED, _REAL, _TRAIN = "#d55e00", "#0072b2", "#999999"
_BINS = 40
# Characters per line of the legend beside the panels.
_LEGEND_WIDTH = 88
# Fields of a quality by what the card calls them, and their decimals.
_MEASURES = {
    "background spread": ("background_spread", 1),
    "cell spread": ("cell_spread", 1),
    "background distance": ("background_distance", 1),
    "cell distance": ("cell_distance", 1),
    "colour diversity": ("color_diversity", 1),
    "texture diversity": ("texture_diversity", 3),
    "Dice": ("dice", 3),
    "AP@0.5": ("ap50", 3),
    "nearest cell, median": ("nearest_cell", 3),
    "nearest cell, 5 %": ("nearest_cell_p5", 3),
}

HEAD = ("measure", "generated", "real", "train", "baseline")
LEGEND = (
    "Colours in grey levels. real: held-out images of the same masks (KID: halves of them). train: training images, which "
    "styles come from. baseline: the masks in two plain colours, texture-free. Wanted: spread, distance, KID and diversity as "
    "real or train; Dice and AP no less than real; nearest training cell (0 = copy) no less than real or baseline."
)


def quality_rows(quality: Quality) -> list[tuple[str, ...]]:
    """The lines of the card: measure, generated images, and its references in the order of `HEAD`; "" where there is none."""
    q = quality
    rows = []
    for title, (name, digits) in _MEASURES.items():
        values = [getattr(q, f"{name}{suffix}", None) for suffix in ("", "_real", "_train", "_flat")]
        rows.append((title, *(_text(value, digits) for value in values)))
    kid = (f"{_text(q.kid, 3)} ± {_text(q.kid_std, 3)}", f"{_text(q.kid_real, 3)} ± {_text(q.kid_real_std, 3)}")
    return [*rows, ("KID", *kid, "", _text(q.kid_flat, 3))]


def quality_table(quality: Quality) -> Table:
    """The card as a table for the console."""
    caption = f"{LEGEND}\n{_closing(quality)}"
    table = Table(title=_title(quality), title_justify="left", caption=caption, caption_justify="left")
    for name in HEAD:
        table.add_column(name, justify="left" if name == HEAD[0] else "right", no_wrap=True)
    for row in quality_rows(quality):
        table.add_row(*row)
    return table


def write_quality(directory: Path, quality: Quality) -> tuple[Path, Path]:
    """Write `quality.json` and `quality_card.png` into a directory, each atomically; return their paths."""
    write_text(directory / QUALITY_FILE, quality.to_json())
    save_quality_card(directory / CARD_FILE, quality)
    return directory / QUALITY_FILE, directory / CARD_FILE


def save_quality_card(path: Path, quality: Quality) -> None:
    """Save the card as PNG: colours, faithfulness by image, nearest training cells, and the table."""
    figure = plt.figure(figsize=(15.5, 7.6), layout="constrained")
    figure.suptitle(_title(quality), fontsize=12)
    grid = figure.add_gridspec(2, 3, width_ratios=(1, 1, 1.4))
    _colors(figure.add_subplot(grid[0, 0]), "Background", quality.samples)
    _colors(figure.add_subplot(grid[0, 1]), "Cells", quality.samples)
    _faithfulness(figure.add_subplot(grid[1, 0]), quality)
    _nearest(figure.add_subplot(grid[1, 1]), quality)
    _numbers(figure.add_subplot(grid[:, 2]), quality)
    save_figure(figure, path)


def _colors(axis: Axes, part: str, samples: QualitySamples) -> None:
    """The first against the last channel: red and blue, in which stains differ most."""
    colors: list[Sequence[Color]] = [getattr(samples, f"{part.lower()}{suffix}") for suffix in ("_train", "", "_real")]
    n_channels = max((len(color) for some in colors for color in some), default=3)
    names = ("red", "blue") if n_channels == 3 else ("channel 1", f"channel {n_channels}")
    looks = (
        ("training images", ".", _TRAIN, _TRAIN),
        ("generated", "o", _GENERATED, "none"),
        ("held-out real", "s", _REAL, "none"),
    )
    for some, (name, marker, edge, face) in zip(colors, looks, strict=True):
        levels = np.array(some, dtype=np.float64).reshape(-1, n_channels)
        axis.scatter(levels[:, 0], levels[:, -1], marker=marker, facecolors=face, edgecolors=edge, s=26, label=name)
    axis.set(title=f"{part}: mean colour of an image", xlabel=f"{names[0]}, grey levels", ylabel=f"{names[1]}, grey levels")
    axis.legend(fontsize=8)


def _faithfulness(axis: Axes, quality: Quality) -> None:
    """Dice on the generated and the real image of each mask, joined by a line."""
    s = quality.samples
    order = np.argsort(s.dice)
    places = np.arange(len(order))
    generated, real = np.array(s.dice)[order], np.array(s.dice_real)[order]
    axis.vlines(places, generated, real, color=_TRAIN, linewidth=1)
    axis.scatter(places, real, marker="s", facecolors="none", edgecolors=_REAL, s=26, label="its real image")
    axis.scatter(places, generated, marker="o", facecolors="none", edgecolors=_GENERATED, s=26, label="generated")
    axis.set(title="Does an image show its mask?", xlabel="held-out masks, worst first", ylabel="Dice of the FCN-score network")
    axis.set_xticks([])
    axis.legend(fontsize=8, loc="lower right")


def _nearest(axis: Axes, quality: Quality) -> None:
    s = quality.samples
    both = np.concatenate((s.nearest_cell, s.nearest_cell_real))
    bins = np.linspace(0, max(both.max(initial=0.0), 1e-3), _BINS).tolist()
    for name, values, color in (("real cells", s.nearest_cell_real, _REAL), ("generated cells", s.nearest_cell, _GENERATED)):
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
    for (row, column), entry in table.get_celld().items():
        entry.set_text_props(weight="bold" if row == 0 else "normal", ha="left" if column == 0 else "right")
    text = "\n\n".join("\n".join(textwrap.wrap(part, _LEGEND_WIDTH)) for part in (LEGEND, _closing(quality)))
    axis.text(0, 0.25, text, fontsize=9, va="top", transform=axis.transAxes)


def _title(quality: Quality) -> str:
    return f"Generated beside real images: {quality.n_images} held-out masks, {quality.n_styles} images of each"


def _closing(quality: Quality) -> str:
    """The score, after a warning where the FCN-score network (Isola et al. 2017) itself finds few cells."""
    score = f"Score, Dice times diversity (as a share of real and train, at most 1): {quality.score:.3f}"
    if not quality.dice_real < 0.7:
        return score
    return (
        f"The FCN-score network finds few cells even on real images (Dice {quality.dice_real:.2f}): Dice, AP, KID and score "
        f"say nothing; train it longer (translator.quality.steps).\n{score}"
    )


def _text(value: float | None, digits: int) -> str:
    """A number; "-" where it could not be measured, nothing where there is none."""
    if value is None:
        return ""
    return "-" if math.isnan(value) else f"{value:.{digits}f}"
