"""The one exception that means: the user's input is at fault, and this line says how to mend it."""

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Bad input: a file, a directory or a setting. The message says what came, what was expected, what to do.

    The command line prints it as a single line, without a traceback, and ends with exit status 2.
    """


@contextmanager
def blaming(group: str) -> Iterator[None]:
    """Turn the argument checks of what is built from a configuration group into an `InputError` that names the group."""
    try:
        yield
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(f"{group}: {error}; check the settings {group}.*") from error
