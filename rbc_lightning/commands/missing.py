"""Values that the user has to give, asked for before anything is read or made."""

from collections.abc import Collection

from omegaconf import DictConfig, OmegaConf

from rbc_lightning.core.build import target_of
from rbc_lightning.errors import InputError

_ROOT = "data.root"


def check_missing(cfg: DictConfig, varied: Collection[str] = ()) -> None:
    """Refuse a configuration in which a value is missing.

    Args:
        cfg: the whole configuration.
        varied: keys and groups of which each job of a sweep has its own.

    Raises:
        InputError: says what is expected there.
    """
    # A report is made of runs, which know where their data lay.
    aside = {*varied, *((_ROOT,) if cfg.stage == "report" else ())}
    missing = [key for key in sorted(OmegaConf.missing_keys(cfg)) if not {key, key.partition(".")[0]} & {*aside, "hydra"}]
    if missing:
        expected = _below_root(cfg) if missing[0] == _ROOT else "one"
        raise InputError(f"{missing[0]} has no value; expected {expected}: set it as {missing[0]}=...")


def _below_root(cfg: DictConfig) -> str:
    """What the chosen data set expects in its folder."""
    spec = {"_target_": str(cfg.data._target_)}
    return f"a folder with {getattr(target_of(spec), 'expected', 'the data set')}"
