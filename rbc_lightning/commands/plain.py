"""From Hydra's configuration to plain containers and small settings."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar, cast

from omegaconf import DictConfig, OmegaConf

from rbc_lightning.errors import InputError, blaming

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
    values = cfg[name]
    return {key: _resolved(values, str(key)) for key in values if key not in ("sizes", *without)}


def settings(values: Mapping[str, Any], of: type[Settings], name: str) -> Settings:
    """A dataclass of settings from the part of the configuration that bears its name."""
    known = {entry.name for entry in fields(of)}  # type: ignore[arg-type]  # dataclasses only
    with blaming(name):
        return of(**{key: value for key, value in values.items() if key in known})


def _resolved(node: DictConfig, key: str) -> Any:  # noqa: ANN401 (any value of a configuration)
    value = node[key]
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def check_word(name: str, value: object, words: tuple[object, ...]) -> None:
    """Refuse what is none of the words.

    Raises:
        InputError: names the setting, what came and what was expected.
    """
    if value not in words:
        raise InputError(f"{name}={value}; expected one of {', '.join(map(str, words))}")
