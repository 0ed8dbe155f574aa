"""Procedural blood smears with exact label maps: the default data set when nothing is downloaded."""

from rbc_lightning.data.readers.phantom.reader import PhantomReader, write_phantom
from rbc_lightning.data.readers.phantom.smear import render_smear
from rbc_lightning.data.readers.phantom.spec import PhantomSpec

__all__ = ["PhantomReader", "PhantomSpec", "render_smear", "write_phantom"]
