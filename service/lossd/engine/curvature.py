"""Second derivatives that a kernel does not give by hand: its gradient's code runs on dual numbers.

The tangent of the gradient is the exact product of the Hessian with a direction (see `numerics.dual`). The diagonal
takes one product for each number of a row, or of the argument where rows share it or affect each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from lossd.declaration.pattern import Sizes
from lossd.declaration.result import Derivative, Pullback, Result, evaluated
from lossd.declaration.second import ByHand, by_hand
from lossd.engine.arguments import Arguments
from lossd.engine.bind import Bound, BoundArray
from lossd.engine.plan import Plan
from lossd.engine.wanted import Wanted
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
        """Return the gradient as the kernel computes it on dual numbers, along directions of such a length."""
        moving = {
            each: Dual(np.array(arguments[each]), np.asarray(direction, bound.computing) * length)
            for each, direction in directions.items()
        }
        try:
            result: Result = bound.loss.kernel(**{**arguments, **moving}, **plan.settings)
        except NoDerivative:
            raise refusal() from None
        return result.gradient[name]

    def refusal() -> InvalidCall:
        return not_offered("hvp", name, bound, plan)

    whole = gradient_along(1.0)

    def of_upstream(upstream: Array | None) -> Array:
        found = _tangent(whole, upstream, refusal)
        if np.isfinite(found).all():
            return found
        # What is not finite may be a sum or a product of tangents that left the type: shorter ones do not.
        short = _SHORT[bound.computing.char]
        again = _tangent(gradient_along(short), upstream, refusal)
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
    shape = array.shape[1:] if _has_rows_of_its_own(bound.arrays[name], bound) else array.shape
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


def is_by_hand(name: str, directions: Collection[str], given: ByHand | Result, bound: Bound) -> bool:
    """Return whether a kernel gives what belongs to an argument of the product of the Hessian with directions."""
    if len(directions) > 1:
        return False
    # Only where every number has a value of its own is the diagonal the whole Hessian.
    pointwise = not bound.arrays[name].core and not bound.value_core and not bound.loss.whole_batch
    return name in given.product or (name in given.hessian and pointwise)


def products_by_dual_numbers(bound: Bound, wanted: Wanted, settings: Mapping[str, Any], sizes: Sizes) -> int:
    """Return how many products a block of a call takes: one for a direction, of a diagonal one for each number of it.

    Args:
        bound: The call's arrays.
        wanted: The derivatives that are asked for.
        settings: The loss's settings.
        sizes: The lengths of the core axes.
    """
    if not wanted.hessian and not wanted.hvp:
        return 0
    hand, directions = by_hand(bound.loss, settings), wanted.hvp
    products = sum(not is_by_hand(name, directions, hand, bound) for name in directions)
    for name in set(wanted.hessian) - hand.hessian:
        given = bound.arrays[name]
        has_rows = _has_rows_of_its_own(given, bound)
        products += math.prod(given.role.pattern.core_shape(sizes)) if has_rows else given.array.size
    return products


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


def _tangent(derivative: Derivative, upstream: Array | None, refusal: Callable[[], InvalidCall]) -> Array:
    """Return the tangents of a gradient that is computed on dual numbers."""
    try:
        found = _whole(derivative, upstream)
    except NoDerivative:
        raise refusal() from None
    if not isinstance(found, Dual):  # it does not depend on what moves
        return np.zeros_like(found)
    return np.where(np.isnan(found.value), found.value, found.tangent)
