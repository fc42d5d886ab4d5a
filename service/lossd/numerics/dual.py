"""Dual numbers through NumPy's dispatch: arrays that carry their derivative along one direction.

Gradient code that runs unchanged on a `Dual` computes the gradient as its value, and the exact Hessian-vector
product as its tangent (Pearlmutter 1994, Fast Exact Multiplication by the Hessian). The rules are the tables of
`dual_rules` for ufuncs and of `dual_functions` for NumPy's other functions. Two facts hold everywhere:

- Nothing is dropped. An operation without a rule, and every way into a plain array, raises `NoDerivative`. But what a
  comparison makes a constant is one: ``np.where(x == top, 0, x - top)`` has the tangent 0 where the two are equal.
- A number that does not move contributes nothing, however steep the function is there: a tangent of 0 times an
  infinite derivative is 0. Any other infinite or undefined derivative shows in the tangent.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from lossd.numerics import dual_functions as functions
from lossd.numerics import dual_ufuncs as ufuncs
from lossd.numerics.dual_array import DualArray, is_dual, tangent_of, value_of
from lossd.numerics.dual_rules import STEPS, NoDerivative

__all__ = ["Dual", "NoDerivative"]

_signature = cache(inspect.signature)

Arguments = Sequence[Any]
Options = dict[str, Any]


class Dual(DualArray):
    """A real array and its derivative along one direction, for NumPy's ufuncs and functions."""

    __slots__ = ()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Apply a ufunc, or one of its methods."""
        apply = _UFUNC_METHODS.get(method)
        if apply is None:
            raise NoDerivative(f"no rule for {ufunc.__name__}.{method}")
        out = options.pop("out", ())
        _refuse_dual(options.values())
        return apply(ufunc, inputs, out, options)

    def __array_function__(self, function: Any, types: Any, arguments: Arguments, options: Options) -> Any:
        """Apply any other function."""
        for applies, apply in _FUNCTION_KINDS:
            if function in applies:
                return apply(function, arguments, options)
        raise NoDerivative(f"no rule for {function.__module__}.{function.__name__}")


def _call(ufunc: np.ufunc, inputs: Arguments, out: Arguments, options: Options) -> Any:
    values = value_of(inputs)
    if ufunc.__name__ in STEPS and not any(isinstance(target, Dual) for target in out):
        return ufunc(*values, out=tuple(out) or None, **options)
    if ufunc is np.frexp and not out and not options:
        exponent = np.frexp(values[0])[1]
        return np.ldexp(inputs[0], -exponent), exponent
    target = _dual_target(ufunc, out)
    where = options.get("where", True)
    if where is not True:
        if target is None:
            raise NoDerivative(f"expected an array for the result of {ufunc.__name__} with where")
        options["out"] = target.value.copy()
    tangents = [operand.tangent if isinstance(operand, Dual) else None for operand in inputs]
    value, tangent = ufuncs.call(ufunc, values, tangents, options)
    if where is not True and target is not None:
        tangent = np.where(where, tangent, target.tangent)
    return _stored(value, tangent, target)


def _reduce(ufunc: np.ufunc, inputs: Arguments, out: Arguments, options: Options) -> Any:
    return _stored(*ufuncs.reduce(ufunc, *_parts(inputs[0]), options), _dual_target(ufunc, out))


def _accumulate(ufunc: np.ufunc, inputs: Arguments, out: Arguments, options: Options) -> Any:
    return _stored(*ufuncs.accumulate(ufunc, *_parts(inputs[0]), options), _dual_target(ufunc, out))


def _reduce_at(ufunc: np.ufunc, inputs: Arguments, out: Arguments, options: Options) -> Any:
    if ufunc is not np.add:
        raise NoDerivative(f"no rule for {ufunc.__name__}.reduceat")
    numbers, starts = inputs
    value, tangent = (ufunc.reduceat(part, starts, **options) for part in _parts(numbers))
    return _stored(value, tangent, _dual_target(ufunc, out))


def _at(ufunc: np.ufunc, inputs: Arguments, out: Arguments, options: Options) -> None:
    numbers, index, terms = inputs if len(inputs) == 3 else (*inputs, None)
    if ufunc not in {np.add, np.subtract} or not isinstance(numbers, Dual):
        raise NoDerivative(f"no rule for {ufunc.__name__}.at with these arrays")
    ufunc.at(numbers.value, index, value_of(terms))
    ufunc.at(numbers.tangent, index, tangent_of(terms))


def _flat(function: Any, arguments: Arguments, options: Options) -> Any:
    """Apply a function of values alone; they are lent read-only, so that none is a place for results."""
    lent = [_read_only(argument) for argument in arguments]
    return function(*lent, **{name: _read_only(option) for name, option in options.items()})


def _composed(function: Any, arguments: Arguments, options: Options) -> Any:
    composed = functions.COMPOSED[function]
    try:
        _signature(composed).bind(*arguments, **options)
    except TypeError as error:
        raise NoDerivative(f"no rule for {function.__name__} with these arguments: {error}") from error
    return composed(*arguments, **options)


def _like(function: Any, arguments: Arguments, options: Options) -> Any:
    prototype, *others = arguments
    _refuse_dual([*others, *options.values()])
    made = function(prototype.value, *others, **options)
    return Dual(made, np.zeros_like(made)) if made.dtype.kind == "f" else made


def _product(function: Any, arguments: Arguments, options: Options) -> Any:
    target = _dual_target(function, (options.pop("out", None),))
    _refuse_dual(options.values())
    if len(arguments) > functions.PRODUCTS[function]:
        raise NoDerivative(f"no rule for {function.__name__} with {len(arguments)} arguments by position")
    tangents = [operand.tangent if isinstance(operand, Dual) else None for operand in arguments]
    return _stored(*ufuncs.product(function, value_of(arguments), tangents, options), target)


def _linear(function: Any, arguments: Arguments, options: Options) -> Any:
    target = _dual_target(function, (options.pop("out", None),))
    rule = functions.LINEAR[function]
    value = _applied(function, value_of, rule, arguments, options)
    with np.errstate(all="ignore"):  # the values themselves have warned
        tangent = _applied(function, tangent_of, rule, arguments, options)
    return _stored(value, tangent, target)


def _assignment(function: Any, arguments: Arguments, options: Options) -> None:
    rule = functions.ASSIGNMENTS[function]
    if not arguments or not isinstance(arguments[0], Dual):
        raise NoDerivative(f"expected a dual array for {function.__name__} to write into")
    for part in (value_of, tangent_of):
        _applied(function, part, rule, arguments, options)


def _applied(
    function: Any, part: Callable[[Any], Any], rule: functions.Linear, arguments: Arguments, options: Options
) -> Any:
    """Apply a linear function to one part of its data, values or tangents."""
    if len(arguments) > len(rule.positional):
        raise NoDerivative(f"no rule for {function.__name__} with {len(arguments)} arguments by position")
    named = list(zip(rule.positional, arguments, strict=False))
    _refuse_dual(argument for name, argument in [*named, *options.items()] if name not in rule.data)
    return function(
        *(part(argument) if name in rule.data else argument for name, argument in named),
        **{name: part(option) if name in rule.data else option for name, option in options.items()},
    )


def _parts(numbers: Any) -> tuple[Any, Any]:
    """Return values and tangents; numbers that are plain have tangents of 0."""
    return np.asarray(value_of(numbers)), np.asarray(tangent_of(numbers))


def _read_only(operand: Any) -> Any:
    if not isinstance(operand, Dual):
        return value_of(operand)
    lent = operand.value.view()
    lent.flags.writeable = False
    return lent


def _refuse_dual(operands: Iterable[Any]) -> None:
    if any(map(is_dual, operands)):
        raise NoDerivative("no rule for a dual array as this argument")


def _dual_target(function: Any, out: Arguments) -> Dual | None:
    """Return where a result goes, if it was said; it has to be dual."""
    (target,) = out or (None,)
    if target is None or isinstance(target, Dual):
        return target
    raise NoDerivative(f"expected a dual array for the result of {function.__name__}, got a plain one")


def _stored(value: Any, tangent: Any, target: Dual | None) -> Dual:
    """Return a result, or write it where it goes."""
    if target is None:
        return Dual(np.asarray(value), np.asarray(tangent))
    np.copyto(target.value, value)
    np.copyto(target.tangent, tangent)
    return target


_UFUNC_METHODS: Mapping[str, Callable[[np.ufunc, Arguments, Arguments, Options], Any]] = {
    "__call__": _call,
    "reduce": _reduce,
    "accumulate": _accumulate,
    "reduceat": _reduce_at,
    "at": _at,
}
_FUNCTION_KINDS: Sequence[tuple[Any, Callable[[Any, Arguments, Options], Any]]] = (
    (functions.LINEAR, _linear),
    (functions.PRODUCTS, _product),
    (functions.COMPOSED, _composed),
    (functions.LIKE, _like),
    (functions.FLAT, _flat),
    (functions.ASSIGNMENTS, _assignment),
)
