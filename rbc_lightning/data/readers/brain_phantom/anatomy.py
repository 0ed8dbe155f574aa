"""The head of one subject as a map of tissues: described by distances on coarse nodes, drawn at the voxels asked for."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfftn, rfftn
from scipy.ndimage import map_coordinates

from rbc_lightning.data.readers.brain_phantom.fields import NODES, STEP, Field, Grid, ellipsoid, noise
from rbc_lightning.data.readers.brain_phantom.inner import cisterns_of, deep_grey, fissures, ventricles_of


class Tissue(IntEnum):
    """Values of a tissue map."""

    AIR = 0
    FAT = 1  # scalp, orbit
    MUSCLE = 2
    SKULL = 3
    MARROW = 4
    CSF = 5  # around the brain and in sulci
    CORTEX = 6
    INSULA = 7  # cortex that is brighter in FLAIR: insula, cingulum, hippocampus
    WHITE = 8
    DEEP = 9  # caudate, putamen, thalamus
    PALLIDUM = 10
    CEREBELLUM = 11  # its cortex
    STEM = 12
    VENTRICLE = 13
    CHOROID = 14
    RIM = 15  # periventricular band that is bright without being a lesion
    EYE = 16
    OEDEMA = 17
    NECROSIS = 18  # core of a tumour
    ENHANCING = 19  # its rim


@dataclass(frozen=True)
class Anatomy:
    """Distances (mm, negative inside) and random fields on `NODES` that make up one head."""

    head: Field
    cavity: Field  # the skull's inner face
    hull: Field  # cerebrum, its sulci filled
    medial: Field  # from the fissure between the halves
    sulcus: Field  # signed, from the mid-surface of the nearest sulcus
    sulcus_depth: Field  # how deep sulci reach there
    sylvian: Field
    cerebellum: Field
    folia: Field  # phase, radians
    stem: Field
    ventricles: Field
    choroid: Field
    deep: Field
    pallidum: Field
    bright: Field  # regions of brighter cortex
    rim: Field  # thickness of the periventricular rim
    cisterns: Field
    eyes: Field
    soft: Field  # texture of face and neck, deviation 1
    patches: Field  # slow variation inside white matter, deviation 1
    detail: Field  # fast variation, deviation 1
    width: float  # of sulci at the surface, mm
    ribbon: float  # thickness of cortex, mm

    def warped(self, shift: tuple[Field, Field, Field]) -> "Anatomy":
        """The anatomy displaced: what is seen at a node lay `shift` (mm) further on."""
        at = [
            index + move / np.float32(STEP)
            for index, move in zip(np.indices(NODES.shape, dtype=np.float32), shift, strict=True)
        ]
        moved: dict[str, Any] = {
            name: map_coordinates(value, at, order=1, mode="nearest")
            for name, value in vars(self).items()
            if isinstance(value, np.ndarray)
        }
        return replace(self, **moved)


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """One subject's head."""
    size = 1 + 0.035 * np.clip(rng.standard_normal(3), -2, 2)
    bend = [noise(rng, 9) * np.float32(1.5) for _ in range(3)]
    still = tuple(p / s for p, s in zip(NODES.positions, size, strict=True))
    # Coordinates bent and scaled: no two heads have the same shape, no half mirrors the other.
    at = (still[0] + bend[0], still[1] + bend[1], still[2] + bend[2])
    x, y, z = at
    base = -17 - 7 / (1 + np.exp(-(y - 12) / 4)) - z  # the floor under frontal and occipital lobes
    hull = np.maximum(ellipsoid(at, (0, 0, 4), (65, 83, 67), 2.25), base)
    for side in (-1, 1):
        hull = np.minimum(hull, ellipsoid(at, (side * 41, 6, -27), (23, 38, 21)))
    cerebellum = np.minimum(ellipsoid(at, (-24, -47, -39), (29, 30, 26)), ellipsoid(at, (24, -47, -39), (29, 30, 26)))
    cerebellum = np.maximum(cerebellum, 5 + 0.12 * np.abs(x) - (-12 - z) * 0.9)
    middle = ellipsoid((x, y + 0.28 * (z + 40), z), (0, -18, -45), (15, 13, 60), 3)
    stem = np.maximum(middle, z + 12)
    gap = 2.6 + 0.5 * noise(rng, 12)
    outer = ellipsoid((x, y, np.maximum(z, 0)), (0, 0, 0), (65, 83, 71), 2.2)
    cavity = np.minimum(np.minimum(hull, cerebellum), stem) - gap
    cavity = np.maximum(np.minimum(cavity, np.maximum(outer - gap + 1, -z - 14)), outer - gap - 1.5)
    atrophy = float(np.clip(rng.normal(), -1.8, 2.2))
    ventricles, choroid, horns = ventricles_of(at, atrophy, rng)
    deep, pallidum = deep_grey(at)
    medial, sylvian, bright = fissures(at, rng)
    sulcus = _sulci(at, rng)
    centrality = np.sqrt((x / 65) ** 2 + (y / 83) ** 2 + (z / 67) ** 2)
    radius = np.sqrt(x**2 + (y + 25) ** 2 + (z + 25) ** 2)
    head = ellipsoid(
        (still[0], still[1], np.maximum(still[2], 0) + 0.12 * np.minimum(still[2] + 30, 0)), (0, 1, 0), (81, 100, 89), 2.2
    )
    arrays = {
        "head": head + 1.2 * noise(rng, 15),
        "cavity": cavity,
        "hull": hull,
        "medial": medial,
        "sulcus": sulcus,
        # None in the middle, where the sheets come together.
        "sulcus_depth": np.clip(14 + 5 * noise(rng, 5), 5, 24) * np.clip((centrality - 0.45) / 0.3, 0, 1),
        "sylvian": sylvian,
        "cerebellum": cerebellum,
        "folia": radius * (2 * np.pi / rng.uniform(5.0, 6.5)) + 1.5 * noise(rng, 4.5),
        "stem": stem,
        "ventricles": ventricles,
        "choroid": choroid,
        "deep": deep,
        "pallidum": pallidum,
        "bright": bright,
        # Caps at the horns, and a thin line elsewhere; some subjects have hardly any.
        "rim": np.clip(rng.uniform(-0.3, 1.0) + 0.6 * noise(rng, 4.5) + rng.uniform(0.5, 3.0) * horns, 0, 5),
        "cisterns": cisterns_of(at),
        "eyes": np.minimum(ellipsoid(at, (-31, 79, -32), (12, 12, 12)), ellipsoid(at, (31, 79, -32), (12, 12, 12))),
        "soft": noise(rng, 5),
        "patches": noise(rng, 5),
        "detail": noise(rng, 2.4),
    }
    whole = {name: np.broadcast_to(np.asarray(value, dtype=np.float32), NODES.shape) for name, value in arrays.items()}
    return Anatomy(**whole, width=0.75 + 0.28 * atrophy, ribbon=rng.uniform(2.5, 3.1))


def _sulci(at: tuple[Field, Field, Field], rng: np.random.Generator) -> Field:
    """Signed distance from the sheets where a band of waves is zero; they stand upright on the surface of the brain."""
    frequency = [np.fft.fftfreq(n, STEP).astype(np.float32) for n in NODES.shape]
    wave = np.sqrt(sum(f**2 for f in np.ix_(*frequency)))[..., : NODES.shape[2] // 2 + 1]
    band = np.exp(-(((wave - 1 / 21) / 0.011) ** 2) / 2)
    white = rng.standard_normal(NODES.shape, dtype=np.float32)
    waves = irfftn(rfftn(white) * band, s=NODES.shape)
    # Pulled out along the rays from the middle, most of the way to the surface.
    x, y, z = (np.broadcast_to(p, NODES.shape) for p in at)
    away = np.sqrt((x / 65) ** 2 + (y / 83) ** 2 + (z / 67) ** 2)
    pull = np.maximum(away, 0.1) ** -0.6
    index = [(p * pull - low[0]) / STEP for p, low in zip((x, y, z), (NODES.x, NODES.y, NODES.z), strict=True)]
    folded = map_coordinates(waves, index, order=1, mode="grid-wrap")
    slope = np.sqrt(sum(g**2 for g in np.gradient(folded, STEP)))
    return np.asarray(folded / np.maximum(slope, 0.35 * slope.mean()), dtype=np.float32)


def draw_tissues(anatomy: Anatomy, grid: Grid) -> tuple[NDArray[np.uint8], Field]:
    """The tissue of each voxel of `grid`, uint8 (X, Y, Z), and its distance from the ventricles in mm."""
    spread = grid.spread
    tissues = np.zeros(grid.shape, dtype=np.uint8)

    def paint(where: NDArray[np.bool_], tissue: Tissue) -> None:
        tissues[where] = tissue

    head, cavity, soft = spread(anatomy.head), spread(anatomy.cavity), spread(anatomy.soft)
    lower = np.clip((-18 - grid.positions[2]) / 20, 0, 1)  # muscle and face take the scalp's place below
    paint(head < 0, Tissue.FAT)
    paint((head < -5 - 0.6 * soft - 2 * lower) & (soft > -0.4 - 3 * (lower == 0)), Tissue.MUSCLE)
    paint((head < -9) & (soft > 1.0), Tissue.AIR)
    shell = 6.5 + 0.8 * soft - 3.5 * lower
    paint(cavity < shell, Tissue.SKULL)
    paint((np.abs(cavity - shell * 0.5) < 0.9 + 0.5 * soft) & (lower < 0.6), Tissue.MARROW)
    paint(spread(anatomy.eyes) < 0, Tissue.EYE)
    paint(cavity < 0, Tissue.CSF)
    _paint_brain(anatomy, grid, paint)
    ventricles = spread(anatomy.ventricles)
    inside = np.isin(tissues, (Tissue.WHITE, Tissue.DEEP, Tissue.STEM, Tissue.PALLIDUM, Tissue.CORTEX))
    paint((ventricles < spread(anatomy.rim)) & inside & (tissues != Tissue.CORTEX) & (tissues != Tissue.STEM), Tissue.RIM)
    paint(ventricles < 0, Tissue.VENTRICLE)
    paint((spread(anatomy.choroid) < 0) & (ventricles < 0.3), Tissue.CHOROID)
    return tissues, ventricles


def _paint_brain(anatomy: Anatomy, grid: Grid, paint: Callable[[NDArray[np.bool_], Tissue], None]) -> None:
    spread = grid.spread
    depth = np.minimum(-spread(anatomy.hull), 1.7 * spread(anatomy.medial))
    sulcus, reach = np.abs(spread(anatomy.sulcus)), spread(anatomy.sulcus_depth)
    # Sulci are wider at the surface; below their floor the distance from the floor counts.
    width = anatomy.width + 0.9 * np.clip(1 - depth / np.maximum(reach, 1), 0, 1)
    pial = np.minimum(depth, np.hypot(sulcus, np.maximum(depth - reach, 0)) - width)
    pial = np.minimum(pial, spread(anatomy.sylvian))
    cerebrum = (depth > 0) & (pial > 0)
    cisterns = spread(anatomy.cisterns) < 0
    white = pial > anatomy.ribbon + 0.35 * spread(anatomy.detail)
    deep = spread(anatomy.deep) < 0
    bright = spread(anatomy.bright) < 0
    stem = spread(anatomy.stem)
    cerebellum = spread(anatomy.cerebellum)
    folia = np.sin(spread(anatomy.folia))
    paint((cerebellum < 0), Tissue.CEREBELLUM)
    paint((cerebellum < -2) & (folia > 0.35 - 0.05 * np.minimum(-cerebellum, 20)), Tissue.STEM)
    paint((cerebellum < 0) & (cerebellum > -9) & (folia < -0.93), Tissue.CSF)
    paint(stem < 0, Tissue.STEM)
    paint(cerebrum, Tissue.CORTEX)
    paint(cerebrum & bright, Tissue.INSULA)
    paint(cerebrum & white, Tissue.WHITE)
    paint(deep & cerebrum, Tissue.DEEP)
    paint(cerebrum & (spread(anatomy.pallidum) < 0), Tissue.PALLIDUM)
    paint(cisterns, Tissue.CSF)
