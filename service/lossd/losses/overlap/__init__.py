"""Losses of regions that should cover each other."""
