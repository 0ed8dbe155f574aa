"""From a data set on disk to a manifest of samples; chosen by `_target_`."""
