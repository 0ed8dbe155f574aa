"""Data of classes: the measures of Novoselov and Smirnov 2024 by column, each beside what answering "background" scores.

Their means over classes say little alone: a network that answers "background" everywhere has an accuracy near 1, and over two
classes an IoU near a half. So that score stands beside each, on the same scans, with and without background among the classes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rbc_lightning.study.collect import paired_scores
from rbc_lightning.study.numbers import number_text
from rbc_lightning.study.run_record import Run
from rbc_lightning.study.statistics import spread
from rbc_lightning.study.tables import NOVOSELOV, NOVOSELOV_COLUMNS, NOVOSELOV_NOTE, NOVOSELOV_TITLE, TITLES, csv_text

EVERYWHERE = "background everywhere"
_MEASURES = ("accuracy", "mean_iou", "mean_iou_background", "mean_dice", "mean_dice_background")
_NOTHING, _OF_CLASS = "nothing_", "dice_"
_HEADER = ("data", "model", "measure", "column", "mean", "spread", "n_seeds", "background_everywhere", "n_undefined")
# Phrases about images and groups of them, as they are said of scans and patients; longer ones first.
_SAID_OF_SCANS = (
    ("groups of test images", "patients"),
    ("test images or groups", "test scans or patients"),
    ("images or groups", "scans or patients"),
    ("test images", "test scans"),
    ("groups, which count once each", "patients, which count once each"),
    ("Test images", "Test scans"),
    ("test image", "test scan"),
    ("validation images", "validation scans"),
    ("other images", "other scans"),
    ("the same images", "the same scans"),
    ("External: images", "External: scans"),
    ("real training images", "real training slices"),
    ("or source (1 image)", "or source (1 scan)"),
    ("images)", "scans)"),
)

Grid = tuple[str, list[str], list[list[str]]]


@dataclass(frozen=True)
class ClassMeasure:
    """A measure of one model on data of classes.

    Attributes:
        model, name, title: of the model, of the metric, and what people call it.
        means, spreads, n_seeds: by column: over scans (patients once each) and seeds; over seeds, None with one; how many.
        nothing: what answering "background" everywhere scores on the same scans; None where it is not recorded.
        undefined, n_scored: by column: of how many scans it is not defined, and scans, seeds together.
        left_out: scans that are in no mean, since some run has it not defined there.
    """

    model: str
    name: str
    title: str
    means: Mapping[str, float]
    spreads: Mapping[str, float | None]
    n_seeds: Mapping[str, int]
    nothing: float | None
    undefined: Mapping[str, int] = field(default_factory=dict)
    n_scored: Mapping[str, int] = field(default_factory=dict)
    left_out: int = 0


def has_classes(runs: Sequence[Run]) -> bool:
    """Whether runs were tested on scans with classes."""
    return bool(runs) and all(run.has(f"{_NOTHING}mean_dice") for run in runs)


def class_scores(run: Run) -> list[str]:
    """Names of the scores of single classes, in the order of their values; none of data of cells."""
    return [name for name in next(iter(run.per_image.values())) if name.startswith(_OF_CLASS)]


def nothing_found(columns: Mapping[str, Mapping[int, Run]], metric: str) -> float | None:
    """What answering "background" everywhere scores; None where it is not known.

    Of `dice`, the headline where there is one class, it is that of the mean over classes, which is the same then.
    """
    name = f"{_NOTHING}{'mean_dice' if metric == 'dice' else metric}"
    try:
        paired = paired_scores(columns, name)
    except ValueError:
        return None
    return float(paired.by_seed(next(iter(columns))).mean())


def class_measures(model: str, columns: Mapping[str, Mapping[int, Run]]) -> Iterator[ClassMeasure]:
    """The measures that all runs of a model have, in the order of lines; none on data of cells."""
    runs = [run for by_seed in columns.values() for run in by_seed.values()]
    if not has_classes(runs):
        return
    yield from measured(model, columns, (*_MEASURES, *class_scores(runs[0])))


def measured(model: str, columns: Mapping[str, Mapping[int, Run]], names: Sequence[str]) -> Iterator[ClassMeasure]:
    """The measures of these names, on the scans where all runs of a model have one defined; "-" where there is none such."""
    for name in names:
        try:
            paired = paired_scores(columns, name)
        except ValueError:
            paired = None
        by_seed = {column: paired.by_seed(column) for column in columns} if paired else {}
        yield ClassMeasure(
            model,
            name,
            next(run for by in columns.values() for run in by.values()).title(name),
            {column: float(values.mean()) for column, values in by_seed.items()},
            {column: spread(values) for column, values in by_seed.items()},
            {column: len(values) for column, values in by_seed.items()},
            nothing_found(columns, name) if paired else None,
            {column: sum(run.undefined(name) for run in by.values()) for column, by in columns.items()},
            {column: sum(len(run.per_image) for run in by.values()) for column, by in columns.items()},
            paired.n_dropped if paired else 0,
        )


def class_grids(measures: Sequence[ClassMeasure], columns: Sequence[str]) -> Iterator[Grid]:
    """The measures by column, and Table 1 of Novoselov and Smirnov 2024 behind them: caption, header, lines."""
    if not measures:
        return
    lines = [
        [f"{m.model}, {m.title}", figure(m.nothing), *(figure(m.means.get(c), m.spreads.get(c)) for c in columns)]
        for m in measures
        if len(class_names(measures)) > 1 or not m.name.startswith(_OF_CLASS)
    ]
    caption = f"Scores of classes, mean over test scans and seeds ± standard deviation over seeds, beside “{EVERYWHERE}”"
    yield caption, ["", EVERYWHERE, *(TITLES[column] for column in columns)], lines
    theirs = [[name, *(f"{value:.2f}" for value in values)] for name, values in NOVOSELOV.items()]
    yield NOVOSELOV_TITLE, ["", *NOVOSELOV_COLUMNS], theirs


def class_notes(measures: Sequence[ClassMeasure]) -> Iterator[str]:
    """What is to be known of the measures, a line each."""
    if measures:
        yield (
            "Scores of classes: means are over the classes that truth or answer of a scan have, hard masks of whole scans; "
            f"“{EVERYWHERE}” is what a network that finds nothing scores on them"
        )
        names = class_names(measures)
        if len(names) == 1:
            yield f"There is one class, {names[0]}: means over classes are its own scores"
        yield NOVOSELOV_NOTE


def class_names(measures: Sequence[ClassMeasure]) -> tuple[str, ...]:
    """The classes that were scored one by one, in the order of their values."""
    titles = dict.fromkeys(m.title for m in measures if m.name.startswith(_OF_CLASS))
    return tuple(title.removeprefix("Dice of ") for title in titles)


def to_csv(measures: Sequence[ClassMeasure], data: str) -> str:
    """One line for each model, measure and column; numbers unrounded."""
    lines = [
        (data, m.model, m.name, column, mean, m.spreads[column], m.n_seeds[column], m.nothing, m.undefined.get(column, 0))
        for m in measures
        for column, mean in m.means.items()
    ]
    return csv_text(_HEADER, lines)


def of_scans(text: str) -> str:
    """A text about test images and groups of them as one about scans and patients."""
    for images, scans in _SAID_OF_SCANS:
        text = text.replace(images, scans)
    return text


def figure(value: float | None, spread_of: float | None = None) -> str:
    """A score to three places with its spread over seeds; "-" for none."""
    return "-" if value is None else number_text(value) + ("" if spread_of is None else f" ± {spread_of:.3f}")
