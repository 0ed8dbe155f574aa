"""Which finished runs may stand side by side: in Table 2, along a ratio of the mix, along the number of real images."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from rbc_lightning.study.collect import all_runs
from rbc_lightning.study.comparable import RunFilter, data_settings, settings_of
from rbc_lightning.study.left_out import Settings
from rbc_lightning.study.run_record import Run
from rbc_lightning.study.tables import TITLES, WITHOUT_TRAINING

_RATIO = "mix.ratio"
N_IMAGES, N_PATIENTS = "data.n_real_images", "data.n_real_patients"
"""How many real images, or patients, a run was trained on."""
_RATIO_COLUMNS = ("rd_aug", "rd_sd_aug", "rd_sd")
_REAL_COLUMNS = ("rd", "rd_aug", "rd_sd_aug")


@dataclass(frozen=True)
class RunGroups:
    """Runs on one data set that may stand in one table.

    Attributes:
        data: name of the data set.
        runs: row -> column -> seed -> run, columns in the order of the table; a row is a model or, where several generators
            made synthetic samples for runs of it, "model, generator", with its runs without synthetic samples in each.
        left_out: one line for each kind of run that was left out, with the reason.
        other_luck: of these lines, those about the seed of a purpose: its key, and the runs.
        floor: seed -> run without training on the very samples and splits of the runs of that seed.
    """

    data: str
    runs: Mapping[str, Mapping[str, Mapping[int, Run]]]
    left_out: tuple[str, ...]
    floor: Mapping[int, Run] = field(default_factory=dict)
    other_luck: Mapping[str, tuple[str, Sequence[Run]]] = field(default_factory=dict)

    def every(self) -> list[Run]:
        """All runs as they were made, those of each fold apart, each once."""
        made = (run for columns in self.runs.values() for joined in all_runs(columns) for run in joined.as_made)
        return list(dict.fromkeys(made))

    def model_of(self, row: str) -> str:
        """Name of a row's model."""
        return all_runs(self.runs[row])[0].model

    def of_row(self, row: str, runs: Sequence[Run]) -> list[Run]:
        """Of some runs those of a row's model, without synthetic samples or with such of its generator."""
        generators = {run.generator for run in all_runs(self.runs[row])} - {None}
        mine = [run for run in runs if run.model == self.model_of(row)]
        return [run for run in mine if run.generator is None or not generators or run.generator in generators]


class SweepRuns(NamedTuple):
    """Runs of one model along a sweep, alike in all but what the sweep varies: place -> column -> seed -> run, ascending.

    `everything` is the place that stands for all training images, where that is known.
    """

    model: str
    points: Mapping[float, Mapping[str, Mapping[int, Run]]]
    everything: float | None
    left_out: tuple[str, ...]


def group_runs(runs: Sequence[Run], data: str) -> RunGroups:
    """Choose from finished runs those of one data set that differ in model, column and seed alone.

    Of several data sets behind one name, or several settings of a model, the one with runs of most jobs (model, column, seed)
    is taken, the newest among equals; of two runs of one job the newest. Mixes given as a ratio, and runs on a chosen number
    of real images, belong to other sweeps: they are taken where there is no other run. The test split is fixed, validation is
    cut from train by seed: data are compared by the test images and by the settings of `data`, and, within a seed, by the hash
    of all samples and splits.
    """
    every, runs = runs, [run for run in runs if run.column != WITHOUT_TRAINING]
    swept = (_RATIO, N_IMAGES, N_PATIENTS)
    plain = [run for run in runs if all(run.settings.get(name) is None for name in swept)]
    notes = []
    if len(plain) < len(runs) and any(run.data == data for run in plain):
        patients = [N_PATIENTS] if any(run.settings.get(N_PATIENTS) is not None for run in runs) else []
        told = f"{len(runs) - len(plain)} runs with {' or '.join([_RATIO, N_IMAGES, *patients])}"
        notes = [f"{told} are not in the table; their sweeps have curves"]
        runs = plain
    chosen = RunFilter()
    others = [run for run in runs if run.data == data and run.column not in TITLES]
    chosen.exclude("all models", others, "with a mix that is none of the columns")
    mine = [run for run in runs if run.data == data and run.column in TITLES]
    models = {}
    for model, of, kept in _by_model(chosen, chosen.on_data(mine, data_settings, data)):
        columns = of.by_column(of.one_mix(kept, model), model)
        if columns:
            models[model] = columns
        chosen.left_out += of.left_out
        chosen.other_luck |= of.other_luck
    floor = floor_beside([run for columns in models.values() for run in all_runs(columns)], every, chosen)
    return RunGroups(data, models, (*chosen.left_out, *notes), floor, chosen.other_luck)


def floor_beside(runs: Sequence[Run], candidates: Sequence[Run], chosen: RunFilter | None = None) -> dict[int, Run]:
    """Seed -> run without training, on the very samples and splits of the runs of that seed; of one model and its settings.

    Args:
        runs: those of a table; the floor changes nothing in their choice.
        candidates: finished runs, of which those without training are looked at.
        chosen: notes what is left out.
    """
    chosen = RunFilter() if chosen is None else chosen
    of_seed = {(run.seed, run.metrics["data_hash"]) for joined in runs for run in joined.as_made}
    floors = [run for run in candidates if run.column == WITHOUT_TRAINING and (run.seed, run.metrics["data_hash"]) in of_seed]
    floors = chosen.comparable(floors, "without training")
    # Of two alike in settings, samples and seed, under whatever name of the data, either will do: nothing is left out.
    return RunFilter().by_column(floors, "without training").get(WITHOUT_TRAINING, {})


def ratio_runs(runs: Sequence[Run], data: str) -> tuple[SweepRuns, ...]:
    """For each model its runs along `+sweep=ratio`, filed by the share of synthetic samples in the mix, in [0, 1].

    They are those with a `mix.ratio`, alike in the total and in the number of real samples; the others are synthetic or
    augmented. Of several such families the one with most runs is taken. Empty where there is no such run on these data.
    """
    mine = [run for run in runs if run.data == data and run.settings.get(_RATIO) is not None and run.column in _RATIO_COLUMNS]
    chosen = RunFilter(lambda run: run.settings.get(N_IMAGES) is None, _synthetic_share)
    found = []
    for model, of, comparable in _by_model(chosen, chosen.on_data(mine, data_settings, data)):
        kept = of.fullest(comparable, _ratio_family, "with another mix", model)
        points = _points({run: _synthetic_share(run) for run in kept}, of, model)
        found.append(SweepRuns(model, points, None, (*chosen.left_out, *of.left_out)))
    return tuple(found)


def real_images_runs(runs: Sequence[Run], data: str, key: str = N_IMAGES) -> tuple[SweepRuns, ...]:
    """For each model its runs along `+sweep=real_images`, filed by the number of real training images.

    Runs on all images, Table 2's as well, stand at the number they were trained on where their settings agree with the
    others'. Empty where no run on these data has a number in `key`, which is `N_PATIENTS` for `+sweep=real_patients`.
    """
    other = N_IMAGES if key == N_PATIENTS else N_PATIENTS
    mine = [run for run in runs if run.data == data and run.settings.get(_RATIO) is None and run.column in _REAL_COLUMNS]
    # A part of the real images drawn by the mix alone is another question: the translator would see them all.
    mine = [run for run in mine if run.settings.get("mix.real") == "all" and run.settings.get(other) is None]

    def count(run: Run) -> float:
        """Asked for; infinite for all, until their number is known."""
        asked = run.settings.get(key)
        return math.inf if asked is None else float(asked)

    chosen = RunFilter(lambda run: not math.isinf(count(run)), count, apart=True)
    mine = chosen.on_data(mine, lambda run: {k: v for k, v in data_settings(run).items() if k != key}, data)
    found = []
    for model, of, comparable in _by_model(chosen, mine):
        kept = of.one_mix(comparable, model)
        whole = [run for run in kept if not of.first(run)]
        if len(whole) < len(kept):
            # It may differ by seed, where validation is cut by groups of several images.
            known = [n for run in whole if (n := trained_on(run, key)) is not None]
            everything = float(round(sum(known) / len(known))) if known else None
            points = _points({run: count(run) if of.first(run) else everything or math.inf for run in kept}, of, model)
            found.append(SweepRuns(model, points, everything, (*chosen.left_out, *of.left_out)))
    return tuple(found)


def real_patients_runs(runs: Sequence[Run], data: str) -> tuple[SweepRuns, ...]:
    """The same along `+sweep=real_patients`, filed by the number of training patients."""
    return real_images_runs(runs, data, N_PATIENTS)


def trained_on(run: Run, key: str) -> int | None:
    """How many real images or patients, as `key` says, a run on all of them had; None where that is not recorded."""
    found = run.metrics["mix"]["real"] if key == N_IMAGES else run.metrics.get("groups", {}).get("train")
    return None if found is None else int(found)


def runs_beside(run: Run, runs: Sequence[Run]) -> dict[str, Run]:
    """Column -> run that may stand in one table with `run`: by the rule of `group_runs`, settled on its settings and seed.

    Args:
        run: a finished run, one of `runs`; it stands for its own column.
        runs: finished runs.
    """
    near = [other for other in runs if (other.data, other.model) == (run.data, run.model)]
    # The columns of a sweep over ratios have other shares than those of the same names in Table 2.
    near = [other for other in near if (other.settings.get(_RATIO) is None) == (run.settings.get(_RATIO) is None)]
    near = [other for other in near if other.fold == run.fold]
    chosen = RunFilter(first=lambda other: other is run)
    kept = chosen.on_data([other for other in near if other is run or other.column in TITLES], data_settings, run.data)
    by_column = chosen.by_column(chosen.one_mix(chosen.comparable(kept, run.model), run.model), run.model)
    return {column: by_seed[run.seed] for column, by_seed in by_column.items() if run.seed in by_seed} | {run.column: run}


def _by_model(chosen: RunFilter, runs: Sequence[Run]) -> Iterator[tuple[str, RunFilter, list[Run]]]:
    """Model, a filter of its own, and its runs that agree in all settings but the mix; of several generators each apart."""
    for model in sorted({run.model for run in runs}):
        mine = [run for run in runs if run.model == model]
        generators = sorted({run.generator for run in mine if run.generator is not None})
        for generator in generators if len(generators) > 1 else [None]:
            row = model if generator is None else f"{model}, {generator}"
            some = mine if generator is None else [run for run in mine if run.generator in (None, generator)]
            of = replace(chosen, left_out=[])
            yield row, of, of.comparable(some, row)


def _points(places: Mapping[Run, float], of: RunFilter, model: str) -> dict[float, dict[str, dict[int, Run]]]:
    return {x: of.by_column([run for run in places if places[run] == x], model) for x in sorted({*places.values()})}


def _synthetic_share(run: Run) -> float:
    parts = [run.metrics["mix"][part] for part in ("synthetic", "real", "augmented")]
    return float(parts[0] / sum(parts))


def _ratio_family(run: Run) -> Settings:
    mix = run.metrics["mix"]
    given = {name: value for name, value in settings_of("mix")(run).items() if name != _RATIO}
    return {**given, "real samples": mix["real"], "total": sum(mix[part] for part in ("real", "synthetic", "augmented"))}
