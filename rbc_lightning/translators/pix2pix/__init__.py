"""Pix2Pix on masks and structure maps, with a mode-seeking term (Isola et al. 2017; Allender et al.)."""
