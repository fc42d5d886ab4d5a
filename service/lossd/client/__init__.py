"""The Python client: NumPy arrays in, losses and gradients out, computed by a lossd server."""

from lossd.client.connection import AsyncLossClient, LossClient
from lossd.client.failure import Problem, ServiceError, Unreachable
from lossd.client.progress import Progress, TerminalLine
from lossd.client.result import Reduced, Result
from lossd.client.retries import Retries

__all__ = [
    "AsyncLossClient",
    "LossClient",
    "Problem",
    "Progress",
    "Reduced",
    "Result",
    "Retries",
    "ServiceError",
    "TerminalLine",
    "Unreachable",
]
