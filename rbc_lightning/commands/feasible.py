"""Whether the jobs of a multirun have the real images, or patients, that they ask for, asked before the first one begins."""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from rbc_lightning.commands.plain import group
from rbc_lightning.commands.splits import read_split
from rbc_lightning.core.build import build
from rbc_lightning.core.seeds import SEED_KEYS
from rbc_lightning.core.store import Store
from rbc_lightning.data.sample import Sample
from rbc_lightning.errors import InputError

_SEED, _FOLD = SEED_KEYS["split"], "data.fold"
_COUNTED: dict[str, tuple[str, Callable[[Sequence[Sample]], int]]] = {
    "data.n_real_images": ("images", len),
    "data.n_real_patients": ("patients (groups)", lambda samples: len({sample.group for sample in samples})),
}


def check_real_images(config: DictConfig) -> None:
    """Refuse a multirun over `data.n_real_images` or `data.n_real_patients` with numbers that the data set does not have.

    Args:
        config: Hydra's of the multirun: its sweeper and the overrides given.

    Raises:
        InputError: names the numbers that cannot be, and those that can; whatever reading the data refuses.
    """
    swept = swept_values(config)
    for key in _COUNTED:
        _check(config, swept, key)


def _check(config: DictConfig, swept: Mapping[str, Sequence[str]], key: str) -> None:
    what, count = _COUNTED[key]
    counts = [int(value) for value in swept.get(key, ()) if value.isdecimal()]
    # A data set that is itself varied, or that is not named, is for each job to read or to refuse.
    varied = any(other == "data" or other.startswith("data.") for other in swept.keys() - {key, _SEED, _FOLD})
    if not counts or varied or OmegaConf.missing_keys(config.data):
        return
    folds = [int(value) for value in swept.get(_FOLD, ())] or [config.data.fold]
    readers = [
        build({**group(config, "data", "split_seed"), key.removeprefix("data."): None, "fold": fold}, "data") for fold in folds
    ]
    store = Store(Path(config.artifacts_dir))
    given = () if config.data.split_seed == config.seed else (str(config.data.split_seed),)
    seeds = swept.get(_SEED) or given or swept.get("seed", (str(config.seed),))
    protocols = swept.get("protocol", (str(config.protocol),))
    manifests = [
        read_split(reader, store, protocol, int(seed)) for reader, protocol, seed in product(readers, protocols, seeds)
    ]
    at_hand = min(count(manifest.split("train")) for manifest in manifests)
    if max(counts) > at_hand:
        fitting = ",".join(value for value in swept[key] if not value.isdecimal() or int(value) <= at_hand)
        # With one number left there would be no sweep.
        least = f"{max(1, at_hand // 2)},{at_hand}"
        raise InputError(
            f"{key}={','.join(swept[key])} with {at_hand} training {what} beside those of validation; expected numbers of at "
            f"most {at_hand}, or null for all: take {key}={fitting if ',' in fitting else least}"
        )


def swept_values(config: DictConfig) -> dict[str, tuple[str, ...]]:
    """Key -> values of what a multirun varies; of overrides that name the same key the last one holds."""
    params = OmegaConf.select(config, "hydra.sweeper.params") or {}
    given = [f"{key}={values}" for key, values in params.items()]
    overrides = OverridesParser.create().parse_overrides([*given, *config.hydra.overrides.task])
    last = {override.key_or_group: override for override in overrides}
    return {key: tuple(override.sweep_string_iterator()) for key, override in last.items() if override.is_sweep_override()}
