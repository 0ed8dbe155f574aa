"""Build objects from the configuration, with one clear line where their arguments are refused."""

from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig

from rbc_lightning.errors import InputError


def build(node: DictConfig, group: str, **overrides: Any) -> Any:  # noqa: ANN401 (whatever `_target_` names)
    """Call what `node._target_` names with the node's values.

    Args:
        node: with `_target_`.
        group: how an error names the node, such as "translator.task".
        overrides: arguments that replace the node's.

    Raises:
        InputError: the arguments were refused.
    """
    try:
        return instantiate(node, **overrides)
    except InstantiationException as error:
        # Hydra wraps whatever happened, also what is a bug of ours and should keep its traceback.
        if isinstance(error.__cause__, TypeError | ValueError | OSError):
            raise InputError(f"{group}: {error.__cause__}; check the settings {group}.*") from error
        raise
