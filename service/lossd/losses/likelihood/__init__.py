"""Losses that are negative logarithms of a probability."""
