"""The classification losses, in the catalogue's order: how little belief was placed in what is true."""

from lossd.losses.classification.multiclass import cross_entropy, nll

# isort: split
from lossd.losses.classification.binary import bce, bce_with_logits

__all__ = ["bce", "bce_with_logits", "cross_entropy", "nll"]
