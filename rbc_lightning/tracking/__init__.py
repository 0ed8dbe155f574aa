"""Where curves and results go beside the run directory."""
