"""Subjects that several tests look at, drawn once: coarse pixels, whole heads."""

from functools import cache

from rbc_lightning.data.readers.brain_phantom import BrainSpec, Subject, draw_subject
from rbc_lightning.data.readers.brain_phantom.scanner import THICK, THIN


@cache
def subject(number: int, seed: int = 0, coarseness: float = 3.0, tumour: bool = False, thin: bool = False) -> Subject:
    """One subject."""
    return draw_subject(BrainSpec(THIN if thin else THICK, coarseness, tumour), seed, number)


def ml(drawn: Subject, value: int) -> float:
    """Volume of a label in ml."""
    from numpy.linalg import det

    return float((drawn.labels == value).sum() * abs(det(drawn.placement.affine[:3, :3])) / 1000)
