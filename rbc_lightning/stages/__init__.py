"""One module for each thing a user can run; each offers `run(cfg)`."""
