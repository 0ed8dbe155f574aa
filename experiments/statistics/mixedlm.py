"""False verdicts of a mixed model with crossed seeds and images by statsmodels, beside ours, where columns do not differ.

    python experiments/statistics/mixedlm.py [--studies N]

20 independent images, independent luck: see `simulate.py`. statsmodels is a requirement of the tests alone.
"""

import argparse
import warnings

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from simulate import Study

from rbc_lightning.study.statistics import LEVEL, paired_difference


def p_of_mixed_model(differences: np.ndarray) -> float:
    """Of the mean of differences (n_seeds, n_images), both with random effects of their own."""
    seeds, images = np.indices(differences.shape)
    table = pd.DataFrame({"seed": seeds.ravel(), "image": images.ravel(), "value": 100 * differences.ravel(), "all": 1})
    crossed = {"seed": "0 + C(seed)", "image": "0 + C(image)"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a variance of 0 lies on the boundary, in every third study
        fitted = smf.mixedlm("value ~ 1", table, groups="all", vc_formula=crossed).fit()
    return float(fitted.pvalues["Intercept"])


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1_000)
    n = parser.parse_args().studies
    for seeds in (2, 3, 5, 10):
        rng = np.random.default_rng([0, seeds])
        found = np.zeros(2)
        for _ in range(n):
            one, other, _ = Study("", seeds, luck="independent").scores(rng, 0.0)
            found += p_of_mixed_model(one - other) <= LEVEL, paired_difference(one, other).p_value <= LEVEL
        print(f"{seeds} seeds: {100 * found[0] / n:.1f} % by MixedLM, {100 * found[1] / n:.1f} % by paired_difference")


if __name__ == "__main__":
    main()
