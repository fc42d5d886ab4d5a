"""Losses of one distribution against another."""
