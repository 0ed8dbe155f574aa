"""Measures of segmentation and detection: pure functions, and a registry of them by name."""
