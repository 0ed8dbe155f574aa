"""Run with `python -m rbc_lightning`."""

import sys

from rbc_lightning.app import main

if __name__ == "__main__":
    sys.exit(main())
