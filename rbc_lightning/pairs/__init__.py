"""Synthetic pairs of image and label map: where they come from, and sets of them on disk."""
