"""Procedural brain scans with exact labels: FLAIR and T1w of two scanners, lesions or a tumour, when nothing is downloaded."""

from rbc_lightning.data.readers.brain_phantom.reader import BrainPhantom, BrainPhantomReader, write_brains
from rbc_lightning.data.readers.brain_phantom.spec import BrainSpec
from rbc_lightning.data.readers.brain_phantom.subject import Subject, draw_subject

__all__ = ["BrainPhantom", "BrainPhantomReader", "BrainSpec", "Subject", "draw_subject", "write_brains"]
