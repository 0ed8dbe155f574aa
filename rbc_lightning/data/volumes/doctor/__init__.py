"""The data doctor for volumes: what is wrong, or worth knowing, about scans and masks, a module for each kind of finding."""
