"""Losses of vectors: like near like, far from the rest."""
