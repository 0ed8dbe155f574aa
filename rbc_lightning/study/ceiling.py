"""The ceiling of a table: how far two annotators of the same test images agree, by the score that models are compared by."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rbc_lightning.study.collect import PairedScores, all_runs, paired_scores
from rbc_lightning.study.floor import BySeed
from rbc_lightning.study.run_record import Run
from rbc_lightning.study.tables import TITLES, TWO_ANNOTATORS, WITHOUT_TRAINING


@dataclass(frozen=True)
class Ceiling:
    """One annotation scored against another.

    Attributes:
        mean: over the images that have both, each group of images counting once.
        n_images: that have both.
        title: how a line of the table calls it.
        figure: the mean to three places with the score's name, and of how many images.
        text: the same as a phrase, and which columns reach it.
    """

    mean: float
    n_images: int
    title: str
    figure: str
    text: str


def ceiling_above(
    columns: Mapping[str, BySeed], floors: BySeed, score: str, *, higher_is_better: bool, pooled: bool
) -> Ceiling | None:
    """The ceiling above the columns of a model; None where no image has two annotations with such a score.

    A column that reaches it on these images is as near to the truth as another annotator: what it gains beyond may be the hand
    of the one whose truth it was trained on. Where a model without training reaches it as well, the second annotation is no
    ceiling.

    Args:
        columns: runs by column and seed.
        floors: runs without training by seed.
        score: name of the metric.
        higher_is_better: its direction.
        pooled: over all images together the score is another one, so that the mean has to be told from it.
    """
    known = next((run for run in all_runs(columns) if any(score in row for row in run.agreement.values())), None)
    if known is None:
        return None
    # Filed as a column, the second annotation is paired with the others by image and group.
    second = replace(known, per_image=known.agreement)
    paired = _with_second(columns, second, score)
    if paired is None:
        return None
    mean, name = float(paired.by_seed(TWO_ANNOTATORS).mean()), known.title(score)
    of = f", mean of {paired.n_images} images" if pooled else f" ({paired.n_images} images)"
    title, text = "two annotators agree", f"two annotators agree on {name} {mean:.3f}{of}"
    if not higher_is_better:
        title, text = "two annotators differ", f"two annotators differ in {name} by {mean:.3f}{of}"
    reached = [TITLES[column] for column in columns if _reaches(paired, column, higher_is_better=higher_is_better)]
    below = _with_second({WITHOUT_TRAINING: floors}, second, score) if floors else None
    if below and _reaches(below, WITHOUT_TRAINING, higher_is_better=higher_is_better):
        text += "; a threshold reaches that: the second annotation is looser than the first, so that it is no ceiling here"
    elif reached:
        reach, beyond = "reaches" if len(reached) == 1 else "reach", "above" if higher_is_better else "below"
        text += f"; {', '.join(reached)} {reach} that: what lies {beyond} may be one annotator's habits"
    return Ceiling(mean, paired.n_images, title, f"{name} {mean:.3f}{of}", text)


def _with_second(filed: Mapping[str, BySeed], second: Run, score: str) -> PairedScores[str] | None:
    """Runs paired with the second annotation; None where no image has a score in all of them."""
    try:
        return paired_scores({**filed, TWO_ANNOTATORS: {second.seed: second}}, score)
    except ValueError:
        return None


def _reaches(paired: PairedScores[str], column: str, *, higher_is_better: bool) -> bool:
    gain = paired.by_seed(column).mean() - paired.by_seed(TWO_ANNOTATORS).mean()
    return bool((gain if higher_is_better else -gain) >= 0)
