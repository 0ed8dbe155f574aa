"""Seeds by purpose, and independent random streams under one seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rbc_lightning.errors import InputError

SEED_KEYS = {
    "split": "data.split_seed",
    "masks": "masks.seed",
    "translator": "translator.seed",
    "synthetic": "synthetic.seed",
    "training": "training.seed",
}
"""Purpose -> key of its seed in the configuration, in the order of the chain."""

Seed = int | np.random.SeedSequence

_STREAMS = {"split": 1, "translator": 2, "synthetic": 3, "training": 4, "preview": 5, "layout": 6, "real_images": 7}


@dataclass(frozen=True)
class Seeds:
    """The seed of each purpose.

    Args:
        base: `seed`, which those not given follow, and which names the run.
        split: cut of validation and choice of `data.n_real_images`.
        masks: fit of the sampler, order of given label maps, and the masks of stage=masks.
        translator: training of the GAN, and of the network that its images are measured with.
        synthetic: which masks, styles and images make up the synthetic pairs.
        training: weights, draws, crops and augmentation of a run; pairs made while training as well.

    Raises:
        InputError: one is no whole number of at least 0.
    """

    base: int
    split: int
    masks: int
    translator: int
    synthetic: int
    training: int

    def __post_init__(self) -> None:
        if not _is_seed(self.base):
            raise InputError(f"seed={self.base}; expected an integer of at least 0")
        for purpose, key in SEED_KEYS.items():
            seed = getattr(self, purpose)
            if not _is_seed(seed):
                raise InputError(f"{key}={seed}; expected an integer of at least 0: set one, or leave it out to follow seed")

    @classmethod
    def following(cls, base: int) -> Seeds:
        """One seed for every purpose."""
        return cls(base, **dict.fromkeys(SEED_KEYS, base))

    @classmethod
    def of(cls, config: Any) -> Seeds:  # noqa: ANN401 (nested mappings, Hydra's or plain)
        """Those of a whole configuration."""
        found = {}
        for purpose, key in SEED_KEYS.items():
            group, name = key.split(".")
            found[purpose] = config[group][name]
        return cls(config["seed"], **found)

    def by_purpose(self) -> dict[str, int]:
        """Purpose -> seed."""
        return {purpose: getattr(self, purpose) for purpose in SEED_KEYS}

    def overrides(self) -> tuple[str, ...]:
        """What sets the seeds that do not follow the base seed, on a command line."""
        own = self.by_purpose()
        return tuple(f"{key}={own[purpose]}" for purpose, key in SEED_KEYS.items() if own[purpose] != self.base)


def _is_seed(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def derive_seed(seed: int, stream: str, number: int = 0) -> int:
    """A seed for one named random stream, or one of several of that name; they are independent of each other."""
    numbered = [number] if number else []
    return int(np.random.SeedSequence([seed, _STREAMS[stream], *numbered]).generate_state(1, np.uint32)[0])


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
