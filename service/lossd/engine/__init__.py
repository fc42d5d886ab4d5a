"""The engine: how a loss is evaluated. `evaluate` is its flow, `request_model` what may be asked."""

from lossd.engine.evaluate import Prepared, evaluate, prepare, run_call
from lossd.engine.limits import CostLimits
from lossd.engine.options import Options
from lossd.engine.request import request_model

__all__ = ["CostLimits", "Options", "Prepared", "evaluate", "prepare", "request_model", "run_call"]
