"""Stateless functions on arrays and tensors: labels, losses, metrics."""
