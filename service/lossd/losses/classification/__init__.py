"""Losses of one class of two or of many."""
