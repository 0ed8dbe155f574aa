"""DCAN (Chen et al. 2016)."""
