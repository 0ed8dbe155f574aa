"""One typed spelling of the Numba decorator that every kernel of this package uses."""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def kernel(function: Function) -> Function:
    """Compile ``function`` with Numba: no GIL, cached on disk, no fast-math.

    Fast-math stays off because reordered additions would make masks depend on the processor they were drawn on. The
    NumPy error model leaves out the tests for division by zero, which no kernel here can meet.
    """
    return cast("Function", numba.njit(nogil=True, cache=True, error_model="numpy")(function))
