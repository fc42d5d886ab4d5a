"""Second derivatives that a kernel does not give by hand: its gradient's code runs on dual numbers.

The tangent of the gradient is the exact product of the Hessian with a direction (see `numerics.dual`). The diagonal
takes one product for each number of a row, or of the argument where rows share it or affect each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lossd.declaration.result import Derivative, Pullback, Result, evaluated
from lossd.engine.arguments import Arguments
from lossd.engine.bind import Bound, BoundArray
from lossd.engine.plan import Plan
from lossd.errors import InvalidCall, invalid
from lossd.message import Array
from lossd.numerics.dual import Dual, NoDerivative

# Products that the diagonal of a Hessian may take.
_MOST_PRODUCTS = 1 << 12


def product(
    name: str, directions: Mapping[str, Array], arguments: Arguments, bound: Bound, plan: Plan
) -> Derivative:
    """Return the product of the Hessian with directions, as far as it belongs to the argument ``name``.

    Args:
        name: An argument.
        directions: Arguments to directions of their shapes: the Hessian is that of all of them together.
        arguments: A block of every argument.
        bound: The call's arrays.
        plan: The call's plan.

    Raises:
        InvalidCall: The gradient uses an operation that has no derivative.
    """
    moving = {
        each: Dual(np.array(arguments[each]), np.asarray(direction, bound.computing))
        for each, direction in directions.items()
    }
    try:
        result: Result = bound.loss.kernel(**{**arguments, **moving}, **plan.settings)
    except NoDerivative:
        raise not_offered("hvp", name, bound, plan) from None
    return _tangent(result.gradient[name], lambda: not_offered("hvp", name, bound, plan))


def diagonal(name: str, result: Result, arguments: Arguments, bound: Bound, plan: Plan) -> Derivative:
    """Return the diagonal of the Hessian with respect to the argument ``name``.

    Raises:
        InvalidCall: The gradient uses an operation that has no derivative, or the diagonal takes too many products.
    """
    given, array = bound.arrays[name], arguments[name]
    assert array is not None
    shape = array.shape[1:] if _has_rows_of_its_own(given, bound) else array.shape
    if math.prod(shape) > _MOST_PRODUCTS:
        expected = (
            f"at most {_MOST_PRODUCTS} numbers of {name} in a row, as each takes a Hessian-vector product"
        )
        raise invalid("hessian", expected, math.prod(shape))

    def of_upstream(upstream: Array | None) -> Array:
        found = np.zeros(
            array.shape if upstream is not None else (*result.value.shape, *shape), bound.computing
        )
        for element in np.ndindex(shape):
            place = (..., *element) if shape else (...,)
            direction = np.zeros(array.shape, bound.computing)
            direction[place] = 1
            found_here = product(name, {name: direction}, arguments, bound, plan)
            found[place] = _whole(found_here, upstream)[place]
        return found

    if isinstance(result.gradient[name], Pullback):
        return Pullback(of_upstream)
    return lambda: of_upstream(None)


def _whole(derivative: Derivative, upstream: Array | None) -> Array:
    if isinstance(derivative, Pullback):
        assert upstream is not None
        return derivative.vjp(upstream)
    return evaluated(derivative)


def not_offered(kind: str, name: str, bound: Bound, plan: Plan) -> InvalidCall:
    """Return the error of a second derivative that a loss does not offer."""
    expected = f"a loss and arguments that have one, and not {bound.loss.name} of {name}"
    at = plan.wanted.places.get(name, kind) if kind == "hvp" else kind
    return invalid(at, expected, f"a request for the {kind}")


def _has_rows_of_its_own(given: BoundArray, bound: Bound) -> bool:
    return given.rows is not None and not bound.loss.whole_batch


def _tangent(derivative: Derivative, refusal: Callable[[], InvalidCall]) -> Derivative:
    """Return the tangents of a gradient that is computed on dual numbers."""

    def tangent(compute: Callable[[], Any]) -> Array:
        try:
            found = compute()
        except NoDerivative:
            raise refusal() from None
        if not isinstance(found, Dual):  # it does not depend on what moves
            return np.zeros_like(found)
        known = np.isnan(found.value)
        # Tangents do not raise on the way; what leaves the range of this type may not leave that of a wider one.
        if np.geterr()["over"] == "raise" and not (np.isfinite(found.tangent) | known).all():
            raise FloatingPointError
        return np.where(known, found.value, found.tangent)

    if isinstance(derivative, Pullback):
        vjp = derivative.vjp
        return Pullback(lambda upstream: tangent(lambda: vjp(upstream)))
    return lambda: tangent(lambda: evaluated(derivative))
