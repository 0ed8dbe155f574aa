"""Filters that leave of finished runs those that agree in all but what is compared, and tell what they left out."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from rbc_lightning.report.collect import Run
from rbc_lightning.report.tables import COLUMNS, CONTROLS

# Measured on the train split where not set; the split, and with it these, changes with the seed.
_MEASURED = ("cell_size", "max_cells")
_N_NAMED = 3  # settings and directories that a message names

Settings = dict[str, Any]


class Choice:
    """A chain of filters that remember what they left out.

    Args:
        first: runs that the choice is about: among variants of settings, the one with most cells of such runs is taken.
        place: where along a sweep a run stands; one place for all runs where nothing is swept.
        apart: whether runs of one seed at different places were trained on different real images.
        left_out: what was left out before.
    """

    def __init__(
        self,
        first: Callable[[Run], bool],
        place: Callable[[Run], float] = lambda _: 0.0,
        *,
        apart: bool = False,
        left_out: Sequence[str] = (),
    ) -> None:
        self.first, self.place, self.apart, self.left_out = first, place, apart, list(left_out)

    def branch(self) -> "Choice":
        """A choice that goes on from here and leaves this one as it is."""
        return Choice(self.first, self.place, apart=self.apart, left_out=self.left_out)

    def listed(self, runs: list[Run]) -> list[Run]:
        """Those of the five columns and the size controls."""
        kept = [run for run in runs if run.column in COLUMNS or run.column in CONTROLS]
        others = [run for run in runs if run not in kept]
        self._tell("all models", others, "with a mix that is none of the columns")
        return kept

    def on_data(self, runs: list[Run], settings: Callable[[Run], Settings], data: str) -> list[Run]:
        """Those on the same samples, splits and test images."""
        kept = self.fullest(runs, settings, "on other data", data)
        return self.by_seed(kept, lambda run: {"data_hash": run.metrics["data_hash"]}, "on other samples or splits", data)

    def comparable(self, runs: list[Run], model: str) -> list[Run]:
        """Runs of one model that agree in all settings they use, but the mix."""
        runs = self.fullest(runs, _base_settings, "with other settings", model)
        # What the settings do not show: values measured on the train split, the content of pairs given by path.
        runs = self.by_seed(runs, _identity_of("base"), "with another identity.base", model)
        for part, key, settings in (
            ("augmented", "augment", all_of("augment.")),
            ("synthetic", "synthetic", _synthetic_settings),
        ):
            # Runs without such samples agree with every setting of them.
            users = [run for run in runs if run.metrics["mix"][part]]
            kept = self.fullest(users, settings, f"with other {part} samples", model)
            kept = self.by_seed(kept, _identity_of(key), f"with another identity.{key}", model)
            runs = [run for run in runs if run in kept or run not in users]
        return runs

    def one_mix(self, runs: list[Run], model: str) -> list[Run]:
        """Runs of one model with one mix in each column, columns in the order of the table."""
        kept: list[Run] = []
        for column, title in {**COLUMNS, **CONTROLS}.items():
            of_column = [run for run in runs if run.column == column]
            kept += self.fullest(of_column, all_of("mix."), "with another mix", f"{model}, {title}")
        return kept

    def without_others(self, runs: list[Run], kind: str, model: str) -> list[Run]:
        """Runs that the choice is about, where there are any; else all of them."""
        kept = [run for run in runs if self.first(run)] or runs
        self._tell(model, [run for run in runs if run not in kept], kind)
        return kept

    def by_column(self, runs: list[Run], model: str) -> dict[str, dict[int, Run]]:
        """Column -> seed -> run, of two runs of one cell the newest."""
        columns = list(dict.fromkeys(run.column for run in runs))
        return {column: self._newest([run for run in runs if run.column == column], model) for column in columns}

    def fullest(self, runs: list[Run], settings: Callable[[Run], Settings], kind: str, where: str) -> list[Run]:
        """The runs that agree in these settings, where they fill most cells."""
        variants: dict[str, list[Run]] = {}
        for run in runs:
            variants.setdefault(json.dumps(settings(run), sort_keys=True, default=str), []).append(run)
        if len(variants) < 2:
            return runs
        first, *others = sorted(variants.values(), key=self._rank, reverse=True)
        for other in others:
            self._tell(where, other, f"{kind} ({_difference(settings(other[0]), settings(first[0]))})")
        return first

    def by_seed(self, runs: list[Run], settings: Callable[[Run], Settings], kind: str, where: str) -> list[Run]:
        """`fullest` among the runs of each seed (and place, where places have samples of their own)."""
        kept: list[Run] = []
        for seed, place in sorted({self._samples(run) for run in runs}):
            some = [run for run in runs if self._samples(run) == (seed, place)]
            kept += self.fullest(some, settings, kind, f"{where}, seed {seed}")
        return kept

    def _samples(self, run: Run) -> tuple[int, float]:
        return run.seed, self.place(run) if self.apart else 0.0

    def _newest(self, runs: list[Run], model: str) -> dict[int, Run]:
        found: dict[int, Run] = {}
        for run in sorted(runs, key=lambda run: (run.seed, run.written, run.directory.name)):
            if run.seed in found:
                self._tell(model, [found[run.seed]], f"older than {run.directory.name}")
            found[run.seed] = run
        return found

    def _rank(self, runs: list[Run]) -> tuple[int, int, float, str]:
        first_cells, cells = (
            len({(run.model, run.column, self.place(run), run.seed) for run in some})
            for some in ([run for run in runs if self.first(run)], runs)
        )
        return first_cells, cells, max(run.written for run in runs), max(run.directory.name for run in runs)

    def _tell(self, where: str, runs: list[Run], why: str) -> None:
        if runs:
            names = ", ".join(run.directory.name for run in runs[:_N_NAMED]) + (", ..." if len(runs) > _N_NAMED else "")
            self.left_out.append(f"{where}: left out {len(runs)} run{'s' if len(runs) > 1 else ''} {why}: {names}")


def _section(run: Run, *prefixes: str, without: tuple[str, ...] = ()) -> Settings:
    chosen = {name: value for name, value in run.settings.items() if name.startswith(prefixes)}
    return {name: value for name, value in chosen.items() if not name.startswith(without)}


def data_settings(run: Run) -> Settings:
    """What tells data sets behind one name apart: the settings of `data`, and the test images with their cells."""
    # The same data may lie elsewhere; what is tested on does not change with the place.
    images = {name: row.get("n_true") for name, row in sorted(run.per_image.items())}
    return {**_section(run, "data.", without=("data.root",)), "test images": images}


def _base_settings(run: Run) -> Settings:
    used = _section(run, "model.", "training.", "protocol", "trainer.accelerator", "trainer.devices")
    used = {name: value for name, value in used.items() if name.rsplit(".", maxsplit=1)[-1] not in _MEASURED}
    return {**used, "headline": run.metrics["headline"], "precision": run.metrics.get("precision")}


def _synthetic_settings(run: Run) -> Settings:
    # How quality is looked at decides nothing, unless a checkpoint is chosen by it.
    looks = () if run.settings.get("translator.choose") == "quality" else ("translator.quality.",)
    used = _section(
        run, "translator.", "sampler.", "fit", "synthetic.mode", "synthetic.style", without=("translator.path", *looks)
    )
    given = {name: run.settings.get(name) is not None for name in ("translator.path", "synthetic.path")}
    return {**used, **given}


def all_of(prefix: str) -> Callable[[Run], Settings]:
    """All settings whose name starts so."""
    return lambda run: _section(run, prefix)


def _identity_of(part: str) -> Callable[[Run], Settings]:
    return lambda run: {f"identity.{part}": run.metrics["identity"][part]}


def _difference(other: Settings, kept: Settings) -> str:
    """What tells two settings apart, in words."""
    differing = (name for name in sorted({*other, *kept}) if other.get(name) != kept.get(name))
    # What a translator or model is called tells more than any of its values.
    names = sorted(differing, key=lambda name: not name.endswith(".name"))
    told = [f"{name} {_brief(other.get(name))} instead of {_brief(kept.get(name))}" for name in names[:_N_NAMED]]
    return "; ".join(told) + (f"; {len(names) - _N_NAMED} more" if len(names) > _N_NAMED else "")


def _brief(value: object) -> str:
    if isinstance(value, dict):
        return f"({len(value)} values)"
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
