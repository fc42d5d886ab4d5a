"""This file is the engine's flow: prepare the call, run its blocks, answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossd.engine.arrange import Arranged
from lossd.engine.blocks import BLOCK_BYTES, Checkpoint, one_blas_thread
from lossd.engine.derivatives import in_own_shape, in_own_type, through_denominator
from lossd.engine.fused import run_recipe
from lossd.engine.general import Result, run_general
from lossd.engine.plan import Plan, Scale
from lossd.engine.precision import rounded, rounding_to
from lossd.engine.prepare import Prepared, prepare
from lossd.engine.reduce import REDUCTIONS, count, sum_over_axes
from lossd.losses.spec import Loss
from lossd.message import Answer, Array, Call

_NOT_DISTRIBUTIONS = "target: some rows of probabilities do not sum to 1"


def evaluate(
    loss: Loss,
    call: Call,
    *,
    threads: int = 1,
    checkpoint: Checkpoint | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Answer:
    """Evaluate a loss: its value for every reduction asked for, and the derivatives of that value.

    Args:
        loss: What to evaluate.
        call: Arrays by argument, settings and options; their meaning is in `Options` and in the loss.
        threads: How many threads may work; the answer's bits do not depend on it.
        checkpoint: Called between blocks; what it raises ends the work.
        block_bytes: Size of the widest argument's block; a kernel that is not tuned gets a quarter of it.

    Raises:
        InvalidCall: An array, a setting or an option is not what the loss means; the faults say where.
    """
    one_blas_thread()
    with np.errstate(all="ignore"):  # overflow and NaN are answers here
        prepared = prepare(loss, call, block_bytes)
        if prepared.recipe is not None:
            return run_recipe(
                prepared.recipe, call.arrays, owned=call.owned, threads=threads, checkpoint=checkpoint
            )
        result = run_general(loss, prepared, threads=threads, checkpoint=checkpoint, block_bytes=block_bytes)
        return _answer(loss, prepared, result)


def _answer(loss: Loss, prepared: Prepared, result: Result) -> Answer:
    """Divide the sums, correct what the denominators depend on, and sort the derivatives."""
    arranged, plan = prepared.arranged, prepared.plan
    values = {name: _value(name, plan, result, prepared.empty) for name in plan.scales}
    found: dict[str, dict[str, dict[str, Array]]] = {"gradient": {}, "hessian": {}, "hvp": {}}
    for (kind, reduction, name), array in result.derivatives.items():
        array = in_own_shape(array, name, arranged)
        if kind == "gradient" and loss.mass is not None and name == loss.mass.of:
            array = through_denominator(array, loss, arranged, plan, reduction, values[reduction])
        found[kind].setdefault(reduction, {})[name] = in_own_type(array, name, arranged)
    warnings = plan.warnings if result.distributions else (*plan.warnings, _NOT_DISTRIBUTIONS)
    typed = {name: _typed(value, arranged) for name, value in values.items()}
    return Answer(typed, count(plan.weights), plan.denominator, warnings=warnings, **found)


def _value(name: str, plan: Plan, result: Result, empty: str) -> Any:
    """Return a reduction's result in float64 or wider: a number, or an array where axes are left."""
    scale, value = plan.scales[name], result.values[name]
    if REDUCTIONS[name].keeps_rows:
        return value.reshape(plan.weights.batch)
    if plan.weights.axes is not None:
        value = sum_over_axes(value, plan.weights)
    return _divide(value, scale, empty)


def _divide(value: Any, scale: Scale, empty: str) -> Any:
    divisor = scale.divisor
    if not isinstance(divisor, np.ndarray) and divisor:
        return value / divisor
    quotient = np.divide(value, divisor)
    return np.where(np.equal(divisor, 0), 0.0 if empty == "zero" else np.nan, quotient)


def _typed(value: Any, arranged: Arranged) -> Any:
    """Return a result in the answer's type; a complex call has a real loss."""
    if isinstance(value, np.ndarray) and value.ndim:
        return rounded(value, arranged.real)
    return rounding_to(arranged.real)(value)
