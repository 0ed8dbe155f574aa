"""What a user may add from outside the package: one file and one YAML each, found through `_target_`."""
