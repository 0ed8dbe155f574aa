"""What telling the look-alike of lesions as a class gains, without synthetic data: runs that differ in `data.targets`.

The normal bright rims of the ventricles are what a network takes for lesions: labelled as a class, they are a rival of any
synthetic data. Compared is the Dice of the first class, column by column, on the same scans.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rbc_lightning.study import statistics
from rbc_lightning.study.choose import RunGroups, group_runs
from rbc_lightning.study.classes import class_scores
from rbc_lightning.study.collect import all_runs, paired_scores
from rbc_lightning.study.comparable import data_settings
from rbc_lightning.study.compare import Comparison
from rbc_lightning.study.left_out import Settings
from rbc_lightning.study.run_record import Run

_TARGETS = "data.targets"


@dataclass(frozen=True)
class AlikeRow:
    """A row of a table beside runs of other targets.

    Attributes:
        row: its name.
        targets: those of the other runs.
        title: what is compared.
        comparisons: by column, the other runs less those of the row; exploratory.
    """

    row: str
    targets: str
    title: str
    comparisons: Mapping[str, Comparison]


def alike_rows(groups: RunGroups, runs: Sequence[Run]) -> Iterator[AlikeRow]:
    """For each row what other targets gain, of finished runs that agree with it in all but `data.targets`.

    Args:
        groups: the runs of a table.
        runs: finished runs.
    """
    told: set[str] = set()
    for row, columns in groups.runs.items():
        first, model = all_runs(columns)[0], groups.model_of(row)
        others: dict[str, list[Run]] = {}
        for run in groups.of_row(row, [run for run in runs if run.data == groups.data]):
            if class_scores(run) != class_scores(first) and _aside(run) == _aside(first):
                others.setdefault(_targets(run), []).append(run)
        for targets, some in sorted(others.items()):
            theirs = next(iter(group_runs(some, groups.data).runs.values()), {})
            compared = _compared({c: (columns[c], theirs[c]) for c in columns if c in theirs}, class_scores(first)[0])
            # Rows of several generators share the runs without synthetic samples, which are told of once.
            shared = {
                c: found for c, found in compared.items() if row != model and not any(r.generator for r in columns[c].values())
            }
            own = {c: found for c, found in compared.items() if c not in shared}
            parts = [(row, own)] if model in told else [(model, shared), (row, own)]
            yield from (AlikeRow(name, targets, first.title(class_scores(first)[0]), part) for name, part in parts if part)
        told.add(model)


def _compared(filed: Mapping[str, tuple[Mapping[int, Run], Mapping[int, Run]]], score: str) -> dict[str, Comparison]:
    """By column the second runs less the first, over their common seeds; none where some run lacks the score."""
    sides = {(column, side): pair[side] for column, pair in filed.items() for side in (0, 1)}
    try:
        paired = paired_scores(sides, score)
    except ValueError:
        return {}
    found = {column: difference for column in filed if (difference := paired.difference((column, 1), (column, 0)))}
    return {c: Comparison(c, c, difference, None, statistics.verdict(difference)) for c, difference in found.items()}


def _targets(run: Run) -> str:
    """As `data.targets` names them."""
    return f"[{','.join(name.removeprefix('dice_') for name in class_scores(run))}]"


def _aside(run: Run) -> Settings:
    """All settings that must agree."""
    data = {name: value for name, value in data_settings(run).items() if name != _TARGETS}
    return {**data, "base": run.metrics["recipe"]["base"]}
