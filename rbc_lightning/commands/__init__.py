"""One module for each thing a user can run; the only place that knows Hydra's configuration."""
