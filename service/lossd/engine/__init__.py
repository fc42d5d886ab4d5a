"""The engine: how a loss is evaluated. `evaluate` lists its steps, `request_model` says what may be asked."""

from lossd.engine.combine import answer_of, combine, cost_of
from lossd.engine.cost import OPERATIONS_PER_SECOND
from lossd.engine.evaluate import Prepared, arithmetic, compute, compute_within, evaluate, prepare
from lossd.engine.gradcheck import check_gradient
from lossd.engine.limits import CostLimits
from lossd.engine.options import Options
from lossd.engine.parts import PreparedPart, compute_part, prepare_part
from lossd.engine.request import request_model, sliders_of
from lossd.message import Checkpoint

__all__ = [
    "OPERATIONS_PER_SECOND",
    "Checkpoint",
    "CostLimits",
    "Options",
    "Prepared",
    "PreparedPart",
    "answer_of",
    "arithmetic",
    "check_gradient",
    "combine",
    "compute",
    "compute_part",
    "compute_within",
    "cost_of",
    "evaluate",
    "prepare",
    "prepare_part",
    "request_model",
    "sliders_of",
]
