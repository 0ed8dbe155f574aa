"""Which settings the user gave on the command line."""

from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from rbc_lightning.commands.plain import plain
from rbc_lightning.study.run_record import flat


def given_data(cfg: DictConfig) -> dict[str, Any]:
    """Settings of `data` that the command line chose, flat: "data.folds" -> 5; those that a given scale decides among them.

    Empty where no command line composed the configuration.
    """
    if not HydraConfig.initialized():
        return {}
    parsed = OverridesParser.create().parse_overrides(list(HydraConfig.get().overrides.task))
    keys = {str(override.key_or_group) for override in parsed}
    raw, values = OmegaConf.to_container(cfg.data, resolve=False), dict(flat({"data": plain(cfg.data)}))
    scaled = {name for name, text in dict(flat({"data": raw})).items() if str(text).startswith("${scale.")}
    return {name: value for name, value in values.items() if name in keys or ("scale" in keys and name in scaled)}
