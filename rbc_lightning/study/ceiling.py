"""The ceiling of a table: how far two annotators of the same test images agree, by the score that models are compared by."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rbc_lightning.study.collect import all_runs, paired_scores
from rbc_lightning.study.run_record import Run
from rbc_lightning.study.tables import TITLES, TWO_ANNOTATORS


@dataclass(frozen=True)
class Ceiling:
    """One annotation scored against another.

    Attributes:
        mean: over the images that have both, each group of images counting once.
        n_images: that have both.
        text: its figure, and the columns that are not below it.
    """

    mean: float
    n_images: int
    text: str

    @property
    def figure(self) -> str:
        """The mean to three places, and of how many images."""
        return f"{self.mean:.3f} ({self.n_images} images)"


def ceiling_above(columns: Mapping[str, Mapping[int, Run]], score: str, *, higher_is_better: bool) -> Ceiling | None:
    """The ceiling above the columns of a model; None where no image has two annotations with such a score.

    A column that on these images is not below it is as near to the truth as that truth to another one: no gain over it can be
    told from the annotator's hand.

    Args:
        columns: runs by column and seed.
        score: name of the metric.
        higher_is_better: its direction.
    """
    known = next((run for run in all_runs(columns) if any(score in row for row in run.agreement.values())), None)
    if known is None:
        return None
    # Filed as a column, the second annotation is paired with the others by image and group.
    second = replace(known, per_image=known.agreement)
    try:
        paired = paired_scores({**columns, TWO_ANNOTATORS: {known.seed: second}}, score)
    except ValueError:
        return None
    mean, sign = float(paired.by_seed(TWO_ANNOTATORS).mean()), 1 if higher_is_better else -1
    reached = [TITLES[column] for column in columns if sign * (paired.by_seed(column).mean() - mean) >= 0]
    told = f"; not below it: {', '.join(reached)}: these data cannot show more" if reached else ""
    return Ceiling(mean, paired.n_images, f"two annotators agree on {mean:.3f} ({paired.n_images} images){told}")
