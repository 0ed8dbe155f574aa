import numpy as np
import pytest

from rbc_lightning.core.seeds import SEED_KEYS, Seeds, afresh, derive_seed, mask_seed, pair_seeds
from rbc_lightning.errors import InputError


def test_streams_of_a_seed_are_what_they_have_always_been():
    assert [derive_seed(0, name) for name in ("split", "translator", "synthetic", "training", "preview", "layout")] == [
        int(np.random.SeedSequence([0, number]).generate_state(1)[0]) for number in range(1, 7)
    ]
    assert derive_seed(0, "training") != derive_seed(1, "training")


def test_numbered_streams_are_others_and_the_first_is_the_stream_itself():
    numbered = [derive_seed(3, "training", number) for number in range(4)]
    assert numbered[0] == derive_seed(3, "training")
    assert len({*numbered, derive_seed(3, "split", 1)}) == 5


def test_a_pair_has_two_seeds_of_its_own():
    first, second = pair_seeds(0, 3)
    assert tuple(mask_seed(0, 3).generate_state(2)) == tuple(first.generate_state(2))
    states = {tuple(seed.generate_state(2)) for seed in (first, second, *pair_seeds(0, 4), *pair_seeds(1, 3))}
    assert len(states) == 6


@pytest.mark.parametrize("seed", [7, np.random.SeedSequence(7, spawn_key=(1,))])
def test_spawning_afresh_leaves_the_callers_sequence_alone(seed):
    states = [afresh(seed).spawn(1)[0].generate_state(1)[0] for _ in range(2)]
    assert states[0] == states[1]


def test_purposes_follow_the_base_seed_unless_they_have_one():
    config = {"seed": 3, "data": {"split_seed": 0}, "masks": {"seed": 3}, "translator": {"seed": 7}}
    seeds = Seeds.of({**config, "synthetic": {"seed": 3}, "training": {"seed": 3}})
    assert seeds.by_purpose() == {"split": 0, "masks": 3, "translator": 7, "synthetic": 3, "training": 3}
    assert seeds.overrides() == ("data.split_seed=0", "translator.seed=7")
    assert Seeds.following(0).overrides() == ()
    assert list(Seeds.following(0).by_purpose()) == list(SEED_KEYS)


@pytest.mark.parametrize("value", [-1, True, 1.0, "1", None])
def test_what_is_no_seed_is_refused(value):
    with pytest.raises(InputError, match=rf"^seed={value}; expected an integer of at least 0$"):
        Seeds.following(value)
    with pytest.raises(InputError, match=rf"^masks\.seed={value}; expected .*: set one, or leave it out to follow seed$"):
        Seeds(0, 0, value, 0, 0, 0)
