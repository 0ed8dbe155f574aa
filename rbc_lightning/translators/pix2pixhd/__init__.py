"""Pix2PixHD: instance styles, one or two stages (Wang et al. 2018; Bailo et al. 2019, Sec. 4.2)."""
