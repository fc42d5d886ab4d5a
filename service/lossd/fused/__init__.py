"""Fused kernels: they change how fast a loss is computed, and nothing else."""

from lossd.fused import (
    binary,
    class_margins,
    embedding,
    likelihood,
    margins,
    multiclass,
    overlap,
    regression,
)
from lossd.fused.table import FUSED

__all__ = [
    "FUSED",
    "binary",
    "class_margins",
    "embedding",
    "likelihood",
    "margins",
    "multiclass",
    "overlap",
    "regression",
]
