"""Sixteen phantom smears, drawn once."""

import pytest
from phantom_helpers import QUARTER

from rbc_lightning.data.readers.phantom import render_smear


@pytest.fixture(scope="session")
def smears():
    return [render_smear(QUARTER, seed) for seed in range(16)]
