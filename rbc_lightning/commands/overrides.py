"""The shortest command line found that gives a configuration again, apart from what a sweep or a stage varies."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import hydra
import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.core.singleton import Singleton
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from rbc_lightning.commands.plain import plain
from rbc_lightning.core.seeds import SEED_KEYS, Seeds
from rbc_lightning.study.run_record import flat
from rbc_lightning.usage import CONF_DIR

# Groups that decide a run, in the order in which others are interpolated from them.
_GROUPS = ("scale", "masks", "sampler", "translator", "pairs", "model", "augment", "trainer")
# Values outside of groups that decide it.
_PARTS = ("data", *_GROUPS, "protocol", "training", "synthetic", "fcn_score")
_ABSENT = object()
_NUMBERS = re.compile(r"\[[-+.,e\d]*\]")
# Decides nothing, and is another on another machine.
_ASIDE = ("trainer.progress_bar",)


def overrides_of(cfg: DictConfig, data: tuple[str, ...]) -> tuple[str, ...]:
    """Overrides under which the package's configuration becomes `cfg` in everything that decides a run.

    Left out are `seed` and mix, which sweeps vary, and where things lie; the seed of a purpose that does not follow `seed` is
    among them.

    Args:
        cfg: the whole configuration.
        data: overrides that choose the data set.
    """
    wanted = plain(cfg)
    # A list of numbers is one already; quoted, it would be a text.
    chosen = tuple(
        f"{key}={value if _NUMBERS.fullmatch(value) else _text(value)}"
        for key, _, value in (entry.partition("=") for entry in data)
    )
    seeds = Seeds.of(wanted).overrides()
    try:
        return (*_overrides(json.dumps(_parts(wanted)), chosen), *seeds)
    except (HydraException, OmegaConfBaseException):
        # A data set or scale from a directory of the user's own: no run fails for the command that would repeat it.
        return (*chosen, *(() if cfg.scale.name == "demo" else (f"scale={cfg.scale.name}",)), *seeds)


@cache
def _overrides(wanted_text: str, data: tuple[str, ...]) -> tuple[str, ...]:
    wanted, given = json.loads(wanted_text), _chosen_by(data)
    choices = {group: [_nearest(group, parts[group]) for parts in (wanted, given)] for group in _GROUPS}
    chosen = (*data, *(f"{group}={choice}" for group, (choice, default) in choices.items() if choice != default))
    # Other values are interpolated from those of scale and sampler: those first, and of the rest what still differs.
    for part in (("scale", "sampler"), _PARTS):
        chosen += tuple(_differences(wanted, _parts(_composed(chosen)), part))
    return chosen


@cache
def _chosen_by(data: tuple[str, ...]) -> dict[str, Any]:
    """What decides a run of a data set with no other word."""
    return _parts(_composed(data))


def _parts(config: Mapping[str, Any]) -> dict[str, Any]:
    """What decides a run but its seeds."""
    parts = {part: config[part] for part in _PARTS}
    for key in SEED_KEYS.values():
        part, seed = key.split(".")
        parts[part] = {name: value for name, value in parts[part].items() if name != seed}
    return parts


def _nearest(group: str, wanted: Mapping[str, Any]) -> str:
    """The file of a group that has most values in common.

    Whichever is found, what it gets wrong is set by value.
    """
    given = dict(flat(wanted))
    default = next(
        entry[group] for entry in yaml.safe_load((CONF_DIR / "config.yaml").read_text())["defaults"] if group in entry
    )
    likeness = {}
    for path in sorted((CONF_DIR / group).glob("*.yaml")):
        found = _file(path)
        unlike = sum(given.get(key, _ABSENT) != value for key, value in found.items() if not str(value).startswith("${"))
        likeness[path.stem] = (
            found.get("name") == given.get("name"),
            -unlike - len(given.keys() - found.keys()),
            path.stem == default,
        )
    return max(likeness, key=lambda name: likeness[name])


def _file(path: Path) -> dict[str, Any]:
    """Values of a file of a group, with those of the files of the group that it builds on."""
    values = yaml.safe_load(path.read_text()) or {}
    below = [entry for entry in values.pop("defaults", []) if isinstance(entry, str) and entry != "_self_"]
    found: dict[str, Any] = {}
    for name in below:
        found |= _file(path.with_name(f"{name}.yaml"))
    return found | dict(flat(values))


def _differences(wanted: Mapping[str, Any], composed: Mapping[str, Any], parts: tuple[str, ...]) -> Iterator[str]:
    for part in parts:
        ours, theirs = dict(flat({part: wanted[part]})), dict(flat({part: composed[part]}))
        for key in [*ours, *(key for key in theirs if key not in ours)]:
            if key in _ASIDE or ours.get(key, _ABSENT) == theirs.get(key, _ABSENT):
                continue
            if key not in ours:
                below = [name for name in ours if name.startswith(f"{key}.")]
                yield f"{key}={_text(_at(wanted, key))}" if below else f"~{key}"
            elif not any(name in theirs and name not in ours for name in _above(key)):
                yield f"{'' if key in theirs else '++'}{key}={_text(ours[key])}"


def _above(key: str) -> Iterator[str]:
    """The keys of the mappings that a value stands in."""
    while "." in key:
        key = key.rpartition(".")[0]
        yield key


def _at(config: Mapping[str, Any], key: str) -> Any:  # noqa: ANN401 (a value of YAML)
    for name in key.split("."):
        config = config[name]
    return config


def _text(value: Any) -> str:  # noqa: ANN401 (a value of YAML)
    """A value in the grammar of overrides, without spaces."""
    if isinstance(value, str):
        plainly = value and all(sign.isalnum() or sign in "_-./+:" for sign in value) and yaml.safe_load(value) == value
        return value if plainly else "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_text(entry)}" for key, entry in value.items()) + "}"
    return json.dumps(value)


def _composed(overrides: tuple[str, ...]) -> dict[str, Any]:
    """The package's configuration under overrides, whether or not Hydra runs in this process."""
    state = Singleton.get_state()
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(Path(CONF_DIR)), version_base="1.3"):
            cfg = cast(DictConfig, hydra.compose("config", overrides=list(overrides)))
            return plain(cfg)
    finally:
        Singleton.set_state(state)
