"""Random images of boxes to compare two implementations of average precision on."""

import numpy as np

LAYOUTS = ("sparse", "dense", "whole pixels")


def random_detections(seed, layout="sparse", n_images=6, most_cells=30):
    """Predictions and targets, lists of dicts of arrays; all scores differ.

    Detections are jittered targets, a quarter of them twice, and false alarms. The first three images have no target, no
    detection, and neither. In "dense" images boxes of 20 pixels crowd on 60, so that most detections have several targets
    to choose from; "whole pixels" are dense boxes on the pixel grid, where equal overlaps, and ones of exactly 1/2, occur.
    """
    rng = np.random.default_rng(seed)
    side = 240 if layout == "sparse" else 60
    predictions, targets = [], []
    for image in range(n_images):
        true, moved, alarms = boxes(rng, most_cells, side), boxes(rng, 0, side), boxes(rng, most_cells // 3, side)
        if image != 1:
            moved = np.concatenate([jittered(rng, true[: len(true) // part]) for part in (1, 4)])
        if image in (0, 2):
            true, moved = true[:0], moved[:0]
        if image in (1, 2):
            alarms = alarms[:0]
        predicted = rng.permutation(np.concatenate((moved, alarms)))
        if layout == "whole pixels":
            true, predicted = np.round(true), np.round(predicted)
        predictions.append({"boxes": predicted})
        targets.append({"boxes": true})
    scores = rng.permutation(sum(len(entry["boxes"]) for entry in predictions)) / 10_000
    ends = np.cumsum([len(entry["boxes"]) for entry in predictions])[:-1]
    for entry, of_image in zip(predictions, np.split(scores, ends), strict=True):
        entry["scores"] = of_image
    return predictions, targets


def boxes(rng, count, side):
    corner = rng.uniform(0, side - 20, (count, 2))
    return np.concatenate((corner, corner + rng.uniform(14, 20, corner.shape)), axis=1)


def jittered(rng, true):
    spread = rng.choice([0.2, 1, 2, 3], (len(true), 1))
    return true + rng.normal(0, 1, true.shape) * spread
