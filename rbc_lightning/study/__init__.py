"""Finished runs: their record, which may be compared, tables and statistics."""
