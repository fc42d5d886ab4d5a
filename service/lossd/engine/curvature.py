"""Second derivatives that a kernel does not give by hand: its gradient's code runs on dual numbers.

The tangent of the gradient is the exact product of the Hessian with a direction (see `numerics.dual`). The diagonal
takes one product for each number of a row, or of the argument where rows share it or affect each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import numpy as np

from lossd.declaration.result import Derivative, Pullback, Result, evaluated
from lossd.engine.arguments import Arguments
from lossd.engine.bind import Bound
from lossd.engine.dual_products import has_rows
from lossd.engine.plan import Plan
from lossd.errors import InvalidCall, invalid
from lossd.message import Array
from lossd.numerics.dual import Dual, NoDerivative
from lossd.numerics.tiles import pause

# Products that the diagonal of a Hessian may take.
_MOST_PRODUCTS = 1 << 12
# Length of a direction whose tangents stay in the type's range, though inverse lengths of small vectors leave it.
_SHORT: Mapping[str, float] = {"f": 2.0**-120, "d": 2.0**-1000, "g": 2.0**-16000}


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

    def gradient_along(length: float) -> Derivative:
        """Return the gradient as the kernel computes it on dual numbers, along the directions times ``length``."""
        moving = {
            each: Dual(np.array(arguments[each]), np.asarray(direction, bound.computing) * length)
            for each, direction in directions.items()
        }
        result: Result = bound.loss.kernel(**{**arguments, **moving}, **plan.settings)
        return result.gradient[name]

    def refused() -> AbstractContextManager[None]:
        return _refused_without_derivative(name, bound, plan)

    with refused():
        whole = gradient_along(1.0)

    def of_upstream(upstream: Array | None) -> Array:
        with refused():
            found = _tangent(whole, upstream)
            if np.isfinite(found).all():
                return found
            # What is not finite may be a sum or a product of tangents that left the type: shorter ones do not.
            short = _SHORT[bound.computing.char]
            again = _tangent(gradient_along(short), upstream)
        return np.where(np.isfinite(found), found, again / short)

    if isinstance(whole, Pullback):
        return Pullback(of_upstream)
    return lambda: of_upstream(None)


def diagonal(name: str, result: Result, arguments: Arguments, bound: Bound, plan: Plan) -> Derivative:
    """Return the diagonal of the Hessian with respect to the argument ``name``.

    Raises:
        InvalidCall: The gradient uses an operation that has no derivative, or the diagonal takes too many products.
    """
    array = arguments[name]
    assert array is not None
    shape = array.shape[1:] if has_rows(bound.arrays[name], bound) else array.shape
    if math.prod(shape) > _MOST_PRODUCTS:
        expected = (
            f"at most {_MOST_PRODUCTS} numbers of {name} in a row, as each takes a Hessian-vector product"
        )
        raise invalid("hessian", expected, math.prod(shape))

    def of_upstream(upstream: Array | None) -> Array:
        found = (
            np.zeros((*result.value.shape, *shape), bound.computing)
            if upstream is None
            else np.zeros(array.shape, np.result_type(bound.computing, upstream))
        )
        for element in np.ndindex(shape):
            pause()
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
    """Return the error for a second derivative that a loss does not offer."""
    expected = f"a loss and arguments that have one, and not {bound.loss.name} of {name}"
    at = plan.wanted.places.get(name, kind) if kind == "hvp" else kind
    return invalid(at, expected, f"a request for the {kind}")


@contextmanager
def _refused_without_derivative(name: str, bound: Bound, plan: Plan) -> Iterator[None]:
    """Refuse a call whose gradient uses an operation that has no derivative."""
    try:
        yield
    except NoDerivative:
        raise not_offered("hvp", name, bound, plan) from None


def _tangent(derivative: Derivative, upstream: Array | None) -> Array:
    """Return the tangents of a gradient that is computed on dual numbers."""
    found = _whole(derivative, upstream)
    if not isinstance(found, Dual):  # it does not depend on what moves
        return np.zeros_like(found)
    return np.where(np.isnan(found.value), found.value, found.tangent)
