"""The sampler's values fitted to real layouts."""
