"""Select runs that differ only in the compared factor; report those excluded.

The one rule of what may stand in one table, curve or closing table. Settings come from the recipe that a run recorded, which
leaves out seeds and measured facts: they choose among variants and name the difference. The seed of each purpose either follows
the base seed or has one value: another luck under the same base seed is another job. Within a base seed the recorded keys must
agree as well, which hold seeds, measured facts and the content of what was given by path.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rbc_lightning.core.seeds import SEED_KEYS
from rbc_lightning.study.collect import named
from rbc_lightning.study.folds import folds_of, join_folds, whole_folds
from rbc_lightning.study.left_out import FOLD_SEED, FOLDS, HASH, IMAGES, Settings, ask_for, brief, difference, train_again
from rbc_lightning.study.run_record import PARTS, Run, flat
from rbc_lightning.study.tables import COLUMNS, CONTROLS, TITLES

_GROWTH = "scale.large_per_real"
_N_VALUES = 3  # that a message names
_DATA_ASIDE = ("data.root", SEED_KEYS["split"], "data.fold")
_NAME = "data.name"
# By part of a run: what differs where only what a run was made from does, such as files given by path.
_UNTOLD = {
    "base": "trained from other files or sizes",
    "augmented": "with other augmented samples",
    "synthetic": "with other synthetic samples",
}
_PURPOSES = {"base": ("training",), "augmented": (), "synthetic": ("masks", "translator", "synthetic")}

Remedy = Callable[[Settings, Settings], str]
"""What to do about runs that are left out, from their settings and those of the others."""


@dataclass
class RunFilter:
    """A chain of filters that record what they exclude.

    Args:
        first: runs that the choice is about: among variants of settings, the one with most jobs of such runs is taken.
        place: where along a sweep a run stands; one place for all runs where nothing is swept.
        apart: whether runs of one seed at different places were trained on different real images.
        left_out: one line for each kind of run that was excluded.
        other_luck: of these lines, those about the seed of a purpose: its key, and the runs.
    """

    first: Callable[[Run], bool] = lambda _: True
    place: Callable[[Run], float] = lambda _: 0.0
    apart: bool = False
    left_out: list[str] = field(default_factory=list)
    other_luck: dict[str, tuple[str, list[Run]]] = field(default_factory=dict)

    def exclude(self, where: str, runs: list[Run], why: str, remedy: str = "") -> None:
        """Note that runs are left out, if there are any: how many, why, and what to do about it."""
        if runs:
            first, others = runs[0].directory.name, f" and {len(runs) - 1} more" if len(runs) > 1 else ""
            line = f"{where}: {len(runs)} run{'s' if len(runs) > 1 else ''} left out, {why}: {first}{others}"
            self.left_out.append(f"{line}; {remedy}" if remedy else line)

    def on_data(self, runs: list[Run], settings: Callable[[Run], Settings], data: str) -> list[Run]:
        """Those on the same samples, splits and test images."""
        kept = []
        for of_fold in _by_fold(self.fullest(runs, settings, "on other data of this name", data, ask_for)):
            kept += self.fullest(of_fold, _test_images, "on other data of this name", data, ask_for)
        # Where no seed changes the data, none has cut them.
        if any(len({run.metrics["data_hash"] for run in of_fold}) > 1 for of_fold in _by_fold(kept)):
            kept = self.one_luck(kept, "split", data)
        return self._by_seed(kept, lambda run: {HASH: run.metrics["data_hash"]}, "on other samples or splits", data)

    def comparable(self, runs: list[Run], model: str) -> list[Run]:
        """Runs of one model that agree in all settings they use, but the mix."""
        for part in PARTS:
            # Runs without such samples agree with every setting of them.
            users = [run for run in runs if part == "base" or run.metrics["mix"][part]]
            kind = "with other settings" if part == "base" else f"with {part} samples made otherwise"
            kept = self.fullest(users, _recipe_of(part), kind, model)
            for purpose in _PURPOSES[part]:
                kept = self.one_luck(kept, purpose, model)
            kept = self._by_seed(kept, _identity_of(part), f"{_UNTOLD[part]} though settings agree", model)
            runs = [run for run in runs if run in kept or run not in users]
        return runs

    def one_mix(self, runs: list[Run], model: str) -> list[Run]:
        """Runs of one model with one mix in each column, columns in the order of the table."""
        kept: list[Run] = []
        for column, title in {**COLUMNS, **CONTROLS}.items():
            of_column = [run for run in runs if run.column == column]
            kept += self.fullest(of_column, _mix_of(of_column), "with another mix", f"{model}, {title}")
        return kept

    def by_column(self, runs: list[Run], model: str) -> dict[str, dict[int, Run]]:
        """Column -> seed -> run, of two runs of one job the newest; those of several folds are joined.

        Columns and seeds that lack a fold which others have are left out, so that all figures are of the same test images.
        """
        newest: dict[str, dict[int, dict[int | None, Run]]] = {run.column: {} for run in runs}
        for run in sorted(runs, key=lambda run: (run.seed, run.written, run.directory.name)):
            by_fold = newest[run.column].setdefault(run.seed, {})
            if run.fold in by_fold:
                self.exclude(model, [by_fold[run.fold]], f"made again since as {run.directory.name}")
            by_fold[run.fold] = run
        filed = {c: {seed: [*by_fold.values()] for seed, by_fold in by_seed.items()} for c, by_seed in newest.items()}
        whole = whole_folds(filed)
        for column, by_seed in filed.items():
            for seed, some in by_seed.items():
                lacking = ",".join(str(fold) for fold in whole if fold not in folds_of(some))
                if lacking:
                    where = f"{model}, {TITLES.get(column, column)}, seed {seed}"
                    self.exclude(where, some, "other folds are missing", f"run data.fold={lacking} as well")
        kept = {c: {seed: some for seed, some in seeds.items() if folds_of(some) == whole} for c, seeds in filed.items()}
        return {c: {seed: join_folds(some) for seed, some in seeds.items()} for c, seeds in kept.items() if seeds}

    def one_luck(self, runs: list[Run], purpose: str, where: str) -> list[Run]:
        """The runs whose seed of a purpose follows the base seed, or has one value, whichever are of more jobs."""
        own = {run: run.seeds[purpose] for run in runs if purpose in run.seeds}
        variants: dict[int | None, list[Run]] = {None: [run for run, seed in own.items() if seed == run.seed]}
        if len(variants[None]) == len(own):
            return runs
        for value in sorted(set(own.values())):
            variants[value] = [run for run, seed in own.items() if seed == value]
        variants = {value: some for value, some in variants.items() if some}
        # A run may be of two variants; of equal ones the runs that follow are the ordinary ones.
        chosen = max(
            variants, key=lambda value: (self._rank(variants[value])[:2], value is None, self._rank(variants[value])[2:])
        )
        others = [run for run in own if run not in variants[chosen]]
        values, key = sorted({own[run] for run in others}), SEED_KEYS[purpose]
        told = ", ".join(map(str, values[:_N_VALUES])) + (", ..." if len(values) > _N_VALUES else "")
        rule, remedy = "follows seed", f"for more runs to compare vary seed, not {key}"
        if chosen is not None:
            rule, remedy = f"is {chosen}", f"for more runs to compare take {key}={chosen}"
        self.exclude(where, others, f"with {key} {told} where that of the others {rule}", remedy)
        if others:
            self.other_luck[self.left_out[-1]] = key, others
        return [run for run in runs if run not in others]

    def fullest(
        self, runs: list[Run], settings: Callable[[Run], Settings], kind: str, where: str, remedy: Remedy | None = None
    ) -> list[Run]:
        """The runs that agree in these settings, where they are of most jobs."""
        variants: dict[str, list[Run]] = {}
        for run in runs:
            variants.setdefault(json.dumps(settings(run), sort_keys=True, default=str), []).append(run)
        if len(variants) < 2:
            return runs
        kept, *others = sorted(variants.values(), key=self._rank, reverse=True)
        for other in others:
            theirs, ours = settings(other[0]), settings(kept[0])
            told = difference(theirs, ours)
            self.exclude(where, other, f"{kind}{told and f' ({told})'}", (remedy or train_again)(theirs, ours))
        return kept

    def _by_seed(self, runs: list[Run], settings: Callable[[Run], Settings], kind: str, where: str) -> list[Run]:
        """`fullest` among the runs of each seed (and place, where places have samples of their own)."""
        alike: dict[tuple[int, float, int], list[Run]] = {}
        for run in runs:
            fold = -1 if run.fold is None else run.fold
            alike.setdefault((run.seed, self.place(run) if self.apart else 0.0, fold), []).append(run)
        kept: list[Run] = []
        for seed, place, fold in sorted(alike):
            told = f"{where}, seed {seed}{'' if fold < 0 else f', fold {fold}'}"
            kept += self.fullest(alike[seed, place, fold], settings, kind, told)
        return kept

    def _rank(self, runs: list[Run]) -> tuple[int, int, float, str]:
        first_jobs, jobs = (
            len({(run.model, run.column, self.place(run), run.seed, run.fold) for run in some})
            for some in ([run for run in runs if self.first(run)], runs)
        )
        return first_jobs, jobs, max(run.written for run in runs), max(run.directory.name for run in runs)


def data_settings(run: Run) -> Settings:
    """In what data sets behind one name differ: the settings of `data`, and the test images with their numbers of cells.

    Each fold has test images of its own: they are compared within it.
    """
    # The same data may lie elsewhere and be cut otherwise; what is tested on does not change with that.
    aside = (*_DATA_ASIDE, FOLDS, FOLD_SEED) if run.fold is None else _DATA_ASIDE
    # Without what is not set, which earlier runs may not know.
    settings = {k: value for k, value in settings_of("data")(run).items() if k not in aside and value is not None}
    return settings if run.fold is not None else settings | _test_images(run)


def settings_of(group: str) -> Callable[[Run], Settings]:
    """All settings of a configuration group."""
    return lambda run: {name: value for name, value in run.settings.items() if name.startswith(f"{group}.")}


def _test_images(run: Run) -> Settings:
    return {IMAGES: {name: row.get("n_true") for name, row in sorted(run.per_image.items())}}


def _by_fold(runs: list[Run]) -> list[list[Run]]:
    """Runs of each fold; all together where there are no folds."""
    return [
        [run for run in runs if run.fold == fold]
        for fold in sorted({run.fold for run in runs}, key=lambda f: (f is not None, f))
    ]


def _mix_of(runs: list[Run]) -> Callable[[Run], Settings]:
    """The settings of the mix, with the rule by which its total grew where that rule changed the mix of one of these runs.

    The total of a large mix is recorded as it was made; by seed it follows the real images that validation leaves.
    """
    rules = {run.settings.get(_GROWTH) for run in runs if run.metrics["mix"].get("total") not in (None, _total_of(run))}

    def mix(run: Run) -> Settings:
        rule = run.settings.get(_GROWTH)
        return {**settings_of("mix")(run), **({_GROWTH: rule} if rule in rules else {})}

    return mix


def _total_of(run: Run) -> object:
    """The total that the mix was configured with; what was made, where it has none."""
    total = run.settings.get("mix.total")
    return run.metrics["mix"].get("total") if total is None else total


def _recipe_of(part: str) -> Callable[[Run], Settings]:
    return lambda run: dict(flat(run.metrics["recipe"][part] or {}))


def _identity_of(part: str) -> Callable[[Run], Settings]:
    return lambda run: {f"identity.{part}": run.metrics["identity"][part]}


def runs_asked_for(runs: Sequence[Run], data: str, given: Mapping[str, Any]) -> tuple[list[Run], list[str]]:
    """Of several data sets behind one name the runs on that with these settings, those on other names, and a note each.

    Args:
        runs: finished runs.
        data: the name.
        given: settings of `data` that the user chose; one that no run has, or that divides none, chooses nothing.
    """
    kept, notes, unknown = list(runs), [], []
    for name, value in given.items():
        mine = [run for run in kept if run.data == data and name not in (*_DATA_ASIDE, _NAME)]
        others = [run for run in mine if run.settings.get(name) != value]
        if len(others) < len(mine):
            kept = [run for run in kept if run not in others]
            told = f"{len(others)} finished run{'s' if len(others) > 1 else ''} without {name}={brief(value)}"
            notes += [f"{data}: not used, on other data of this name: {told}"] if others else []
        elif mine:
            unknown.append(f"{name}={brief(value)} ({', '.join(sorted({brief(run.settings.get(name)) for run in mine}))})")
    if unknown:
        notes.append(f"{data}: no finished run has {named(unknown)}, in brackets what they have; that chooses nothing")
    return kept, notes
