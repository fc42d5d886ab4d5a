"""What a kernel returns: values, and derivatives that are computed only when asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar

from lossd.message import Array
from lossd.numerics.stable import times

T = TypeVar("T")
Thunk = Array | Callable[[], Array]


@dataclass(frozen=True, slots=True)
class Pullback:
    """A derivative as a vector-Jacobian product, for values that share what they depend on.

    Attributes:
        vjp: From the gradient with respect to each value, in the values' shape, to that with respect to the argument,
            in the shape in which the kernel sees the argument. It is linear, so that the engine may pass the former
            divided by a power of 2, in long double where weights and denominator leave float64 together.
    """

    vjp: Callable[[Array], Array]


Derivative = Thunk | Pullback


@dataclass(frozen=True, slots=True)
class Result:
    """What a kernel finds for a block of rows.

    Attributes:
        value: The unreduced loss, ``(rows, *core of the value's pattern)``; without rows for a loss over a whole batch.
        gradient: Argument or differentiable setting to its derivative: the partial derivative of each value,
            ``(*value.shape, *core of the argument)``, computed now or when called; or a `Pullback`. What rows share is
            summed over the rows by the engine.
        hessian: Argument to the second derivative of each value with respect to each element, likewise; a `Pullback`
            gives the diagonal of the Hessian of the values' sum weighted by ``upstream``.
        product: Argument to the function that multiplies the Hessian of each row's value with a direction; where it
            returns a `Pullback`, that of the values' sum weighted by ``upstream``.
        boosting: Argument to the gradient that boosting libraries use where theirs is another subgradient.
        weight: What `times` has multiplied all of it with.
    """

    value: Array
    gradient: Mapping[str, Derivative]
    hessian: Mapping[str, Derivative] = field(default_factory=dict)
    product: Mapping[str, Callable[[Array], Derivative]] = field(default_factory=dict)
    boosting: Mapping[str, Derivative] = field(default_factory=dict)
    weight: Array | float = 1.0

    def times(self, weight: Array | None, name: str = "weight") -> Result:
        """Multiply the loss of each row by an argument, ``(rows,)``; None means one.

        A row of weight 0 adds nothing, whatever its loss.
        """
        if weight is None:
            return self
        return Result(
            times(weight, self.value),
            {**_scaled(self.gradient, weight), name: self.value},
            _scaled(self.hessian, weight),
            {each: _scaled_product(product, weight) for each, product in self.product.items()},
            _scaled(self.boosting, weight),
            weight,
        )


Kernel = Callable[..., Result]


def once(compute: Callable[[], T]) -> Callable[[], T]:
    """Return a function that computes when it is first called, for what derivatives share.

    `functools.cache` does the same, and takes 4 us of a small call to make.
    """
    found: list[T] = []

    def value() -> T:
        if not found:
            found.append(compute())
        return found[0]

    return value


def evaluated(derivative: Derivative) -> Array:
    """Return a partial derivative, computed now if it was not yet."""
    assert not isinstance(derivative, Pullback)
    return derivative() if callable(derivative) else derivative


def weighted(weight: Array, partial: Array) -> Array:
    """Multiply partial derivatives ``(*weight.shape, ...)`` by one weight per value: 0 times anything is 0."""
    return times(weight.reshape(weight.shape + (1,) * (partial.ndim - weight.ndim)), partial)


def _scaled(derivatives: Mapping[str, Derivative], weight: Array) -> dict[str, Derivative]:
    return {name: _scaled_one(derivative, weight) for name, derivative in derivatives.items()}


def _scaled_one(derivative: Derivative, weight: Array) -> Derivative:
    """Return a derivative times the weight of its value, still computed as late as it was."""
    if isinstance(derivative, Pullback):
        vjp = derivative.vjp
        return Pullback(lambda upstream: vjp(times(weight, upstream)))
    if callable(derivative):
        return lambda: weighted(weight, derivative())
    return weighted(weight, derivative)


def _scaled_product(product: Callable[[Array], Derivative], weight: Array) -> Callable[[Array], Derivative]:
    return lambda direction: _scaled_one(product(direction), weight)


@dataclass(frozen=True, slots=True)
class Normalizer:
    """What the mean divides by, where that is not the number of values.

    Attributes:
        value: What each value adds to the denominator, ``(rows,)``; None for 1.
        gradient: Argument to the pullback of ``value``: from a number per value to the argument's shape.
        scale: Factor on each value in the mean alone, ``(rows,)``; None for 1.
    """

    value: Array | None = None
    gradient: Mapping[str, Callable[[Array], Array]] = field(default_factory=dict)
    scale: Array | None = None


def one_per_row(weight: Array | None) -> Normalizer | None:
    """Return the normalizer of a weighted mean: each row adds its ``weight``; None where there is no weight."""
    return None if weight is None else Normalizer(weight, {"weight": lambda upstream: upstream})


def taking_weight(kernel: Kernel) -> Kernel:
    """Return a kernel that takes a weight of each row too."""

    @wraps(kernel)
    def with_weight(*args: Any, weight: Array | None = None, **others: Any) -> Result:
        return kernel(*args, **others).times(weight)

    return with_weight
