"""The properties of derivatives: each is what differences of the function it derives from say.

Steps and tolerances: values are of the order of 1 and computed to about 1e-15, so a central difference
over 1e-6 is good to about 1e-9, and its truncation error, of the order of 1e-12, is below that. A
tolerance of 1e-6 leaves room for curvature and for losses of the order of 100; a wrong factor or
sign misses it by far.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest

from lossd.declaration.domain import OneOf
from lossd.errors import InvalidCall
from lossd.message import Answer, Array, Call
from tests.losses.cases import (
    REDUCTIONS,
    Case,
    ask,
    assert_close,
    assert_same_bits,
    normalizer_of,
    with_names,
)

STEP = 1e-6
TOLERANCE = {"relative": 1e-6, "absolute": 1e-6}


def check_gradient(case: Case) -> None:
    """Every gradient, in every reduction, weighed and with an upstream, is what differences say."""
    rng = case.rng()
    call = with_names(
        case.call,
        upstream=np.asarray(rng.standard_normal(case.values)),
        sample_weight=np.asarray(rng.uniform(0.5, 1.5, case.values)),
        reduction=REDUCTIONS,
    )
    answer = ask(case, call, gradient=case.differentiable)
    for name, index in _elements(case):
        expected = slope(lambda moved: _totals(case, moved), call, name, index, case)
        for reduction, change in zip(REDUCTIONS, expected, strict=True):
            actual = answer.gradient[reduction][name][index]
            assert_close(actual, change, **TOLERANCE, of=f"{reduction} {name}{index}")


def check_gradient_along_axes(case: Case) -> None:
    """The gradient of a loss that keeps axes is that of the sum of what it keeps."""
    if case.takes_axis:
        return
    modes = ["sum", "mean", "weighted_mean"]
    for axis in range(len(case.values)):
        weight = case.rng().uniform(0.5, 1.5, case.values)
        call = with_names(case.call, axis=axis, reduction=modes, sample_weight=weight)
        answer = ask(case, call, gradient=case.differentiable)
        for name, index in _elements(case):
            expected = slope(
                lambda moved: [np.sum(ask(case, moved).loss[mode]) for mode in modes], call, name, index, case
            )
            for mode, change in zip(modes, expected, strict=True):
                actual = answer.gradient[mode][name][index]
                assert_close(actual, change, **TOLERANCE, of=f"{mode} over axis {axis}: {name}{index}")


def check_hessian(case: Case) -> None:
    """The diagonal of the Hessian, of every argument, is the change of each gradient with its element."""
    upstream = np.asarray(case.rng().standard_normal(case.values))
    call = with_names(_in_every_reduction(case, case.real, "hessian", case.real), upstream=upstream)
    answer = ask(case, call, hessian=case.real)
    for name in case.real:
        for index in _places(case.call.arrays[name].shape):
            expected = slope(partial(_gradients, case, name, index), call, name, index, case)
            for reduction, change in zip(REDUCTIONS, expected, strict=True):
                assert list(answer.hessian[reduction]) == case.real
                actual = answer.hessian[reduction][name][index]
                assert_close(actual, change, **TOLERANCE, of=f"{reduction} {name}{index}")
    first = ask(case, call, hessian=True)
    for reduction in REDUCTIONS:
        assert list(first.hessian[reduction]) == [case.first]
        found, expected = (each.hessian[reduction][case.first] for each in (first, answer))
        np.testing.assert_array_equal(found, expected)


def check_hvp(case: Case) -> None:
    """The Hessian times a direction, of every argument alone, is the change of the gradient along it."""
    for name in case.real:
        direction = np.asarray(case.rng().standard_normal(case.call.arrays[name].shape))
        answer = _check_product(case, {name: direction})
        if answer is not None and name == case.first:
            assert_same_bits(ask(case, hvp=direction, reduction=REDUCTIONS), answer)


def check_hvp_of_all_arguments(case: Case) -> None:
    """The Hessian of all arguments together times their directions is the change of their gradients along these."""
    rng = case.rng()
    _check_product(
        case, {name: np.asarray(rng.standard_normal(case.call.arrays[name].shape)) for name in case.real}
    )


def _check_product(case: Case, directions: Mapping[str, Array]) -> Answer | None:
    asked = {f"hvp.{name}": direction for name, direction in directions.items()}
    try:
        call = _in_every_reduction(case, directions, "hvp", asked)
        answer = ask(case, call, **asked)
    except InvalidCall as refusal:
        _assert_not_offered(refusal, case)
        return None
    ahead, behind = (
        ask(case, _along(case, call, directions, sign * STEP), gradient=[*directions]) for sign in (1, -1)
    )
    for reduction in REDUCTIONS:
        assert list(answer.hvp[reduction]) == [*directions]
        for name in directions:
            change = (ahead.gradient[reduction][name] - behind.gradient[reduction][name]) / (2 * STEP)
            assert_close(answer.hvp[reduction][name], change, **TOLERANCE, of=f"{reduction} {name}")
    return answer


def _in_every_reduction(case: Case, names: Collection[str], kind: str, asked: Any) -> Call:
    """Return the call with all reductions; where a mean divides by what is differentiated twice, by a fixed number.

    Without that number such a mean is refused.
    """
    normalizer = normalizer_of(case)
    if normalizer is None or not normalizer.gradient.keys() & set(names):
        return with_names(case.call, reduction=REDUCTIONS)
    derivatives = asked if kind == "hvp" else {kind: asked}
    for reduction in ("mean", "weighted_mean"):
        with pytest.raises(InvalidCall, match=f"expected another reduction than {reduction}") as refusal:
            ask(case, reduction=reduction, **derivatives)
        assert [detail.at for detail in refusal.value.errors] == [kind]
    return with_names(case.call, reduction=REDUCTIONS, denominator=2.5)


def _assert_not_offered(refusal: InvalidCall, case: Case) -> None:
    """A loss may offer no Hessian-vector product, but no loss of one number against another may lack it."""
    (detail,) = refusal.errors
    assert detail.at.partition(".")[0] == "hvp"
    assert "a loss and arguments that have one" in detail.expected
    assert case.form.roles[case.first].pattern.core, f"{case.loss.name} is pointwise and offers no hvp"


def _along(case: Case, call: Call, directions: Mapping[str, Array], step: float) -> Call:
    for name, direction in directions.items():
        call = _with(call, name, np.asarray(case.call.arrays[name] + step * direction), case)
    return call


def _elements(case: Case) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name what is moved: elements of every argument and vector that has a gradient, and settings."""
    for name in case.differentiable:
        shape = case.call.arrays[name].shape if name in case.call.arrays else ()
        yield from ((name, index) for index in _places(shape))


def _places(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return all places of an array, or a dozen of a large one."""
    places = list(np.ndindex(shape))
    return places if len(places) <= 12 else places[:: len(places) // 12 + 1] + places[-1:]


def slope(
    function: Callable[[Call], Any], call: Call, name: str, index: tuple[int, ...], case: Case
) -> Array:
    """Return the central difference of ``function`` for one element of an argument, or for a setting."""
    ahead, behind = (np.array(function(_moved(call, name, index, sign * STEP, case))) for sign in (1, -1))
    return (ahead - behind) / (2 * STEP)


def _moved(call: Call, name: str, index: tuple[int, ...], step: float, case: Case) -> Call:
    if name not in call.arrays:
        default = case.loss.settings[name][1]
        return with_names(call, **{name: call.options.get(name, default) + step})
    array = call.arrays[name].copy()
    array[index] += step
    return _with(call, name, array, case)


def _with(call: Call, name: str, array: Array, case: Case) -> Call:
    """Put an array in place that may be between the few numbers that its argument takes."""
    between = isinstance(case.form.roles[name].domain, OneOf)
    return with_names(call, **{name: array}, **({"check_target": "none"} if between else {}))


def _totals(case: Case, call: Call) -> list[float]:
    loss = ask(case, call).loss
    return [np.vdot(loss["none"], call.arrays["upstream"]), *(loss[name] for name in REDUCTIONS[1:])]


def _gradients(case: Case, name: str, index: tuple[int, ...], call: Call) -> list[float]:
    found = ask(case, call, gradient=[name]).gradient
    return [found[reduction][name][index] for reduction in REDUCTIONS]


PROPERTIES = (
    check_gradient,
    check_gradient_along_axes,
    check_hessian,
    check_hvp,
    check_hvp_of_all_arguments,
)
