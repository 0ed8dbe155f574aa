"""The floor of a table: what a model that learns nothing scores on the same test images, and which columns are no better."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rbc_lightning.study import statistics
from rbc_lightning.study.collect import PairedScores
from rbc_lightning.study.compare import Comparison
from rbc_lightning.study.numbers import mean_text
from rbc_lightning.study.run_record import Run
from rbc_lightning.study.tables import COLUMNS, TITLES, WITHOUT_TRAINING

BySeed = Mapping[int, Run]
ScoresOf = Callable[[Mapping[str, BySeed]], PairedScores[str]]
"""Scores of runs that are filed by column and seed: by image or pooled; a ValueError where they have none."""

AS_WELL = "a threshold does as well: this data set cannot show what training data are worth"
_TOO_WIDE = "its interval reaches 0: too wide to tell whether a threshold does as well"
_PERFECT = "nothing is left to gain on this data set"


@dataclass(frozen=True)
class Floor:
    """What a model that learns nothing scores.

    Attributes:
        model: its name, such as "threshold"; with the class that it finds, where that is one of several.
        mean: over the test images that it and all columns have a score of, and over the seeds of its runs.
        low, high: the 95 % interval of the mean, over other test images or groups and other seeds (other cuts of validation,
            which is all that a seed changes here).
        spread: standard deviation over seeds; None with one.
        n_images, seeds: that it was scored on and run with.
        comparisons: of each column with it, all exploratory.
        text: its figure, and the columns that it does as well as.
        higher_is_better: direction of the score.
    """

    model: str
    mean: float
    low: float
    high: float
    spread: float | None
    n_images: int
    seeds: tuple[int, ...]
    comparisons: Mapping[str, Comparison]
    text: str
    higher_is_better: bool = True

    @property
    def title(self) -> str:
        """How a line of the table calls it."""
        return f"without training ({self.model})"

    @property
    def figure(self) -> str:
        """The mean to three places, with its interval."""
        return mean_text(self.mean, self.low, self.high, higher_is_better=self.higher_is_better)


def floor_below(
    columns: Mapping[str, BySeed], floors: BySeed, scores_of: ScoresOf, score: str, *, higher_is_better: bool
) -> Floor | None:
    """The floor below the columns of a model; None where there is no run of it, or none with these scores.

    It is paired with the columns here and not where they are compared with each other: an image that it has no score of stays
    in their comparisons, and no comparison with it enters Holm's correction.

    Args:
        columns: runs by column and seed.
        floors: runs without training by seed.
        scores_of: the scores that are compared.
        score: their title.
        higher_is_better: their direction.
    """
    if not floors:
        return None
    try:
        paired = scores_of({**columns, WITHOUT_TRAINING: floors})
    except ValueError:
        return None
    comparisons = {}
    for column in columns:
        difference = paired.difference(column, WITHOUT_TRAINING)
        if difference:
            outcome = statistics.verdict(difference, higher_is_better=higher_is_better)
            comparisons[column] = Comparison(column, WITHOUT_TRAINING, difference, None, outcome)
    by_seed = paired.by_seed(WITHOUT_TRAINING)
    half = paired.half_width(WITHOUT_TRAINING)
    mean, spread = float(by_seed.mean()), statistics.spread(by_seed)
    low, high = mean - half, mean + half
    means = {column: float(paired.by_seed(column).mean()) for column in columns if column in COLUMNS}
    differences = {column: found.difference for column, found in comparisons.items()}
    beaten = {column: (d.high < 0 if higher_is_better else d.low > 0) for column, d in differences.items()}
    n_units = paired.means(WITHOUT_TRAINING).shape[1]
    if n_units < statistics.LEAST_UNITS:
        units = "groups of test images" if n_units < paired.n_images else "test images"
        told = f"; too few {units} ({n_units}) to tell whether a threshold does as well: at least {statistics.LEAST_UNITS}"
    else:
        told = _told(means, low, high, beaten, higher_is_better)
        # No score that is better when higher has more than 1.
        told += f"; {_PERFECT}" if higher_is_better and low >= 1 else ""
    text = f"without training {score} {mean_text(mean, low, high, higher_is_better=higher_is_better)}{told}"
    model = " or ".join(dict.fromkeys(run.floor_name for run in floors.values()))
    return Floor(model, mean, low, high, spread, paired.n_images, tuple(floors), comparisons, text, higher_is_better)


def _told(means: Mapping[str, float], low: float, high: float, beaten: Mapping[str, bool], higher_is_better: bool) -> str:
    """Which columns a threshold does as well as: those whose means lie within its interval.

    The rule asks whether the data set has room between no training and training, not whether a column beats the threshold on
    these very images: paired by image, a gain far smaller than the scatter of images has a verdict, and differences between
    columns, which are smaller still, are then asked of images on which training changes next to nothing. The interval of the
    floor's own mean holds that scatter. A column on its worse side has no more to show and does not silence the sentence; where
    all are there, it is the trainings that fall short, and of the data set nothing is said. That the threshold does better is
    said of the columns there that are `beaten`, whose difference has an interval that leaves out 0; of others, as well.
    An interval that reaches 0 is as wide as the score itself: that means lie within it says nothing.
    """
    clear = [column for column, mean in means.items() if (mean > high if higher_is_better else mean < low)]
    worse = [column for column, mean in means.items() if (mean < low if higher_is_better else mean > high)]
    within = [column for column in means if column not in clear and column not in worse]
    less = [column for column in worse if beaten.get(column)]
    if within and low <= 0 < high:
        return f"; {_TOO_WIDE}"
    if within and not clear:
        return f"; {AS_WELL}{f' ({_titles(less)}: worse than without)' if less else ''}"
    alike = [column for column in means if column in within or (column in worse and beaten.get(column) is False)]
    told = [f"as well as training on {_titles(alike)}"] if alike else []
    told += [f"better than training on {_titles(less)}"] if less else []
    return f"; a threshold does {' and '.join(told)}" if told else ""


def _titles(columns: list[str]) -> str:
    return ", ".join(TITLES[column] for column in columns)
