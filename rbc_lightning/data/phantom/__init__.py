"""Procedural blood smears with exact label maps: the default data set when nothing is downloaded."""

from rbc_lightning.data.phantom.smear import render_smear
from rbc_lightning.data.phantom.spec import PhantomSpec
from rbc_lightning.data.phantom.writer import write_phantom

__all__ = ["PhantomSpec", "render_smear", "write_phantom"]
