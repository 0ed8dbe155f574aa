"""Columns compared with each other: every comparison, the answers to the two questions, and their wording."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from rbc_lightning.study import statistics
from rbc_lightning.study.collect import PairedScores
from rbc_lightning.study.numbers import p_text, signed_text
from rbc_lightning.study.settle import what_would_settle
from rbc_lightning.study.statistics import Difference, Verdict
from rbc_lightning.study.tables import OPTIMISTIC, QUESTIONS, REFERENCES, TITLES, Question

NO_P = "no p"


@dataclass(frozen=True)
class Comparison:
    """Score of a column less that of another one, over the seeds that both have.

    Attributes:
        column, against: the two; the second may be no column but the floor, `WITHOUT_TRAINING`.
        difference: with its own p-value.
        p_holm: corrected over `QUESTIONS`; None for every other comparison, which is exploratory.
        verdict: by `p_holm`, or by the difference's own p-value where it is exploratory.
    """

    column: str
    against: str
    difference: Difference
    p_holm: float | None
    verdict: Verdict

    @property
    def p(self) -> float:
        """The p-value that the verdict goes by."""
        return self.difference.p_value if self.p_holm is None else self.p_holm

    @property
    def p_words(self) -> str:
        """That p-value; `NO_P` of fewer units than a verdict takes, since it would be read as one."""
        return NO_P if self.difference.n_units < statistics.LEAST_UNITS else p_text(self.p)

    @property
    def word(self) -> str:
        """The verdict; "one seed" where no more stand in its way, however small p is."""
        return "one seed" if self.difference.n_seeds < statistics.LEAST_SEEDS else self.verdict


@dataclass(frozen=True)
class Answer:
    """Does adding synthetic data help?

    Attributes:
        question: column with synthetic data, and column without.
        comparison: of the two; None where one is missing.
        verdict: the answer.
        remedy: where it is "cannot tell", what would settle it (`what_would_settle`), or what to run; else empty.
        optimistic: weights of one of the two were chosen on the test split.
        text: the answer as one line.
    """

    question: Question
    comparison: Comparison | None
    verdict: Verdict
    remedy: str
    optimistic: bool
    text: str

    @property
    def word(self) -> str:
        """The verdict, or that there is nothing to compare."""
        return self.verdict if self.comparison else _NOT_RUN


_NOT_RUN = "not run yet"


def compare_columns(
    paired: PairedScores[str], questions: Collection[Question], *, higher_is_better: bool
) -> dict[Question, Comparison]:
    """Every column against each of `REFERENCES`.

    Holm's correction is over `questions` alone, so that a column more changes no answer; all others are exploratory.
    """
    pairs = [(a, b) for b in REFERENCES for a in TITLES if a != b and a in paired.scores and b in paired.scores]
    found = {pair: difference for pair in pairs if (difference := paired.difference(*pair))}
    asked = [pair for pair in questions if pair in found]
    corrected = dict(zip(asked, map(float, statistics.holm([found[pair].p_value for pair in asked])), strict=True))
    made = {}
    for pair, difference in found.items():
        p_holm = corrected.get(pair)
        outcome = statistics.verdict(difference, p_holm, higher_is_better=higher_is_better)
        made[pair] = Comparison(*pair, difference, p_holm, outcome)
    return made


def answer_questions(
    comparisons: Mapping[Question, Comparison],
    seeds: Mapping[str, Sequence[int]],
    optimistic: Collection[str],
    score: str,
    folds: str = "",
) -> tuple[Answer, ...]:
    """The answers to `QUESTIONS`.

    Args:
        comparisons: of `compare_columns`.
        seeds: by column that was run.
        optimistic: columns whose weights were chosen on the test split.
        score: title of what is compared.
        folds: overrides that choose the folds of these runs; empty without folds.
    """
    return tuple(_answer(question, seeds, optimistic, comparisons.get(question), score, folds) for question in QUESTIONS)


def _answer(
    question: Question,
    seeds: Mapping[str, Sequence[int]],
    marked: Collection[str],
    comparison: Comparison | None,
    score: str,
    folds: str,
) -> Answer:
    text = f"{TITLES[question[0]]} against {TITLES[question[1]]}: "
    if comparison is None:
        remedy = _what_to_run(question, seeds, folds)
        return Answer(question, None, "cannot tell", remedy, False, f"{text}{_NOT_RUN}; {remedy}")
    outcome, difference = comparison.verdict, comparison.difference
    remedy = what_would_settle(difference) if outcome == "cannot tell" else ""
    text += f"{outcome}, {score} {interval_text(difference)}, {comparison.p_words}"
    optimistic = any(name in marked for name in question)
    if optimistic:
        text += f" ({OPTIMISTIC})"
    return Answer(question, comparison, outcome, remedy, optimistic, text + (f"; {remedy}" if remedy else ""))


def _what_to_run(question: Question, seeds: Mapping[str, Sequence[int]], folds: str) -> str:
    """The columns that are missing, by their experiments, with the seeds of the one that is there; the first of two apart."""
    missing = [name for name in question if name not in seeds] or [question[0]]
    told = " and ".join(f"{TITLES[name]} (+experiment={name})" for name in missing)
    there = next((seeds[name] for name in question if name not in missing), None)
    same = "the same seeds" if there is None else f"seed={','.join(map(str, there))}"
    return f"run {told} with {same}{' ' + folds if folds else ''}"


def interval_text(difference: Difference) -> str:
    """A difference with its interval, signs written out: +0.0023 [−0.0013, +0.0060]."""
    return f"{signed_text(difference.value)} [{signed_text(difference.low)}, {signed_text(difference.high)}]"
