"""The engine: how a loss is evaluated. `evaluate` lists its steps, `request_model` says what may be asked."""

from lossd.engine.blocks import Checkpoint
from lossd.engine.evaluate import Prepared, compute, evaluate, prepare
from lossd.engine.limits import CostLimits
from lossd.engine.options import Options
from lossd.engine.request import request_model

__all__ = [
    "Checkpoint",
    "CostLimits",
    "Options",
    "Prepared",
    "compute",
    "evaluate",
    "prepare",
    "request_model",
]
