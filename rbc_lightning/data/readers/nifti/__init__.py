"""Brain scans as a data set: NIfTI files, of which every axial slice is a sample."""

from rbc_lightning.data.readers.nifti.reader import NiftiReader

__all__ = ["NiftiReader"]
