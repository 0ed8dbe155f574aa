"""Subjects that several tests look at, drawn once: coarse pixels, whole heads."""

from functools import cache

import numpy as np

from rbc_lightning.data.readers.brain_phantom import BrainSpec, Subject, draw_subject
from rbc_lightning.data.readers.brain_phantom.scanner import THICK, THIN

COARSE = 4.0


@cache
def subject(number: int, tumour: bool = False, seed: int = 0) -> Subject:
    """One subject; those above 2000 are of the other scanner, as in the data set."""
    return draw_subject(BrainSpec(THIN if number > 2000 else THICK, COARSE, tumour), seed, number)


def ml(drawn: Subject, value: int) -> float:
    """Volume of a label in ml."""
    return float((drawn.labels == value).sum() * abs(np.linalg.det(drawn.placement.affine[:3, :3])) / 1000)
