"""Losses whose minimum is a quantile."""
