"""Two crossed random effects: draws of them, and the mixed model of another library."""

import warnings

import numpy as np
import pytest


def crossed(rng, n_seeds, n_units, seed_sd=0.0, unit_sd=0.0, rest_sd=1.0):
    """Values (n_seeds, n_units) of mean 0."""
    seeds, units = rng.normal(0, seed_sd, (n_seeds, 1)), rng.normal(0, unit_sd, (1, n_units))
    return seeds + units + rng.normal(0, rest_sd, (n_seeds, n_units))


def long_table(values):
    """Values (n_seeds, n_units) as `y` of a data frame, beside the numbers `a` of the seed and `b` of the unit."""
    pandas = pytest.importorskip("pandas", reason="statsmodels is not installed")
    seeds, units = np.indices(values.shape)
    return pandas.DataFrame({"y": values.ravel(), "a": seeds.ravel(), "b": units.ravel(), "all": 1})


def mixed_model(values):
    """The fit by restricted likelihood of values (n_seeds, n_units)."""
    table = long_table(values)
    from statsmodels.regression.mixed_linear_model import MixedLM

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parts = {"a": "0 + C(a)", "b": "0 + C(b)"}
        return MixedLM.from_formula("y ~ 1", groups="all", vc_formula=parts, re_formula="0", data=table).fit(reml=True)
