"""What a phantom smear is made of: the user's settings, and what one slide draws from them."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Plane = NDArray[np.float32]
"""(H, W), or a part of it."""

FULL_AREA = 1920 * 1200  # pixels of the field that the paper's cell counts refer to
REFERENCE_CELL = 46.0  # pixels: lengths of the optics are stated for cells of this diameter
COUNT_CLIP = 2.5  # standard deviations beyond which a count is not drawn

# Measured on 120 full fields: neighbours hide 3.6 % of a cell's diameter on average; discs are drawn larger by that.
OVERLAP_LOSS = 1.036


@dataclass(frozen=True)
class PhantomSpec:
    """Settings of the procedural smear; the defaults follow Bailo et al. 2019, Table 1.

    Table 1 prints one "mean" and one "std" per quantity. They are read as: labelled cells per image, and its standard
    deviation between images; equivalent diameter of a cell, and its standard deviation over all cells; mean colour of
    a whole image, and its standard deviation between images (154/151/162 and 20/17/21 at the default settings).
    A `TypeError` or `ValueError` refuses values that are no sizes or spreads, and cells that do not fit.
    """

    height: int = 1200  # pixels
    width: int = 1920
    count_mean: float = 669.0  # labelled cells in a field of 1920 x 1200 pixels; scaled with the area of other fields
    count_std: float = 149.0  # between images, scaled alike
    cell_size: float = 46.0  # mean diameter of a cell, pixels (of the disc with the same area)
    cell_std: float = 5.0  # of the diameter over the cells of all images, pixels
    stain_density: float = 0.444  # mean optical density (log10) of a thick cell rim in the green channel
    stain_std: float = 0.32  # of the log of the optical density, between slides
    focus_sigma: float = 0.85  # median standard deviation of the point spread function, pixels for cells of 46 pixels
    sensor_noise: float = 2.2  # mean standard deviation of the camera noise, grey levels of 255
    platelets: float = 4.0  # mean number per 100 cells
    dirt: float = 5.0  # mean number of particles per 100 cells

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name in ("height", "width") and not isinstance(value, int):
                raise TypeError(f"{name} must be an int (pixels), got {value!r}")
            positive = name in {"height", "width", "count_mean", "cell_size", "stain_density", "focus_sigma"}
            if not math.isfinite(value) or value < 0 or (positive and value == 0):
                raise ValueError(f"{name} must be finite and {'positive' if positive else 'zero or positive'}, got {value!r}")
        if self.cell_size < 8:
            raise ValueError(f"cell_size must be at least 8 pixels to show a pallor, got {self.cell_size}")
        if self.cell_std > 0.25 * self.cell_size:
            raise ValueError(f"cell_std must be at most a quarter of cell_size {self.cell_size}, got {self.cell_std}")
        if min(self.height, self.width) < self.cell_size:
            got = f"{self.height}x{self.width} (height x width)"
            raise ValueError(f"the field must be at least one cell ({self.cell_size}) wide and high, got {got}")
        cover = (self.count_mean + COUNT_CLIP * self.count_std) * math.pi / 4 * self.cell_size**2 / FULL_AREA
        if cover > 1.0:
            raise ValueError(
                f"count_mean {self.count_mean} + {COUNT_CLIP} x count_std {self.count_std} cells of "
                f"{self.cell_size} pixels cover {cover:.2f} of the field, at most 1.0 is possible: "
                "lower the counts (they refer to 1920x1200) or cell_size"
            )

    @property
    def unit(self) -> float:
        """Length scale of the picture relative to cells of 46 pixels."""
        return self.cell_size / REFERENCE_CELL


@dataclass(frozen=True)
class Slide:
    """What all cells of one image share: one patient, one staining, one focus."""

    count: int  # cells to place
    diameter: float  # mean of this slide's cells, pixels, before neighbours cover part of them
    adhesion: float  # depth of the attraction between touching cells, thermal energies
    pallor: float  # mean depth of the central dimple, 0 (flat) to 1 (the Evans-Fung profile) or a little more
    edge_power: float  # steepness of the cell's edge; 1 is a parabola, more is a flat disc with steep sides
    crenated: float  # fraction of echinocyte-like cells
    absorbance: Floats  # optical density of a unit of thickness in R, G, B, (3,)
    background: Floats  # colour of the empty slide at the centre of the light, (3,), 0 to 255
    focus_sigma: float  # standard deviation of the point spread function, pixels
    refraction: float  # strength of the bright rim of slight defocus; negative puts the bright line inside
    haze: float  # fraction of light scattered widely
    noise: float  # standard deviation of the camera noise at mid grey, grey levels
    precipitate: float  # specks of precipitated stain per 100 cells


def draw_slide(spec: PhantomSpec, rng: np.random.Generator) -> Slide:
    """Draw what one image's cells share."""
    deviation = float(np.clip(rng.normal(), -COUNT_CLIP, COUNT_CLIP))
    count = (spec.count_mean + deviation * spec.count_std) * spec.height * spec.width / FULL_AREA
    # Patients differ by 0.4 cell_std, cells of one slide by 0.82, and hidden parts add the rest (variances add up).
    diameter = OVERLAP_LOSS * spec.cell_size + 0.4 * spec.cell_std * float(np.clip(rng.normal(), -2, 2))
    stain = spec.stain_density * np.exp(spec.stain_std * np.clip(rng.normal(), -2, 2))
    # Giemsa runs from grey-blue over violet to maroon: red light passes about as well as green, blue always better.
    red, blue = np.exp(rng.normal(0.0, [0.17, 0.21]))
    hue = np.array([min(0.94 * red, 1.08), 1.0, min(0.73 * blue, 0.90)])
    # Lamps differ in warmth: blue falls where red rises, green hardly moves.
    warmth = rng.normal(0.0, 0.035)
    light = rng.normal(212.0, 16.5) * np.exp([warmth, rng.normal(0.0, 0.006), -1.5 * warmth])
    return Slide(
        count=max(1, round(count)),
        diameter=diameter,
        adhesion=rng.uniform(0.0, 1.0),
        pallor=float(np.clip(rng.normal(1.0, 0.25), 0.2, 1.2)),
        edge_power=rng.uniform(1.0, 2.2),
        crenated=min(rng.exponential(0.03), 0.4),
        absorbance=stain * hue,
        background=np.clip(light, 160.0, 245.0),
        focus_sigma=spec.focus_sigma * spec.unit * float(np.exp(np.clip(rng.normal(0.0, 0.3), -0.5, 0.8))),
        refraction=rng.normal(0.12, 0.2),
        haze=rng.beta(1.5, 18.0),
        noise=spec.sensor_noise * rng.uniform(0.5, 1.5),
        precipitate=rng.exponential(6.0),
    )
