"""The Python client: NumPy arrays in, losses and gradients out, computed by a lossd server."""

from importlib.util import find_spec

if find_spec("httpx") is None:  # pip installs it with the client only
    raise ModuleNotFoundError("the client needs httpx: pip install '.[client]'", name="httpx")

from lossd.client.asynchronous import AsyncLossClient
from lossd.client.blocking import LossClient
from lossd.client.catalogue import LossEntry, LossSummary
from lossd.client.failure import AnswerTooLarge, MismatchedAnswer, Problem, ServiceError, Unreachable
from lossd.client.progress import Progress, TerminalLine
from lossd.client.result import Reduced, Result
from lossd.message import Deviation, GradientCheck, Part, Partial

__all__ = [
    "AnswerTooLarge",
    "AsyncLossClient",
    "Deviation",
    "GradientCheck",
    "LossClient",
    "LossEntry",
    "LossSummary",
    "MismatchedAnswer",
    "Part",
    "Partial",
    "Problem",
    "Progress",
    "Reduced",
    "Result",
    "ServiceError",
    "TerminalLine",
    "Unreachable",
]
