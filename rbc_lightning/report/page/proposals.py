"""Sweeps that a report proposes for the charts it lacks: those that the data set of its runs can give."""

from collections.abc import Sequence

from rbc_lightning.report.page.cards import command_line, data_overrides
from rbc_lightning.study.choose import N_PATIENTS, trained_on
from rbc_lightning.study.classes import has_classes
from rbc_lightning.study.curves import ALONG, Sweep
from rbc_lightning.study.folds import folds_of
from rbc_lightning.study.run_record import Run

SWEPT, PATIENTS = (5, 10, 20, 40), (1, 2, 3, 6)
"""Numbers of real training images of `+sweep=real_images`, and of patients of `+sweep=real_patients`, beside all of them."""
_COUNTS, _PER_PATIENT = "data.n_real_images", "data.slices_per_patient"
_WHOLE_COLUMNS = ("rd", "rd_aug", "rd_sd", "rd_sd_aug")


def proposal(sweep: Sweep, runs: Sequence[Run]) -> str | None:
    """What the chart of a sweep would show, and the command that makes it, or why none can; None where nothing is left to vary.

    Args:
        sweep: of `+sweep`.
        runs: those of the table.
    """
    what, chosen = f"gain against {ALONG[sweep]}", data_overrides(runs[0], sorted({*folds_of(runs)}))
    command = command_line(f"+sweep={sweep}", chosen)
    if sweep == "ratio":
        return f"{what}: {command}"
    if sweep == "real_patients":
        return _of_patients(f"{what}: {command}", runs)
    whole = [run for run in runs if run.column in _WHOLE_COLUMNS and not run.settings.get("mix.ratio")]
    at_hand = min((int(run.metrics["mix"]["real"]) for run in whole), default=0)
    if has_classes(runs):
        per_patient = runs[0].settings.get(_PER_PATIENT)
        if per_patient is None:
            return (
                f"{what}: patients are kept or left out whole, whose numbers of slices differ; with {_PER_PATIENT}=5 in every "
                "run, numbers of real images can be multiples of 5"
            )
        counts = [per_patient * times for times in (1, 2, 4, 8) if per_patient * times < at_hand]
    elif at_hand >= SWEPT[-1]:
        counts = list(SWEPT)
    else:
        counts = [count for count in SWEPT if count < at_hand] or [at_hand // 2] * (at_hand > 1)
    if not counts:
        return None
    fitting = f" {_COUNTS}={','.join(map(str, counts))},null" if counts != list(SWEPT) else ""
    groups = runs[0].groups.values()
    summed = "   # with numbers that whole groups of images add up to" if len(set(groups)) < len(groups) else ""
    return f"{what}: {command}{fitting}{summed}"


def _of_patients(proposed: str, runs: Sequence[Run]) -> str | None:
    """With numbers of patients that every run has more of; None of other data, or of runs that did not record any."""
    at_hand = min((trained_on(run, N_PATIENTS) or 0 for run in runs), default=0)
    counts = [count for count in PATIENTS if count < at_hand]
    if not has_classes(runs) or not counts:
        return None
    return proposed if counts == list(PATIENTS) else f"{proposed} {N_PATIENTS}={','.join(map(str, counts))},null"
