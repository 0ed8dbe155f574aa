"""Independent random streams under one seed."""

import numpy as np

Seed = int | np.random.SeedSequence

_STREAMS = {"split": 1, "translator": 2, "synthetic": 3, "training": 4, "preview": 5, "layout": 6, "real_images": 7}


def derive_seed(seed: int, stream: str) -> int:
    """A seed for one named random stream; streams under one base seed are independent of each other."""
    return int(np.random.SeedSequence([seed, _STREAMS[stream]]).generate_state(1, np.uint32)[0])


def pair_seeds(seed: int, index: int) -> tuple[np.random.SeedSequence, np.random.SeedSequence]:
    """Seeds of label map and image of the synthetic pair number `index`."""
    mask, image = np.random.SeedSequence([derive_seed(seed, "synthetic"), index]).spawn(2)
    return mask, image


def mask_seed(seed: int, index: int) -> np.random.SeedSequence:
    """Seed of the label map number `index`, of stage=masks and of the synthetic pair of that number alike."""
    return pair_seeds(seed, index)[0]


def afresh(seed: Seed) -> np.random.SeedSequence:
    """A seed sequence that starts anew: spawning from the caller's own object would change what its next spawn returns."""
    if isinstance(seed, np.random.SeedSequence):
        return np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key)
    return np.random.SeedSequence(seed)
