"""Which finished runs may stand side by side: in Table 2, along a ratio of the mix, along the number of real images."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rbc_lightning.report.collect import Run, RunGroups
from rbc_lightning.report.comparable import Choice, Settings, all_of, data_settings

_RATIO, _N_REAL = "mix.ratio", "data.n_real_images"
_RATIO_COLUMNS = ("rd_aug", "rd_sd_aug", "rd_sd")
_REAL_COLUMNS = ("rd", "rd_aug", "rd_sd_aug")


@dataclass(frozen=True)
class SweepRuns:
    """Runs of one model along a sweep, alike in all but what the sweep varies.

    Attributes:
        data: name of the data set.
        model: name of the model.
        points: place on the axis of the sweep, ascending -> column -> seed -> run.
        everything: the place that stands for all training images, where that is known; else None.
        left_out: one line for each kind of run that was left out, with the reason.
    """

    data: str
    model: str
    points: Mapping[float, Mapping[str, Mapping[int, Run]]]
    everything: float | None
    left_out: tuple[str, ...]


def group_runs(runs: Sequence[Run], data: str | None = None) -> RunGroups:
    """Choose from finished runs those of one data set that differ in model, column and seed alone.

    Of several data sets behind one name, or several settings of a model, the one with most cells of the table is taken, the
    newest among equals; of two runs of one cell the newest. Mixes given as a ratio, and runs on a chosen number of real
    images, belong to other sweeps and come last. The test split is fixed, validation is cut from train by seed: data are told
    apart by the test images and by the settings of `data`, and, within a seed, by the hash of all samples and splits.

    Args:
        runs: finished runs.
        data: name of the data set; may be None where the runs have only one.

    Raises:
        ValueError: no runs of this data set, or several data sets and no name.
    """
    names = sorted({str(run.metrics["data"]) for run in runs})
    if not names or (data is not None and data not in names):
        wanted = "runs" if data is None else f"runs on {data}"
        raise ValueError(f"no finished {wanted}; found data sets: {', '.join(names) or 'none'}; train some, or set runs_dir")
    if data is None and len(names) > 1:
        raise ValueError(f"runs on several data sets ({', '.join(names)}); expected one table for each: name the data set")
    name = data or names[0]
    choice = Choice(first=lambda run: run.settings.get(_RATIO) is None and run.settings.get(_N_REAL) is None)
    kept = choice.listed([run for run in runs if run.metrics["data"] == name])
    kept = choice.on_data(kept, data_settings, name)
    models = {}
    for model, of_model in _by_model(kept):
        mixed = choice.one_mix(choice.comparable(of_model, model), model)
        # A mix by ratio in the place of a column that was not run has other shares than the columns beside it.
        models[model] = choice.by_column(choice.without_others(mixed, "mixed by a ratio, unlike other columns", model), model)
    return RunGroups(name, models, tuple(choice.left_out))


def ratio_runs(runs: Sequence[Run], data: str) -> tuple[SweepRuns, ...]:
    """For each model its runs along `+sweep=ratio`, filed by the share of synthetic samples in the mix, in [0, 1].

    They are those with a `mix.ratio`, alike in the total and in the number of real samples; the others are synthetic or
    augmented. Of several such families the one with most runs is taken. Empty where there is no such run on these data.
    """
    mine = [run for run in runs if run.metrics["data"] == data and run.settings.get(_RATIO) is not None]
    mine = [run for run in mine if run.column in _RATIO_COLUMNS]
    choice = Choice(lambda run: run.settings.get(_N_REAL) is None, _synthetic_share)
    found = []
    for model, of_model in _by_model(choice.on_data(mine, data_settings, data)):
        of = choice.branch()
        kept = of.fullest(of.comparable(of_model, model), _ratio_family, "with another mix", model)
        at = {place: [run for run in kept if _synthetic_share(run) == place] for place in map(_synthetic_share, kept)}
        points = {place: of.by_column(at[place], model) for place in sorted(at)}
        found.append(SweepRuns(data, model, points, None, tuple(of.left_out)))
    return tuple(found)


def real_images_runs(runs: Sequence[Run], data: str) -> tuple[SweepRuns, ...]:
    """For each model its runs along `+sweep=real_images`, filed by the number of real training images.

    Runs on all images, Table 2's as well, stand at the number they were trained on where their settings agree with the
    others'. Empty where no run on these data has a `data.n_real_images`.
    """
    mine = [run for run in runs if run.metrics["data"] == data and run.settings.get(_RATIO) is None]
    # A part of the real images drawn by the mix alone is another question: the translator would see them all.
    mine = [run for run in mine if run.column in _REAL_COLUMNS and run.settings.get("mix.real") == "all"]
    choice = Choice(lambda run: not math.isinf(_count(run)), _count, apart=True)
    found = []
    for model, of_model in _by_model(choice.on_data(mine, _settings_but_count, data)):
        of = choice.branch()
        kept = of.one_mix(of.comparable(of_model, model), model)
        if any(of.first(run) for run in kept):
            whole = [run.metrics["mix"]["real"] for run in kept if not of.first(run)]
            # It may differ by seed, where validation is cut by groups of several images.
            everything = float(round(sum(whole) / len(whole))) if whole else None
            at: dict[float, list[Run]] = {}
            for run in kept:
                at.setdefault(_count(run) if of.first(run) else everything or math.inf, []).append(run)
            points = {place: of.by_column(at[place], model) for place in sorted(at)}
            found.append(SweepRuns(data, model, points, everything, tuple(of.left_out)))
    return tuple(found)


def _by_model(runs: Sequence[Run]) -> Iterator[tuple[str, list[Run]]]:
    for model in sorted({run.model for run in runs}):
        yield model, [run for run in runs if run.model == model]


def _synthetic_share(run: Run) -> float:
    parts = [run.metrics["mix"][part] for part in ("synthetic", "real", "augmented")]
    return float(parts[0] / sum(parts))


def _ratio_family(run: Run) -> Settings:
    mix = run.metrics["mix"]
    given = {name: value for name, value in all_of("mix.")(run).items() if name != _RATIO}
    return {**given, "real samples": mix["real"], "total": sum(mix[part] for part in ("real", "synthetic", "augmented"))}


def _settings_but_count(run: Run) -> Settings:
    return {name: value for name, value in data_settings(run).items() if name != _N_REAL}


def _count(run: Run) -> float:
    """Real training images asked for; infinite for all of them, until their number is known."""
    count = run.settings.get(_N_REAL)
    return math.inf if count is None else float(count)
