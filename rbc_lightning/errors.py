"""The one exception that means: the user's input is at fault, and this line says how to mend it."""


class InputError(ValueError):
    """Bad input: a file, a directory or a setting. The message says what came, what was expected, what to do.

    The command line prints it as a single line, without a traceback, and ends with exit status 2.
    """
