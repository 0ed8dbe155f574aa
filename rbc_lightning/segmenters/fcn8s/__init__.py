"""FCN-8s (Long et al. 2015)."""
