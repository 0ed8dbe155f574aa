"""Scans of heads: NIfTI files in and out, and the axial slices that samples are made of."""
