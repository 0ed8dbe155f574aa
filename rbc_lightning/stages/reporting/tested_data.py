"""The images that a finished run was tested on, found again wherever they lie, and proved to be the same."""

from pathlib import Path
from typing import cast

from omegaconf import DictConfig, OmegaConf

from rbc_lightning.data.manifest import Record
from rbc_lightning.errors import InputError
from rbc_lightning.report.collect import Run
from rbc_lightning.stages.inputs import load_inputs, splits_fingerprint


def tested_records(cfg: DictConfig, run: Run) -> tuple[Record, ...]:
    """The test samples of a run, in the order of their split.

    They are read as the run read them, by its own `data` settings, protocol and seed. A folder is looked for at `data.root`
    of the config, then where the run found it.

    Raises:
        InputError: the data are gone or damaged, or are not those that the run was tested on.
    """
    trained = cast(DictConfig, OmegaConf.load(run.directory / "config.yaml"))
    if trained.get("data") is None:
        raise InputError(f"{run.directory.name}/config.yaml names no data; rerun=true trains the run again")
    known = cfg.copy()
    OmegaConf.set_struct(known, False)
    known.data, known.protocol, known.seed = trained.data, trained.protocol, trained.seed
    if trained.data.kind == "folder":
        known.data.root = str(_root(cfg, trained))
    manifest = load_inputs(known).manifest
    where = known.data.get("root", "the phantom")
    tested, there = set(run.per_image), set(manifest.ids("test"))
    if tested != there:
        raise InputError(
            f"{where} has other test images than {run.directory.name} was tested on ({len(tested & there)} of {len(tested)} "
            "are there); set data.root to the data set of the runs"
        )
    if splits_fingerprint(manifest) != run.metrics["data_hash"]:
        raise InputError(
            f"{where} has changed since {run.directory.name} was tested on it (other bytes, samples or splits); restore it, "
            "set data.root to the data set of the runs, or train again on this one"
        )
    return manifest.split("test")


def _root(cfg: DictConfig, trained: DictConfig) -> Path:
    """Where the folder lies: the first place of those known that exists."""
    given = None if OmegaConf.is_missing(cfg.data, "root") else cfg.data.get("root")
    places = [Path(place) for place in (given, trained.data.root) if place is not None]
    found = next((place for place in places if place.is_dir()), None)
    if found is None:
        raise InputError(f"{' and '.join(dict.fromkeys(map(str, places)))}: no such directory; set data.root to the data set")
    return found
