"""The Python client: NumPy arrays in, losses and gradients out, computed by a lossd server."""

from importlib.util import find_spec

if find_spec("httpx") is None:  # pip installs it with the client only
    raise ModuleNotFoundError("the client needs httpx: pip install '.[client]'", name="httpx")

from lossd.client.catalogue import LossEntry, LossSummary
from lossd.client.connection import AsyncLossClient, LossClient
from lossd.client.failure import MismatchedAnswer, Problem, ServiceError, Unreachable
from lossd.client.progress import Progress, TerminalLine
from lossd.client.result import Reduced, Result

__all__ = [
    "AsyncLossClient",
    "LossClient",
    "LossEntry",
    "LossSummary",
    "MismatchedAnswer",
    "Problem",
    "Progress",
    "Reduced",
    "Result",
    "ServiceError",
    "TerminalLine",
    "Unreachable",
]
