"""The columns of Table 2 of Bailo et al. 2019: their titles, what is compared with what, and the published figures."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

COLUMNS = {"rd": "RD", "sd": "SD", "rd_aug": "RD+aug", "rd_sd": "RD+SD", "rd_sd_aug": "RD+SD+aug"}
CONTROLS = {"rd_large": "RD repeated to the size of the large columns", "sd_large": "SD at the size of the large columns"}
TITLES = {**COLUMNS, "rd_large": "RD large", "sd_large": "SD large"}

WITHOUT_TRAINING, TWO_ANNOTATORS = "without_training", "two_annotators"
"""Stand where else a column does: the floor, a model that learns nothing, and the ceiling, one annotation scored by another."""

REFERENCES = ("rd_aug", "rd")
Question = tuple[str, str]
# Does adding synthetic data help: beside real and augmented data, and beside real data alone.
QUESTIONS = (("rd_sd_aug", "rd_aug"), ("rd_sd", "rd"))

# Behind every figure of a run whose weights were chosen on the test split, as Bailo et al. 2019 did.
OPTIMISTIC = "optimistic: weights chosen on the test split"
# Of runs with `training.epochs`, as Novoselov and Smirnov 2024 compared 30 images with 300.
CONFOUNDED = "confounded: equal passes over samples of different numbers, so columns differ in optimiser steps"
_TINY = "tiny"
CAUTION = f"figures of scale={_TINY} mean nothing: they only show that everything is wired"
PAPER_TITLE = "Bailo et al. 2019 (another data set: not comparable)"
# By model: the metric, and its values in the order of COLUMNS.
PAPER = {
    "fcn8s": ("dice", (0.961, 0.848, 0.962, 0.948, 0.964)),
    "faster_rcnn": ("ap50", (0.781, 0.852, 0.985, 0.986, 0.993)),
    "dcan": ("ap50", (0.853, 0.749, 0.885, 0.848, 0.895)),
}

NOVOSELOV_TITLE = "Novoselov and Smirnov 2024, Table 1 (another data set, BraTS 2020: not comparable)"
NOVOSELOV_COLUMNS = tuple(f"{column}: {split}" for column in ("without", "with") for split in ("train", "val", "test"))
NOVOSELOV = {
    "Accuracy": (0.90, 0.92, 0.87, 0.94, 0.85, 0.90),
    "Mean IoU": (0.43, 0.37, 0.38, 0.69, 0.58, 0.59),
    "Dice": (0.27, 0.25, 0.25, 0.71, 0.60, 0.66),
}
"""By measure, without and with augmentation (classic and by a GAN), of 30 and 300 training images."""
NOVOSELOV_NOTE = (
    "Novoselov and Smirnov 2024 name no class sets, and trained for equal epochs: with ten times the images, ten times the "
    "optimiser steps, so that augmentation is confounded with training. Their column without fits a network that answers "
    "background everywhere: an IoU over two classes of half the accuracy, a Dice over four of a quarter"
)


def published(model: str, metric: str) -> dict[str, float]:
    """The figures of Bailo et al. 2019 by column; none for a model, or a metric of it, that they do not have."""
    known, figures = PAPER.get(model, ("", ()))
    return dict(zip(COLUMNS, figures, strict=True)) if known == metric else {}


def is_tiny(settings: Mapping[str, object]) -> bool:
    """Whether a run, by its flat configuration, was made at the scale that `CAUTION` is about."""
    return settings.get("scale.name") == _TINY


def external_title(n_images: int) -> str:
    """How a line calls the score on images of another source."""
    return f"external, another scanner or source ({n_images} image{'s' if n_images > 1 else ''})"


def sentence(text: str) -> str:
    """A phrase with a capital and a full stop; empty stays empty."""
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def csv_text(header: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """A table as CSV; fields of None are empty."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([header, *lines])
    return out.getvalue()
