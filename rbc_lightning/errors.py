"""The exceptions that mean: no bug of ours, and this line says how to mend it."""

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Bad input: a file, a directory or a setting. The message says what came, what was expected, what to do.

    The command line prints it as a single line, without a traceback, and ends with exit status 2.
    """


class TrainingStopped(RuntimeError):
    """A training that has gone wrong: loss not finite, generator collapsed. The message names the batch and a remedy.

    The command line prints it as a single line, without a traceback, and ends with exit status 1.
    """


def in_one_line(error: BaseException) -> str:
    """Type and message of an exception."""
    return " ".join(f"{type(error).__name__}: {error}".split())


@contextmanager
def blaming(group: str) -> Iterator[None]:
    """Turn the argument checks of what is built from a configuration group into an `InputError` that names the group."""
    try:
        yield
    except InputError:
        raise
    except (TypeError, ValueError, OSError) as error:
        raise refusal(error, group) from error


def refusal(error: BaseException, group: str) -> InputError:
    """The error of a configuration group, in one line; what is an `InputError` already stays as it is."""
    text = " ".join(str(error).split()).removesuffix(".")
    return error if isinstance(error, InputError) else InputError(f"{group}: {text}; check the settings {group}.*")
