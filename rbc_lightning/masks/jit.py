"""One typed spelling of the Numba decorator that every kernel of this package uses."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def kernel(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Compile ``function`` with Numba: no GIL, cached on disk, no fast-math.

    Fast-math stays off because reordered additions would make masks depend on the processor they were drawn on. The
    NumPy error model leaves out the tests for division by zero, which no kernel here can meet.

    Args:
        function: plain Python over arrays and scalars.

    Returns:
        The compiled function, typed like the one given.
    """
    return cast("Callable[Parameters, Result]", numba.njit(nogil=True, cache=True, error_model="numpy")(function))
