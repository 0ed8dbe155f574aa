"""Translators: how they are trained, put together, shown and measured."""
