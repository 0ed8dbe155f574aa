"""From tissues to what a scanner writes: contrasts, slices, bias, noise and integers."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from rbc_lightning.data.readers.brain_phantom.anatomy import Tissue
from rbc_lightning.data.readers.brain_phantom.fields import Field, Grid

Pair = tuple[float, float]
"""FLAIR, T1w; intensities are multiples of white matter."""


@dataclass(frozen=True)
class Scanner:
    """What one kind of scanner makes of every head."""

    site: str
    in_plane: float  # mm
    thickness: Pair  # mm from slice to slice, smallest and largest
    parts: int  # slices of tissue, about 1 mm each, that are averaged to one
    log_ml: Pair  # of the lesion load of its patients, see `draw_load`
    grey: Pair
    grey_spread: Pair
    csf: Pair
    ventricle: Pair
    lesion: Pair
    noise: Pair  # deviation of each of the two parts of the signal
    blur: Pair  # in plane, mm
    log_bias: tuple[Pair, Pair]  # mean and deviation of the logarithm of the bias range, for FLAIR and T1w
    scale: Pair  # smallest and largest value that white matter is stored as
    rim: float = 1.35
    contrasts: dict[Tissue, Pair] = field(default_factory=dict)  # of further tissues


_OUTSIDE = {
    Tissue.AIR: (0.0, 0.0),
    Tissue.FAT: (1.56, 1.75),  # brighter, and the rough brain of some heads is their scalp
    Tissue.MUSCLE: (0.75, 0.75),
    Tissue.SKULL: (0.16, 0.2),
    Tissue.MARROW: (0.9, 1.2),
    Tissue.EYE: (0.25, 0.4),
    Tissue.WHITE: (1.0, 1.0),
    # T1w after a contrast agent.
    Tissue.OEDEMA: (1.5, 0.85),
    Tissue.NECROSIS: (0.8, 0.6),
    Tissue.ENHANCING: (1.25, 1.5),
}
THICK = Scanner(
    site="thick_1.5T",
    in_plane=0.9,
    thickness=(6.4, 8.1),
    parts=7,
    log_ml=(2.3, 0.8),
    grey=(1.07, 0.79),
    grey_spread=(0.04, 0.02),
    csf=(0.36, 0.42),
    ventricle=(0.24, 0.45),
    lesion=(1.66, 0.86),
    noise=(0.037, 0.03),
    blur=(0.6, 1.0),
    log_bias=((-0.6, 0.35), (-0.92, 0.5)),
    scale=(90.0, 260.0),
    contrasts=_OUTSIDE,
)
THIN = Scanner(
    site="thin_3T",
    in_plane=1.0,
    thickness=(3.0, 3.0),
    parts=3,
    log_ml=(2.14, 1.2),
    grey=(1.15, 0.70),
    grey_spread=(0.03, 0.02),
    csf=(0.45, 0.24),
    ventricle=(0.3, 0.24),
    lesion=(1.45, 0.74),
    noise=(0.037, 0.021),
    blur=(0.6, 0.6),
    log_bias=((-2.4, 0.3), (-3.0, 0.3)),
    scale=(110.0, 700.0),
    contrasts=_OUTSIDE,
)


def contrasts_of(scanner: Scanner, rng: np.random.Generator) -> tuple[Field, Pair]:
    """Means of the tissues in one scan, float32 (channels, tissues), and of its lesions."""
    means = np.zeros((2, len(Tissue)))
    grey = rng.normal(scanner.grey, scanner.grey_spread)
    csf = np.array(scanner.csf) * np.exp(rng.normal(0, [0.15, 0.07]))
    ventricle = np.array(scanner.ventricle) * np.exp(rng.normal(0, [0.25, 0.07]))
    values = {
        **scanner.contrasts,
        Tissue.CSF: csf,
        Tissue.CORTEX: grey,
        # Three quarters of the way to lesions in FLAIR: what tells them apart is T1w and the place.
        Tissue.INSULA: grey + np.array([0.75 * (scanner.lesion[0] - scanner.grey[0]), -0.03]),
        Tissue.DEEP: grey + np.array([0.0, 0.07]),
        Tissue.PALLIDUM: grey + np.array([-0.15, 0.12]),
        Tissue.CEREBELLUM: grey + np.array([-0.01, 0.03]),
        Tissue.STEM: (1.08, 0.96),
        Tissue.VENTRICLE: ventricle,
        Tissue.CHOROID: (1.25, 0.7),
        Tissue.RIM: (scanner.rim + rng.normal(0, 0.05), 0.94),
    }
    for tissue, value in values.items():
        means[:, tissue] = value
    means[:, Tissue.FAT] *= np.exp(rng.normal(0, 0.15, 2))
    lesion = (scanner.lesion[0] + float(rng.normal(0, 0.07)), scanner.lesion[1] + float(rng.normal(0, 0.036)))
    return means.astype(np.float32), lesion


def average(values: NDArray[np.generic], parts: int) -> Field:
    """Means of `parts` slices each: (X, Y, Z) to float32 (X, Y, Z / parts)."""
    return np.asarray(values.reshape(*values.shape[:2], -1, parts).mean(axis=3, dtype=np.float32))


def bias_field(rng: np.random.Generator, grid: Grid, brain: NDArray[np.bool_], log_range: Pair) -> Field:
    """A smooth gain, exp(quadratic): in the brain, its logarithm's 2nd to 98th percentiles span the range drawn."""
    x, y, z = (position / np.float32(90) for position in grid.positions)
    terms = (x, y, z, x * x, y * y, z * z, x * y, x * z, y * z)
    weights = rng.normal(0, 1, len(terms)) * [0.5, 0.7, 0.9, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5]
    log = np.asarray(sum(weight * term for weight, term in zip(weights, terms, strict=True)), dtype=np.float32)
    low, high = np.percentile(log[brain], [2, 98])
    wanted = float(np.clip(np.exp(rng.normal(*log_range)), 0.05, 1.15))
    return np.asarray(np.exp((log - log[brain].mean()) * (wanted / (high - low))), dtype=np.float32)


def acquire(rng: np.random.Generator, signal: Field, gain: Field, noise: float, blur: float, scale: float) -> NDArray[np.int16]:
    """What is stored of slices: blurred in plane (sigma in pixels), times the gain, with Rician noise, as whole numbers."""
    seen = gaussian_filter(signal, (blur, blur, 0)) * gain
    real = seen + np.float32(noise) * rng.standard_normal(seen.shape, dtype=np.float32)
    magnitude = np.hypot(real, np.float32(noise) * rng.standard_normal(seen.shape, dtype=np.float32))
    return np.asarray(np.clip(np.rint(magnitude * scale), 0, np.iinfo(np.int16).max), dtype=np.int16)
