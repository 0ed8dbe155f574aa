import numpy as np
import pytest

from rbc_lightning.core.seeds import afresh, derive_seed, mask_seed, pair_seeds


def test_streams_of_a_seed_are_what_they_have_always_been():
    assert [derive_seed(0, name) for name in ("split", "translator", "synthetic", "training", "preview", "layout")] == [
        int(np.random.SeedSequence([0, number]).generate_state(1)[0]) for number in range(1, 7)
    ]
    assert derive_seed(0, "training") != derive_seed(1, "training")


def test_a_pair_has_two_seeds_of_its_own():
    first, second = pair_seeds(0, 3)
    assert tuple(mask_seed(0, 3).generate_state(2)) == tuple(first.generate_state(2))
    states = {tuple(seed.generate_state(2)) for seed in (first, second, *pair_seeds(0, 4), *pair_seeds(1, 3))}
    assert len(states) == 6


@pytest.mark.parametrize("seed", [7, np.random.SeedSequence(7, spawn_key=(1,))])
def test_spawning_afresh_leaves_the_callers_sequence_alone(seed):
    states = [afresh(seed).spawn(1)[0].generate_state(1)[0] for _ in range(2)]
    assert states[0] == states[1]
