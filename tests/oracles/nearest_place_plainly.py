"""The nearest training place of a crop, window after window."""

import numpy as np


def pattern(crop):
    """At half resolution, without the outer two pixels, mean 0 in each channel, deviation 1; None of what is flat."""
    inner = crop[2:-2, 2:-2]
    half = inner.reshape(len(inner) // 2, 2, len(inner) // 2, 2, -1).mean(axis=(1, 3))
    centred = half - half.mean(axis=(0, 1))
    return None if centred.std(axis=(0, 1)).max() < 0.5 else centred / centred.std()


def nearest_place(crop, images, mirrors):
    """Distance, number of the image, corner in it and mirror of the window of all that is most like a crop."""
    mine, side = pattern(crop), len(crop)
    best = (np.sqrt(2), 0, (0, 0), (False, False))
    for number, image in enumerate(images if mine is not None else ()):
        for row in range(image.shape[0] - side + 1):
            for column in range(image.shape[1] - side + 1):
                for mirror in mirrors:
                    window = image[row : row + side, column : column + side]
                    theirs = pattern(window[:: -1 if mirror[0] else 1, :: -1 if mirror[1] else 1])
                    distance = np.inf if theirs is None else np.sqrt(np.mean((mine - theirs) ** 2))
                    if distance < best[0]:
                        best = (distance, number, (row, column), mirror)
    return best
