"""Data sets in other formats."""
