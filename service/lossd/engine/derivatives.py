"""The derivatives of a block that a call asks for: as its kernel gives them, or by dual numbers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from lossd.declaration.boosting import Boosting
from lossd.declaration.result import Derivative, Pullback, Result, evaluated
from lossd.engine import curvature
from lossd.engine.arguments import Arguments
from lossd.engine.bind import Bound
from lossd.engine.dual_products import is_by_hand
from lossd.engine.layout import Block
from lossd.engine.plan import Plan
from lossd.engine.wanted import Kind
from lossd.message import Array


def derivatives_of(
    result: Result, arguments: Arguments, bound: Bound, plan: Plan, block: Block
) -> dict[tuple[Kind, str], Derivative]:
    """Return the derivatives of a block's values that a call asks for.

    Raises:
        InvalidCall: The loss does not offer one.
    """
    found: dict[tuple[Kind, str], Derivative] = {}
    constant = bound.loss.stop_gradient_under(plan.settings)
    directions = {
        name: _direction(name, bound, plan, block) for name in plan.directions if name not in constant
    }
    for kind, name in plan.wanted.all:
        if name in constant:
            found[kind, name] = Pullback(partial(_nothing, arguments[name]))
        elif kind == "gradient":
            found[kind, name] = _gradient(result, name, plan.boosting)
        elif kind == "hessian":
            found[kind, name] = _hessian(result, name, arguments, bound, plan)
        else:
            found[kind, name] = _product(result, name, directions, arguments, bound, plan)
    return found


def _nothing(argument: Array | None, upstream: Array) -> Array:
    """Return the derivative with respect to an argument that is taken for a constant."""
    assert argument is not None
    return np.zeros_like(argument)


def _gradient(result: Result, name: str, boosting: Boosting | None) -> Derivative:
    if boosting is None:
        return result.gradient[name]
    factor, derivative = boosting.gradient, result.boosting.get(name, result.gradient[name])
    if factor == 1:
        return derivative
    if isinstance(derivative, Pullback):
        vjp = derivative.vjp
        return Pullback(lambda upstream: vjp(upstream) * factor)
    return lambda: evaluated(derivative) * factor


def _hessian(result: Result, name: str, arguments: Arguments, bound: Bound, plan: Plan) -> Derivative:
    if name not in result.hessian and bound.computing.kind == "c":
        raise curvature.not_offered("hessian", name, bound, plan)
    second = result.hessian.get(name)
    if second is None:
        second = curvature.diagonal(name, result, arguments, bound, plan)
    if plan.boosting is None:
        return second
    turn, weight = plan.boosting.hessian, result.weight
    if isinstance(second, Pullback):
        vjp = second.vjp
        return Pullback(lambda upstream: turn(vjp(upstream), weight))
    return lambda: turn(evaluated(second), weight)


def _product(
    result: Result,
    name: str,
    directions: Mapping[str, Array],
    arguments: Arguments,
    bound: Bound,
    plan: Plan,
) -> Derivative:
    """Return the Hessian-vector product by hand, if one direction alone is asked for and the kernel has it."""
    if is_by_hand(name, directions, result, bound):
        if name in result.product:
            return result.product[name](directions[name])
        return _along(evaluated(result.hessian[name]), directions[name])
    if bound.computing.kind == "c":
        raise curvature.not_offered("hvp", name, bound, plan)
    return curvature.product(name, directions, arguments, bound, plan)


def _along(diagonal: Array, direction: Array) -> Array:
    """Return the diagonal times a direction: what does not move contributes nothing, however steep it is there."""
    product: Array = diagonal * direction
    if np.isnan(product).any():
        product[(direction == 0) & np.isinf(diagonal)] = 0
    return product


def _direction(name: str, bound: Bound, plan: Plan, block: Block) -> Array:
    given = plan.directions[name]
    if given.rows is None:
        return np.asarray(given.array, bound.computing)
    return given.rows.read(block, bound.computing)
