"""Whether there is, or can be, a directory where results go, asked before anything is read or made."""

import os
from pathlib import Path

from omegaconf import DictConfig

from rbc_lightning.errors import InputError

_PLACES = ("artifacts_dir", "runs_dir")


def check_writable(cfg: DictConfig) -> None:
    """Refuse places of results that are files, or below one, and directories that nothing can be written to.

    Raises:
        InputError: names the setting.
    """
    for key in _PLACES:
        place = Path(str(cfg[key])).resolve()
        there = next(path for path in (place, *place.parents) if path.exists())
        if not there.is_dir():
            what = "is a file"
        # What is made already may lie where nothing can be added; results of stage=predict may go elsewhere.
        elif key == "runs_dir" and cfg.stage != "predict" and not os.access(there, os.W_OK | os.X_OK):
            what = "cannot be written to"
        else:
            continue
        raise InputError(f"{key}={cfg[key]}: {there} {what}; expected a directory for results: set {key}=... to another")
