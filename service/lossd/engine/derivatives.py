"""The derivatives of a block that a call asks for, as its kernel gives them or by dual numbers."""

from __future__ import annotations

from functools import partial

from lossd.declaration.result import Derivative, Pullback, Result, evaluated
from lossd.engine.arguments import Arguments
from lossd.engine.bind import Bound
from lossd.engine.layout import Block
from lossd.engine.plan import Plan
from lossd.engine.wanted import Kind
from lossd.errors import InvalidCall, invalid
from lossd.message import Array


def derivatives_of(
    result: Result, arguments: Arguments, bound: Bound, plan: Plan, block: Block
) -> dict[tuple[Kind, str], Derivative]:
    """Return the derivatives of a block's values that a call asks for.

    Raises:
        InvalidCall: The loss does not offer one.
    """
    found: dict[tuple[Kind, str], Derivative] = {}
    for name in plan.wanted.gradient:
        found["gradient", name] = _gradient(result, name, plan)
    for name in plan.wanted.hessian:
        found["hessian", name] = _hessian(result, name, bound, plan)
    for name in plan.wanted.directions:
        found["hvp", name] = _product(result, name, bound, plan, block)
    return found


def _gradient(result: Result, name: str, plan: Plan) -> Derivative:
    if plan.boosting is None:
        return result.gradient[name]
    return _times(result.boosting.get(name, result.gradient[name]), plan.boosting.gradient)


def _times(derivative: Derivative, factor: float) -> Derivative:
    if factor == 1:
        return derivative
    if isinstance(derivative, Pullback):
        pull = derivative.pull
        return Pullback(lambda upstream: pull(upstream) * factor)
    return lambda: evaluated(derivative) * factor


def _hessian(result: Result, name: str, bound: Bound, plan: Plan) -> Derivative:
    if name not in result.hessian:
        raise _not_offered("hessian", name, bound)
    second = result.hessian[name]
    if plan.boosting is None:
        return second
    turned = partial(_of_boosting, plan, result)
    if isinstance(second, Pullback):
        pull = second.pull
        return Pullback(lambda upstream: turned(pull(upstream)))
    return lambda: turned(evaluated(second))


def _of_boosting(plan: Plan, result: Result, second: Array) -> Array:
    assert plan.boosting is not None
    return plan.boosting.hessian(second, result.weight)


def _product(result: Result, name: str, bound: Bound, plan: Plan, block: Block) -> Derivative:
    given = plan.directions[name]
    assert given.rows is not None
    direction = given.rows.read(block, bound.computing)
    if name in result.product:
        return result.product[name](direction)
    second = result.hessian.get(name)
    # Only where every number has a value of its own is the diagonal the whole Hessian.
    if second is not None and not isinstance(second, Pullback) and not given.core and not bound.value_core:
        return evaluated(second) * direction
    raise _not_offered("hvp", name, bound)


def _not_offered(kind: str, name: str, bound: Bound) -> InvalidCall:
    expected = f"a loss and arguments that have one, and not {bound.loss.name} of {name}"
    return invalid(kind, expected, f"a request for the {kind}")
