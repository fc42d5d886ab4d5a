"""This file is the engine's flow: read the request, arrange, plan, run the blocks, answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from lossd.engine.arrange import Arranged, arrange, place, real_numbers
from lossd.engine.blocks import BLOCK_BYTES, Checkpoint
from lossd.engine.check import check_finite, check_shared, names_to_check
from lossd.engine.derivatives import in_own_shape, owed_to_denominator
from lossd.engine.fused import run_recipe
from lossd.engine.general import Result, run_general
from lossd.engine.plan import Plan, Scale, make_plan, select_rows
from lossd.engine.recipe import make_recipe, recipe_for
from lossd.engine.reduce import REDUCTIONS, count, sum_over_axes
from lossd.engine.request import read_request
from lossd.errors import invalid
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
        block_bytes: Size of the widest argument's block.

    Raises:
        InvalidCall: An array, a setting or an option is not what the loss means; the faults say where.
    """
    with np.errstate(all="ignore"):  # overflow and NaN are answers here
        recipe = recipe_for(loss, call, block_bytes)
        if recipe is not None:
            return run_recipe(recipe, call.arrays, owned=call.owned, threads=threads, checkpoint=checkpoint)
        return _evaluate_any(loss, call, threads, checkpoint, block_bytes)


def _evaluate_any(
    loss: Loss, call: Call, threads: int, checkpoint: Checkpoint | None, block_bytes: int
) -> Answer:
    """Evaluate a call that nothing is known of."""
    request = read_request(loss, call)
    if loss.prepare is not None:
        request = {**request, **loss.prepare(request, {name: request[name] for name in loss.settings})}
    if request["check_finite"]:
        check_finite(call.arrays)
    arranged = arrange(loss, request)
    checked = names_to_check(arranged, request["check_target"])
    check_shared(arranged, checked)
    plan = make_plan(loss, request, arranged, select_rows(loss, request, arranged))
    plan = _directed(loss, request, arranged, plan)
    recipe = make_recipe(loss, arranged, plan, checked, block_bytes)
    if recipe is not None:
        arrays = {name: placed.array for name, placed in arranged.placed.items()}
        return run_recipe(recipe, arrays, owned=call.owned, threads=threads, checkpoint=checkpoint)
    strict = request["check_target"] == "strict"
    result = run_general(
        loss,
        arranged,
        plan,
        checked,
        strict=strict,
        threads=threads,
        checkpoint=checkpoint,
        block_bytes=block_bytes,
    )
    return _answer(loss, arranged, plan, result, request["empty"])


def _directed(loss: Loss, request: Mapping[str, Any], arranged: Arranged, plan: Plan) -> Plan:
    """Place the direction that the Hessian is to be multiplied with."""
    if request["hvp"] is None:
        return plan
    direction = real_numbers(request["hvp"], "hvp")
    placed = next(arranged.placed[name] for name in loss.gradient if name in arranged.placed)
    if direction.shape != placed.array.shape:
        raise invalid("hvp", f"the shape of {placed.argument.name}, {placed.array.shape}", direction.shape)
    spread = placed.spread is not None
    return replace(
        plan,
        direction=place(placed.argument, placed.role, direction, placed.core, arranged.batch, spread),
    )


def _answer(loss: Loss, arranged: Arranged, plan: Plan, result: Result, empty: str) -> Answer:
    """Divide the sums, correct what the denominators depend on, and sort the derivatives."""
    values = {name: _value(name, plan, result, empty) for name in plan.scales}
    found: dict[str, dict[str, dict[str, Array]]] = {"gradient": {}, "hessian": {}, "hvp": {}}
    for (kind, reduction, name), array in result.derivatives.items():
        if kind == "gradient" and loss.mass is not None and name == loss.mass.of:
            owed = owed_to_denominator(loss, arranged, plan, reduction, values[reduction])
            array = array if owed is None else array + owed
        found[kind].setdefault(reduction, {})[name] = in_own_shape(array, name, arranged)
    warnings = plan.warnings if result.distributions else (*plan.warnings, _NOT_DISTRIBUTIONS)
    typed = {name: _typed(value, arranged) for name, value in values.items()}
    return Answer(typed, count(plan.weights), plan.denominator, warnings=warnings, **found)


def _value(name: str, plan: Plan, result: Result, empty: str) -> Any:
    """Return a reduction's result in float64: a number, or an array where axes are left."""
    scale, value = plan.scales[name], result.values[name]
    if REDUCTIONS[name].keeps_rows:
        return value.reshape(plan.weights.batch)
    if plan.weights.axes is not None:
        value = sum_over_axes(value, plan.weights)
    return _divide(value, scale, empty)


def _divide(value: Any, scale: Scale, empty: str) -> Any:
    divisor = scale.divisor
    if isinstance(divisor, float) and divisor:
        return value / divisor
    quotient = np.divide(value, divisor)
    return np.where(np.equal(divisor, 0), 0.0 if empty == "zero" else np.nan, quotient)


def _typed(value: Any, arranged: Arranged) -> Any:
    """Return a result in the answer's type; a complex call has a real loss."""
    if isinstance(value, float):
        return arranged.real.type(value)
    return np.asarray(value).astype(arranged.real)
