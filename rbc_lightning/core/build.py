"""Objects from the configuration: what `_target_` names, called with the values beside it."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from rbc_lightning.errors import InputError, blaming, refusal

Spec = Mapping[str, Any]
"""A plain mapping with `_target_`: what is to be built, and with which values."""


def build(spec: Spec, group: str, **given: Any) -> Any:  # noqa: ANN401 (whatever `_target_` names)
    """Call what `spec["_target_"]` names with the values beside it; nested specs are built first.

    Args:
        spec: plain containers with `_target_`; `_recursive_: false` in it leaves nested specs as they are.
        group: how an error names the spec, such as "translator.task".
        given: arguments that the configuration does not hold; what is built takes those that it has parameters for.

    Raises:
        InputError: a value belongs to no argument, or the arguments were refused.
    """
    if not isinstance(spec, Mapping) or "_target_" not in spec:
        raise InputError(f"{group}={spec}; expected a mapping with _target_, the importable name of what is to be built")
    try:
        # Hydra copies what it calls; a partial takes live objects as they are.
        made: Any = instantiate({**spec, "_partial_": True, "_convert_": "all"})
    except InstantiationException as error:
        raise refusal(error.__cause__ or error, group) from error
    parameters = _parameters(made.func)
    _refuse_unknown(made, group, parameters, given)
    with blaming(group):
        return made(**{name: value for name, value in given.items() if name in parameters})


def check_names(spec: Spec, group: str, **given: Any) -> None:  # noqa: ANN401 (as in `build`)
    """Refuse values that belong to no argument of what a spec would build; builds nothing.

    Raises:
        InputError: names the first.
    """
    made: Any = instantiate({**spec, "_partial_": True, "_recursive_": False, "_convert_": "all"})
    _refuse_unknown(made, group, _parameters(made.func), given)


def parameters_of(spec: Spec) -> dict[str, inspect.Parameter]:
    """The parameters of what a spec builds, by name."""
    return dict(_parameters(target_of(spec)))


def target_of(spec: Spec) -> Callable[..., Any]:
    """The class or function that a spec names; it is not called."""
    made: Any = instantiate({"_target_": spec["_target_"], "_partial_": True})
    target: Callable[..., Any] = made.func
    return target


def _parameters(target: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """The parameters of a function or class; any, of a built-in one that tells none."""
    try:
        return inspect.signature(target).parameters
    except ValueError:
        return inspect.signature(lambda **_: None).parameters


def _refuse_unknown(
    made: partial[Any], group: str, parameters: Mapping[str, inspect.Parameter], given: Mapping[str, Any]
) -> None:
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    unknown = [name for name in made.keywords if name not in parameters]
    if unknown:
        known = ", ".join(name for name in parameters if name not in given)
        raise InputError(
            f"{group}.{unknown[0]}={made.keywords[unknown[0]]} is no setting of {made.func.__name__}; it has {known or 'none'}"
        )
