"""Losses of estimated returns."""
