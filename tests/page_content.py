"""Made-up content for the report page: invented scores, and pictures drawn here."""

from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from run_records import METRICS

from rbc_lightning.report.page.content import Chart, GalleryImage, Layer, Page, Picture
from rbc_lightning.study.choose import RunGroups
from rbc_lightning.study.run_record import Run
from rbc_lightning.study.table2 import build_table2
from rbc_lightning.study.tables import COLUMNS

# Gains over RD by column: undecided, helps, hurts.
GAINS = {
    "fcn8s": {"rd": 0.0, "sd": -0.01, "rd_aug": 0.004, "rd_sd": -0.002, "rd_sd_aug": 0.006},
    "dcan": {"rd": 0.0, "sd": -0.08, "rd_aug": 0.02, "rd_sd": 0.03, "rd_sd_aug": 0.06},
    "faster_rcnn": {"rd": 0.0, "sd": -0.12, "rd_aug": 0.03, "rd_sd": -0.002, "rd_sd_aug": -0.02},
}
LAYERS = ("truth", "fcn8s RD+aug", "fcn8s RD+SD+aug", "dcan RD+aug", "dcan RD+SD+aug", "faster_rcnn RD+SD+aug")
COLOURS = ("#ffffff", "#1f77ff", "#ff8c1a", "#17c3a2", "#c86bff", "#ff3d7f")
COLOURS_OF_SMEARS = ("#f2dfe4", "#e9dcea", "#efe6dc")


@cache
def make_table(
    models=tuple(GAINS), columns=tuple(COLUMNS), seeds=(0, 1, 2), optimistic=False, left_out=(), n_images=20, floor=False
):
    runs = {
        model: {column: {seed: _run(model, column, seed, optimistic, n_images) for seed in seeds} for column in columns}
        for model in models
    }
    below = {seed: _floor(seed, n_images) for seed in seeds} if floor else {}
    return build_table2(RunGroups("phantom", runs, tuple(left_out), below))


def _run(model, column, seed, optimistic, n_images):
    score = "dice" if model == "fcn8s" else "ap50"
    gain = GAINS.get(model, GAINS["fcn8s"])[column]
    own = np.random.default_rng([seed, *f"{model}{column}".encode()])
    of_image = np.random.default_rng(5).normal(0.9, 0.02, n_images)
    values = of_image + gain + 0.002 * own.standard_normal() + own.normal(0, 0.008, n_images)
    metrics = {
        "model": model,
        "column": column,
        "seed": seed,
        "mix": {"real": 8, "synthetic": 4 if "sd" in column else 0},
        "headline": f"test/{score}",
        "optimistic": optimistic,
        "metrics": METRICS,
    }
    metrics[f"test/{score}"] = float(values.mean())
    return Run(Path(f"{model}{column}{seed}"), metrics, {f"i{k}": {score: float(v)} for k, v in enumerate(values)}, {}, 0.0)


def _floor(seed, n_images):
    """Of AP50 a clear one, of Dice one that training hardly rises above."""
    of_image = np.random.default_rng(5).normal(0.9, 0.02, n_images)
    per_image = {f"i{k}": {"dice": float(v), "ap50": float(v) - 0.1} for k, v in enumerate(of_image + 1e-4 * seed)}
    metrics = {"model": "threshold", "column": "without_training", "seed": seed, "headline": "test/dice", "metrics": METRICS}
    return Run(Path(f"floor{seed}"), {**metrics, "mix": dict.fromkeys(("real", "synthetic"), 0)}, per_image, {}, 0.0)


def encoded(image, kind):
    out = BytesIO()
    image.save(out, kind)
    return out.getvalue()


def cells_of(number, n_cells, width, height):
    """Ellipses (left, top, right, bottom) in pixels."""
    rng = np.random.default_rng(number)
    centres = rng.uniform((0, 0), (width, height), (n_cells, 2))
    radii = rng.normal(0.05 * width, 0.004 * width, (n_cells, 2))
    return [tuple(map(float, (*(c - r), *(c + r)))) for c, r in zip(centres, radii, strict=True)]


def smear(number, n_cells=40, width=640, height=480):
    image = Image.new("RGB", (width, height), COLOURS_OF_SMEARS[number % 3])
    draw = ImageDraw.Draw(image)
    for left, top, right, bottom in cells_of(number, n_cells, width, height):
        draw.ellipse((left, top, right, bottom), fill="#c9838d", outline="#a9606c")
        inset = 0.3 * (right - left)
        draw.ellipse((left + inset, top + inset, right - inset, bottom - inset), fill="#dba9b0")
    return image


def outlines(number, layer, n_cells=40, width=640, height=480):
    """Transparent but for outlines; each layer has its own colour and misses some cells."""
    image = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    for k, box in enumerate(cells_of(number, n_cells, width, height)):
        if layer == 0 or (k + layer) % (5 + layer):
            draw.ellipse(box, outline=COLOURS[layer % len(COLOURS)], width=3)
    return image


def score_of(number, layer):
    return round(float(np.random.default_rng([number, layer]).uniform(0.6, 0.99)), 6)


@cache
def make_gallery(n_images=3, layers=LAYERS, **size):
    width, height = size.get("width", 640), size.get("height", 480)
    made = []
    for number in range(n_images):
        overlays = [encoded(outlines(number, k, **size), "PNG") for k in range(len(layers))]
        drawn = [Layer(layers[0], overlays[0], None, "", 40)]
        for k, name in enumerate(layers[1:], start=1):
            drawn.append(Layer(name, overlays[k], score_of(number, k), "Dice", None if k == 1 else 36 + k))
        made.append(GalleryImage(f"smear_{number:02d}", width, height, encoded(smear(number, **size), "JPEG"), tuple(drawn)))
    return tuple(made)


def make_chart(title, n_bars=5):
    """Bars with intervals in the colours of the page."""
    bars = []
    for k in range(n_bars):
        x, top = 70 + 90 * k, 60 + 12 * k
        bars.append(f'<rect x="{x}" y="{top}" width="48" height="{240 - top}" fill="var(--series-{k + 1})"/>')
        bars.append(f'<path d="M{x + 24} {top - 14}v28M{x + 16} {top - 14}h16M{x + 16} {top + 14}h16" stroke="currentColor"/>')
        bars.append(f'<text x="{x + 24}" y="262" text-anchor="middle" fill="currentColor">{list(COLUMNS.values())[k]}</text>')
    axis = '<path d="M50 20v220h470" fill="none" stroke="currentColor"/>'
    svg = f'<svg viewBox="0 0 540 280" role="img" aria-label="{title}" xmlns="http://www.w3.org/2000/svg">{axis}{"".join(bars)}</svg>'
    return Chart(title, svg, "Made-up bars with made-up intervals.")


def make_page(**changes):
    picture = encoded(smear(7, width=320, height=120), "PNG")
    content = {
        "title": "Synthetic blood smears: do they help?",
        "table": make_table(),
        "bars": (make_chart("fcn8s"), make_chart("dcan"), make_chart("faster_rcnn")),
        "learning": (make_chart("fcn8s, validation Dice"), make_chart("dcan, validation AP")),
        "sweeps": (make_chart("Share of synthetic samples"), make_chart("Number of real images")),
        "cards": (
            Picture("Layout card", picture, "image/png", "Sampled against real layouts."),
            Picture("Quality card", picture, "image/png", "Generated against real smears."),
        ),
        "sheets": (Picture("Synthetic cells", picture, "image/png", "One mask in several styles."),),
        "gallery": make_gallery(),
        "sources": ("15 runs below runs/", "phantom, 20 test images"),
        "missing": (),
    }
    return Page(**(content | changes))
