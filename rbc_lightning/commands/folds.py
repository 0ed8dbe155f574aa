"""All folds of a sweep, whose number the data set tells."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf, flag_override

from rbc_lightning.commands.missing import check_missing
from rbc_lightning.errors import InputError

_FOLD, _FOLDS, _ALL = "data.fold", "data.folds", "all"


def expand_folds(config: DictConfig) -> None:
    """Where the file of a sweep says `data.fold: all`, have it vary every fold: of `data.folds`, or of one for each group.

    Args:
        config: Hydra's of the multirun, changed in place; each job is given the number of folds as well.

    Raises:
        InputError: a value of the data set is missing or refused, it has a single group, or fewer than there are to be folds.
    """
    params = OmegaConf.select(config, "hydra.sweeper.params") or {}
    if params.get(_FOLD) != _ALL:
        return
    given, at_hand = config.data.folds, _count_groups(config)
    folds = at_hand if given is None else given
    if given is None and folds < 2:
        raise InputError(
            f"{_FOLD}={_ALL} with {folds} patients (groups) beside external ones; expected at least 2: add patients"
        )
    if isinstance(folds, bool) or not isinstance(folds, int) or folds < 2:
        raise InputError(f"{_FOLDS}={folds}; expected 2 folds or more: set {_FOLDS}, or add patients (groups)")
    if folds > at_hand:
        raise InputError(f"{_FOLDS}={folds} of {at_hand} patients (groups) beside external ones; expected at most {at_hand}")
    with flag_override(config, ["readonly", "struct"], False):
        params[_FOLD] = ",".join(map(str, range(folds)))
        params[_FOLDS] = str(folds)


def _count_groups(config: DictConfig) -> int:
    """Groups of the data set that are not external; read where its reader does not know them before."""
    # Imported here: it brings all libraries.
    from rbc_lightning.commands.plain import group
    from rbc_lightning.core.build import build
    from rbc_lightning.core.store import Store

    check_missing(config, (_FOLD,))
    reader = build({**group(config, "data", "split_seed"), "folds": None, "fold": None}, "data")
    splits = reader.groups()
    if splits is None:
        splits = {sample.group: sample.split for sample in reader.read(Store(Path(config.artifacts_dir))).samples}
    return sum(split != "external" for split in splits.values())
