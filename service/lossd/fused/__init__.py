"""Fused kernels: they change how fast a loss is computed, and nothing else."""

from lossd.fused import binary, embedding, multiclass, overlap, regression
from lossd.fused.table import FUSED

__all__ = ["FUSED", "binary", "embedding", "multiclass", "overlap", "regression"]
