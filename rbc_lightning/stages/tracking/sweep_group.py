"""The name that the runs of one sweep share, the same when the sweep is called again."""

import json
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from rbc_lightning.artifacts import content_hash

_FILE = "sweep.json"
# Keys that say where things lie, what runs them and what is told, rather than what is compared.
_ASIDE = ("runs_dir", "artifacts_dir", "data.root", "trainer", "logger", "rerun")


def write_group(config: DictConfig, directory: Path) -> None:
    """Write down the group of a multirun for its cells, whatever process or machine they run on.

    Its identity are the overrides that all cells share and the keys that vary, not their values: a sweep with more seeds, or
    called again after a crash, goes on in the same group.

    Args:
        config: Hydra's configuration of the whole multirun.
        directory: of its record.
    """
    overrides = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
    varied = {str(o.key_or_group) for o in overrides if o.is_sweep_override()}
    varied |= {str(key) for key in OmegaConf.select(config, "hydra.sweeper.params") or {}}
    shared = [str(o.input_line) for o in overrides if str(o.key_or_group) not in varied and not _is_aside(str(o.key_or_group))]
    group = f"{config.sweep_name}-{content_hash([sorted(varied), sorted(shared)])[:6]}"
    directory.mkdir(parents=True, exist_ok=True)
    part = directory / f".{_FILE}.part"
    part.write_text(json.dumps({"group": group, "varied": sorted(varied), "shared": sorted(shared)}, indent=2) + "\n")
    part.replace(directory / _FILE)


def in_group(cfg: DictConfig, directory: Path) -> DictConfig:
    """The configuration of a cell with its sweep's group, unless the user has named one or nobody asks for it.

    No run directory depends on it: `logger` is no part of what identifies a run.
    """
    if "group" not in cfg.logger or cfg.logger.group is not None:
        return cfg
    path = directory / _FILE
    cfg = cfg.copy()
    cfg.logger.group = json.loads(path.read_text())["group"] if path.is_file() else str(cfg.sweep_name)
    return cfg


def _is_aside(key: str) -> bool:
    return any(key == name or key.startswith((f"{name}.", f"{name}@")) for name in _ASIDE)
