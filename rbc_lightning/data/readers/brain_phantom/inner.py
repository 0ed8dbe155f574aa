"""What lies inside a brain: ventricles with choroid, deep grey matter, the great fissures and cisterns; distances in mm."""

import numpy as np

from rbc_lightning.data.readers.brain_phantom.fields import Field, ellipsoid, noise, tube

Position = tuple[Field, Field, Field]

# Course of the left lateral ventricle: frontal horn, body, atrium; occipital horn; temporal horn. mm, with radii.
_BODY = ((16, 39, 4, 1.5), (11, 31, 8, 4.5), (8.5, 16, 13, 5.0), (10, 0, 18, 5.0), (15, -18, 18, 5.4), (22, -31, 10, 6.5))
_OCCIPITAL = ((22, -31, 10, 7.0), (25, -46, 6, 4.8), (21, -60, 4, 1.0))
_TEMPORAL = ((22, -31, 10, 6.5), (31, -24, -6, 3.6), (34, -8, -18, 2.8), (30, 6, -22, 0.8))


def ventricles_of(at: Position, atrophy: float, rng: np.random.Generator) -> tuple[Field, Field, Field]:
    """Distance from the ventricles and from the choroid plexus, and how near the horns are (0 to 1)."""
    parts, choroid, horns = [], [], []
    wide = float(np.exp(0.2 * atrophy + rng.normal(0, 0.06)))
    for side in (-1, 1):
        own = wide * float(np.exp(rng.normal(0, 0.05)))
        for course in (_BODY, _OCCIPITAL, _TEMPORAL):
            line = np.array(course, dtype=np.float64)
            line[:, :3] += rng.normal(0, 0.8, (len(line), 3))
            # Wide ventricles are pushed apart.
            line[:, 0] = side * (line[:, 0] + 6.0 * (own - 1))
            parts.append(tube(at, line[:, :3], line[:, 3] * own, (1.0, 1.0, 1.0) if course is _TEMPORAL else (1.1, 1.0, 0.6)))
        atrium = (side * 20.0, -29.0, 9.0)
        choroid.append(ellipsoid(at, atrium, (3.0, 6.5, 4.0)))
        for centre in ((9.0, 38.0, 5.0), (24.0, -50.0, 6.0), (24.0, -34.0, 14.0)):
            horns.append(ellipsoid(at, (side * centre[0], *centre[1:]), (8.0, 8.0, 10.0)))
    third = ellipsoid(at, (0, -4, 0), (1.2 + 0.9 * wide, 15, 10))
    fourth = ellipsoid(at, (0, -31, -36), (8.0, 5.5 * wide, 11))
    parts += [third, fourth]
    rough = 0.5 * noise(rng, 3.5)
    near = 1 / (1 + np.exp(np.minimum.reduce(horns) / 2.5))
    return np.minimum.reduce(parts) + rough, np.minimum.reduce(choroid) + 2 * rough, np.asarray(near, dtype=np.float32)


def deep_grey(at: Position) -> tuple[Field, Field]:
    """Distances from caudate, putamen and thalamus, and from the pallidum."""
    x, y, z = at
    half = (np.abs(x), y, z)
    leaning = (np.abs(x) - 0.12 * (y - 4), y, z)
    bodies = (
        ellipsoid(half, (14, 17, 9), (5, 14, 10)),
        ellipsoid(leaning, (26.5, 3, 2), (4.8, 17, 11)),
        ellipsoid(half, (10, -16, 6), (8.5, 13, 9)),
    )
    return np.minimum.reduce(bodies), ellipsoid(leaning, (19.5, 0, 0), (4, 10, 7))


def fissures(at: Position, rng: np.random.Generator) -> tuple[Field, Field, Field]:
    """Depths (mm, positive in the brain) from the fissure between the halves and from the Sylvian one; bright cortex."""
    x, y, z = at
    # The halves are joined where the corpus callosum and what lies below it are.
    joined = ellipsoid((0 * x, y, z), (0, -6, 1), (10, 42, 25), 2.6)
    apart = np.abs(x) - 0.7 - 0.25 * np.abs(noise(rng, 8))
    medial = np.maximum(apart, -joined)
    half = np.abs(x)
    level = z - (1 + 0.28 * (y - 5)) + 1.5 * noise(rng, 5)
    # A cleft that goes in from the side, and at its end the insula, a wall that stands upright.
    beyond = np.maximum(np.maximum(37 - half, np.abs(y - 4) - 26), 0)
    cleft = np.hypot(level, beyond) - (1.0 + 0.6 * np.abs(noise(rng, 6)))
    wall = ellipsoid((half + 0.006 * (y - 4) ** 2, y, z), (37.5, 4, 1), (1.3, 23, 13), 3)
    island = ellipsoid((half, y, z), (36, 4, 1), (8, 28, 17))
    cingulum = ellipsoid((half, y, z), (4, 8, 32), (6, 48, 10))
    hippocampus = ellipsoid((half, y, z), (26, -14, -17), (9, 24, 9))
    return medial, np.minimum(cleft, wall), np.minimum.reduce((island, cingulum, hippocampus))


def cisterns_of(at: Position) -> Field:
    """Distance from the pools of CSF around the brain stem."""
    x, y, z = at
    front = ellipsoid(at, (0, 6, -22), (13, 9, 8))
    behind = ellipsoid((np.abs(x), y, z), (0, -38, -3), (14, 5, 6))
    return np.minimum(front, behind)
