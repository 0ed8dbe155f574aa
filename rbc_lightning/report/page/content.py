"""What the report page shows, gathered before it is drawn: text, charts as SVG, pictures as encoded bytes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rbc_lightning.study.table2 import Table2


@dataclass(frozen=True)
class Chart:
    """A drawing in a section of the page: `svg` is one `<svg>` element without a script."""

    title: str
    svg: str
    caption: str


@dataclass(frozen=True)
class Picture:
    """An encoded picture (PNG or JPEG bytes) with what to see in it; `media_type` such as "image/png"."""

    title: str
    data: bytes
    media_type: str
    caption: str


@dataclass(frozen=True)
class Layer:
    """What lies over a test image.

    Attributes:
        name: "truth", or the model and column that predicted it.
        overlay: PNG with transparency, as large as the image.
        score: score of this image; None for the truth.
        score_name: such as "Dice"; empty for the truth.
        n_cells: cells drawn; None where the model separates none.
        higher_is_better: direction of the score.
    """

    name: str
    overlay: bytes
    score: float | None
    score_name: str
    n_cells: int | None
    higher_is_better: bool = True


@dataclass(frozen=True)
class GalleryImage:
    """A test image (JPEG bytes, width and height in pixels) and its layers, the truth first."""

    sample_id: str
    width: int
    height: int
    data: bytes
    layers: tuple[Layer, ...]


@dataclass
class Page:
    """The whole report; empty sections are left out, `missing` says how each could be had.

    Attributes:
        title: of the page.
        table: with the verdicts.
        bars: scores by column with intervals, one chart for each model.
        learning: learning curves, one chart for each model.
        sweeps: gain against the share of synthetic samples, and against the number of real images or patients.
        cards: layout card and quality card.
        sheets: synthetic cells and smears, or slices.
        gallery: test images with truth and predictions.
        sources: one line for each thing the page was made from.
        missing: one line for each section left out: what it would show, and the command that makes it.
    """

    title: str
    table: Table2
    bars: Sequence[Chart] = ()
    learning: Sequence[Chart] = ()
    sweeps: Sequence[Chart] = ()
    cards: list[Picture] = field(default_factory=list)
    sheets: list[Picture] = field(default_factory=list)
    gallery: list[GalleryImage] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
