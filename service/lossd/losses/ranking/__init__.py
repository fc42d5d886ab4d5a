"""Losses of the order of scores: of pairs, and of the items of lists."""
