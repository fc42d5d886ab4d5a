"""The engine: how a loss is evaluated. `evaluate` is its flow, `request_model` what may be asked."""

from lossd.engine.evaluate import evaluate
from lossd.engine.options import Options
from lossd.engine.request import request_model

__all__ = ["Options", "evaluate", "request_model"]
