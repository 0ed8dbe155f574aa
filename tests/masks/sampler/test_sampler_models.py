import numpy as np
import pytest

from rbc_lightning.masks.sampler.sampler import CountModel, SizeModel


@pytest.mark.parametrize("family", ["normal", "gamma", "empirical"])
def test_count_models_have_their_moments(family):
    model = CountModel(60, 24, family, (30.0, 60.0, 90.0))
    rng = np.random.default_rng(0)
    drawn = np.array([model.draw(rng) for _ in range(4000)])
    assert drawn.min() >= 1
    assert drawn.mean() == pytest.approx(60, rel=0.03)
    assert drawn.std() == pytest.approx(24, rel=0.06)


def test_sizes_follow_their_model():
    model = SizeModel(46.0, 60.0, -0.1, 0.05)
    rng = np.random.default_rng(0)
    assert model.draw(np.random.default_rng(1), 120) < model.draw(np.random.default_rng(1), 30)
    drawn = np.log([model.draw(rng, 120) for _ in range(3000)])
    assert drawn.mean() == pytest.approx(np.log(46) - 0.1 * np.log(2), abs=0.004)
    assert drawn.std() == pytest.approx(0.05, abs=0.003)
    with pytest.raises(ValueError, match="positive diameter"):
        SizeModel(-1.0, 60.0)
    with pytest.raises(ValueError, match="positive diameter"):
        SizeModel(46.0, 60.0, float("nan"))


def test_a_model_without_spread_gives_its_mean():
    rng = np.random.default_rng(0)
    assert CountModel(12.4, 0.0).draw(rng) == 12
    assert CountModel(0.2, 0.0).draw(rng) == 1
    assert {CountModel(60, 24, "empirical", (3.0, 7.0)).draw(rng) for _ in range(40)} == {3, 7}
    # Twice the cells at slope -1: half the diameter.
    assert SizeModel(40.0, 10.0, -1.0).draw(rng, 20) == pytest.approx(20)
    assert SizeModel(40.0, 10.0, -1.0).draw(rng, 0) == pytest.approx(400)
