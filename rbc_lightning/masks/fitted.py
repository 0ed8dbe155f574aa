"""`FittedSampler`: what a fit found, and the sampler it makes."""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from rbc_lightning.masks.density import CountFamily, SizeModel
from rbc_lightning.masks.sampler import MaskSampler, Placement
from rbc_lightning.masks.shapes import ShapeBank


@dataclass(frozen=True)
class FittedSampler:
    """The sampler's values as fitted to a set of label maps; arguments of `MaskSampler` unless said otherwise.

    Attributes:
        image_area: pixels of the image that the counts refer to.
        mismatch: root mean square of distance / half-to-half distance over the matched statistics, at the end.
    """

    image_area: float
    count_mean: float
    count_std: float
    count_family: CountFamily
    count_observed: tuple[float, ...]
    size_model: SizeModel
    cell_size: float
    n_init: int
    kernel_tail: float
    uniform_share: float
    max_overlap: float
    overlap_power: float
    lone_acceptance: float
    line_share: float
    scale_mean: float
    scale_std: float
    margin: int
    mismatch: float = math.nan

    def build(
        self, bank: ShapeBank, height: int, width: int, placement: Placement = "adhesion", n_colors: int = 8
    ) -> MaskSampler:
        """Make the sampler for masks of some size; the number of cells goes with the area.

        Args:
            bank: cell shapes.
            height: mask height in pixels.
            width: mask width in pixels.
            placement: "uniform" keeps shapes, counts and overlaps, and drops everything that draws cells together.
            n_colors: palette size.

        Returns:
            The sampler.

        Raises:
            ValueError: see `MaskSampler`.
        """
        share = height * width / self.image_area
        values = asdict(replace(self, lone_acceptance=1.0 if placement == "uniform" else self.lone_acceptance))
        for name in ("image_area", "mismatch", "size_model", "count_mean", "count_std", "count_observed"):
            del values[name]
        return MaskSampler(
            bank,
            height,
            width,
            self.count_mean * share,
            self.count_std * share,
            n_colors=n_colors,
            placement=placement,
            count_observed=tuple(n * share for n in self.count_observed),
            size_model=self.size_model,
            **values,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON or YAML."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "FittedSampler":
        """Read what `to_dict` gave, also after a round trip through JSON or YAML."""
        rest = {**values, "size_model": SizeModel(**values["size_model"])}
        return cls(**{**rest, "count_observed": tuple(values["count_observed"])})
