"""Synthetic blood smears: sample layouts, paint them with a GAN, train on mixes, measure whether it helps."""

__version__ = "0.1.0"
