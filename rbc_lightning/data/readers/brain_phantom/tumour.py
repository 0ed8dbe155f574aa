"""One tumour: a core, an enhancing rim around it, oedema in the white matter around both, and the brain pushed aside."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rbc_lightning.data.readers.brain_phantom.anatomy import Anatomy, Tissue
from rbc_lightning.data.readers.brain_phantom.fields import NODES, Field, Grid, ellipsoid, noise

# Medians of 484 gliomas (Medical Segmentation Decathlon) in ml, and the spread of their logarithms.
OEDEMA_ML, CORE_ML, RIM_ML, SPREAD = 54.0, 12.0, 15.0, 0.55
_BRAIN = (Tissue.CORTEX, Tissue.INSULA, Tissue.WHITE, Tissue.DEEP, Tissue.PALLIDUM, Tissue.RIM)
_SOFT = (Tissue.WHITE, Tissue.RIM)  # where oedema spreads


@dataclass(frozen=True)
class Tumour:
    """Distances on `NODES` in mm; a voxel belongs to the innermost body that holds it."""

    core: Field
    mass: Field  # core and rim
    oedema: Field
    centre: tuple[float, float, float]
    radius: float  # of the mass, mm

    def push(self, anatomy: Anatomy) -> Anatomy:
        """The brain displaced by the mass, most beside it and not at all at the skull; volumes are kept nearby."""
        offset = [position - c for position, c in zip(NODES.positions, self.centre, strict=True)]
        away = np.maximum(np.sqrt(sum(o**2 for o in offset)), 1e-3)
        grown = np.minimum(0.75 * self.radius, 0.99 * away)  # tissue that was at the centre lies at this radius now
        moved = ((away**3 - grown**3) ** (1 / 3) - away) * np.exp(-((away / 75) ** 2)) * np.clip(-anatomy.cavity / 14, 0, 1)
        x, y, z = (np.asarray(o / away * moved, dtype=np.float32) for o in offset)
        return anatomy.warped((x, y, z))

    def paint(self, tissues: NDArray[np.uint8], grid: Grid) -> None:
        """Overwrite the brain's tissues by the tumour's, in place."""
        brain, soft = np.isin(tissues, _BRAIN), np.isin(tissues, _SOFT)
        tissues[soft & (grid.spread(self.oedema) < 0)] = Tissue.OEDEMA
        tissues[brain & (grid.spread(self.mass) < 0)] = Tissue.ENHANCING
        tissues[brain & (grid.spread(self.core) < 0)] = Tissue.NECROSIS


def draw_tumour(rng: np.random.Generator) -> Tumour:
    """A tumour in the white matter of one half of the cerebrum."""
    centre = (float(rng.choice([-1, 1]) * rng.uniform(22, 38)), float(rng.uniform(-38, 40)), float(rng.uniform(0, 32)))
    ml = np.array([OEDEMA_ML, CORE_ML, RIM_ML]) * np.exp(np.clip(rng.normal(0, SPREAD, 3), -1.2, 1.2))
    core, mass, whole = ((3000 * part / (4 * np.pi)) ** (1 / 3) for part in (ml[1], ml[1] + ml[2], 1.5 * ml.sum()))
    shape = np.exp(rng.normal(0, 0.12, 3))
    shape /= np.prod(shape) ** (1 / 3)
    uneven, fine, fingers = noise(rng, 7), noise(rng, 3), noise(rng, 4.5)

    def body(radius: float) -> Field:
        x, y, z = (float(radius * factor) for factor in shape)
        return ellipsoid(NODES.positions, centre, (x, y, z))

    return Tumour(
        core=body(core) + np.float32(0.14 * core) * uneven + fine,
        mass=body(mass) + np.float32(0.10 * mass) * uneven + np.float32(0.5) * fine,
        oedema=body(whole) + np.float32(0.28 * whole) * fingers,
        centre=centre,
        radius=float(mass),
    )
