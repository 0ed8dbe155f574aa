"""Shapes of the cells of the train split."""
