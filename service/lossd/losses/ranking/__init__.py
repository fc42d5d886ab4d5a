"""Losses of lists: items in the order of their scores, the relevant ones first."""
