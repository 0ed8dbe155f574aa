"""Run with `python -m rbc_lightning`."""

import sys

from rbc_lightning.usage import asks_for_help, print_usage


def main() -> int:
    """Command line entry; the help text needs none of the libraries that take time to import."""
    if asks_for_help(sys.argv[1:]):
        return print_usage()
    from rbc_lightning.app import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
