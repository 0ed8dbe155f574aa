"""From Hydra's configuration to plain containers and small settings."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from omegaconf import DictConfig, OmegaConf

from rbc_lightning.errors import blaming
from rbc_lightning.study.run_record import CONFIG

Settings = TypeVar("Settings")


def plain(cfg: DictConfig) -> dict[str, Any]:
    """A node as plain containers, every interpolation resolved."""
    return cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))


def group(cfg: DictConfig, name: str, *without: str) -> dict[str, Any]:
    """The values of a group that build something: without `sizes`, from which others of them are interpolated.

    Args:
        cfg: the whole configuration.
        name: of the group.
        without: further keys that belong to somebody else.
    """
    return {key: value for key, value in plain(cfg[name]).items() if key not in ("sizes", *without)}


def read_config(directory: Path) -> dict[str, Any]:
    """The configuration that a run was trained with, from its directory."""
    return cast(dict[str, Any], yaml.safe_load((directory / CONFIG).read_text()))


def settings(values: Mapping[str, Any], of: type[Settings], name: str) -> Settings:
    """A dataclass of settings from the part of the configuration that bears its name."""
    known = {entry.name for entry in fields(of)}  # type: ignore[arg-type]  # dataclasses only
    with blaming(name):
        return of(**{key: value for key, value in values.items() if key in known})
