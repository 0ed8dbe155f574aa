"""What is said of runs that are left out: in which settings they differ from the others, and what to do."""

from typing import Any

IMAGES, HASH = "test images", "data_hash"
"""Names of what is compared as settings are."""
FOLDS, FOLD_SEED = "data.folds", "data.fold_seed"
_N_SETTINGS = 3  # that a message names

Settings = dict[str, Any]


def ask_for(theirs: Settings, ours: Settings) -> str:
    """The override that has a report take the others of several data sets of one name."""
    names = [name for name in _differing(theirs, ours) if name != IMAGES]
    if names:
        return f"stage=report {names[0]}={brief(theirs.get(names[0]))} takes them instead"
    return "the files have changed between: train again, or keep either in a runs_dir of its own"


def train_again(theirs: Settings, ours: Settings) -> str:
    """What makes runs that differ so comparable."""
    told = any(map(_is_told, _differing(theirs, ours)))
    return f"train {'with those of the others' if told else 'again (rerun=true)'} to compare"


def _differing(theirs: Settings, ours: Settings) -> list[str]:
    """Names of the settings that differ, those that say most first."""
    names = [name for name in {*theirs, *ours} if theirs.get(name) != ours.get(name)]
    if FOLDS in names:
        # Other folds have other test images, whoever deals them.
        names = [name for name in names if name not in (FOLD_SEED, IMAGES)]
    # What a translator is called says more than any of its values.
    return sorted(names, key=lambda name: (not name.endswith(".name"), name == IMAGES, name))


def _is_told(name: str) -> bool:
    """Whether the value of a setting says anything to a reader, as a hash does not."""
    return name != HASH and not name.startswith("identity.")


def difference(theirs: Settings, ours: Settings) -> str:
    """In which settings a run differs from one that was kept; empty for what values tell nothing of."""
    names = list(filter(_is_told, _differing(theirs, ours)))
    parts = [_compared(name, theirs.get(name), ours.get(name)) for name in names[:_N_SETTINGS]]
    return "; ".join(parts) + (f"; {len(names) - _N_SETTINGS} more" if len(names) > _N_SETTINGS else "")


def _compared(name: str, theirs: object, ours: object) -> str:
    if name != IMAGES or not isinstance(theirs, dict) or not isinstance(ours, dict):
        return f"{name} {brief(theirs)}, here {brief(ours)}"
    if {*theirs} == {*ours}:
        return "other objects in the same test images"
    return f"{len({*theirs} & {*ours})} of {len(theirs)} test images are among the {len(ours)} here"


def brief(value: object) -> str:
    """A value as an override writes it, cut to 40 letters."""
    text = "null" if value is None else str(value).replace(", ", ",")
    return text if len(text) <= 40 else text[:37] + "..."
