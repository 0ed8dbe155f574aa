"""The columns of Table 2 of Bailo et al. 2019: their titles, what is compared with what, and the published figures."""

import csv
import io
from collections.abc import Iterable, Sequence

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
PAPER_TITLE = "Bailo et al. 2019 (another data set: not comparable)"
# By model: the metric, and its values in the order of COLUMNS.
PAPER = {
    "fcn8s": ("dice", (0.961, 0.848, 0.962, 0.948, 0.964)),
    "faster_rcnn": ("ap50", (0.781, 0.852, 0.985, 0.986, 0.993)),
    "dcan": ("ap50", (0.853, 0.749, 0.885, 0.848, 0.895)),
}


def published(model: str, metric: str) -> dict[str, float]:
    """The figures of Bailo et al. 2019 by column; none for a model, or a metric of it, that they do not have."""
    known, figures = PAPER.get(model, ("", ()))
    return dict(zip(COLUMNS, figures, strict=True)) if known == metric else {}


def sentence(text: str) -> str:
    """A phrase with a capital and a full stop; empty stays empty."""
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def csv_text(header: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """A table as CSV; fields of None are empty."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([header, *lines])
    return out.getvalue()
