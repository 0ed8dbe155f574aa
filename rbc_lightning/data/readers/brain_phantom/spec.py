"""What may be chosen of a phantom brain, and what its labels mean."""

from dataclasses import dataclass

from rbc_lightning.data.readers.brain_phantom.anatomy import Tissue
from rbc_lightning.data.readers.brain_phantom.scanner import THICK, Scanner

CLASSES = {1: "lesion", 2: "ventricles", 3: "rim"}
"""Values of label volumes, as in the real scans that the phantom follows."""
TUMOUR_CLASSES = {4: "oedema", 5: "core", 6: "enhancing"}
"""Further values where there is a tumour, which then is all there is to find."""
VALUES = {
    Tissue.VENTRICLE: 2,
    Tissue.CHOROID: 2,
    Tissue.RIM: 3,
    Tissue.OEDEMA: 4,
    Tissue.NECROSIS: 5,
    Tissue.ENHANCING: 6,
}
"""Label of a tissue; the others have none."""


@dataclass(frozen=True)
class BrainSpec:
    """Settings of the procedural head.

    Args:
        scanner: what took the scan.
        coarseness: how many times the scanner's pixels are as large, for quick trials.
        tumour: one tumour instead of lesions.

    Raises:
        ValueError: pixels finer than the scanner's, or larger than what a brain can be seen with.
    """

    scanner: Scanner = THICK
    coarseness: float = 1.0
    tumour: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.coarseness <= 6:
            raise ValueError(f"coarseness must be from 1 to 6, got {self.coarseness}")

    @property
    def in_plane(self) -> float:
        """Size of a pixel, mm."""
        return self.scanner.in_plane * self.coarseness
