import numpy as np
import pytest
from evaluation_helpers import Place


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """Seven pairs to train on, five held out, and an FCN-score network of seconds that finds discs."""
    return Place(tmp_path_factory.mktemp("quality"))


@pytest.fixture(scope="session")
def network(place):
    return place.store.make(place.recipe)


@pytest.fixture(scope="session")
def held_out(place, network):
    from rbc_lightning.evaluation.held_out import gather_held_out

    return gather_held_out(network, place.train, place.val.samples)


@pytest.fixture
def rng():
    return np.random.default_rng(0)
