"""The mean Dice score of a global threshold, image by image and level by level."""

import numpy as np

from rbc_lightning.data.conversions import to_unit
from rbc_lightning.metrics.label_maps import dice_score


def mean_dice(samples, channel, level, objects):
    scores = []
    for sample in samples:
        values = to_unit(sample.load_image(), sample.spec)[..., channel]
        found = values > level if objects == "bright" else values < level
        scores.append(dice_score(found, sample.load_label_map() > 0))
    return float(np.mean(scores))


def best_mean_dice(samples, objects):
    """The largest over all channels and all places between grey levels."""
    low, high = samples[0].spec.value_range
    levels = (np.arange(low, high + 2) - 0.5 - low) / (high - low)
    return max(mean_dice(samples, channel, level, objects) for channel in range(samples[0].spec.n_channels) for level in levels)
