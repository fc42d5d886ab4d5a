"""The properties of derivatives: each is what differences of the function it derives from say.

Steps and tolerances: values are of the order of 1 and computed to about 1e-15, so a central difference
over 1e-6 is good to about 1e-9, and its truncation error, of the order of 1e-12, is below that. A
tolerance of 1e-6 leaves room for curvature and for losses of the order of 100; a wrong factor or
sign misses it by far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from lossd.errors import InvalidCall
from lossd.message import Array, Call
from tests.losses.cases import REDUCTIONS, Case, ask, assert_close, with_names

STEP = 1e-6
TOLERANCE = {"relative": 1e-6, "absolute": 1e-6}


def check_gradient(case: Case) -> None:
    """Every gradient, in every reduction, weighed and with an upstream, is what differences say."""
    rng = case.rng()
    call = with_names(
        case.call,
        upstream=rng.standard_normal(case.batch),
        sample_weight=rng.uniform(0.5, 1.5, case.batch),
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
    if "axis" in case.loss.settings:
        return
    modes = ["sum", "mean", "weighted_mean"]
    for axis in range(len(case.batch)):
        weight = case.rng().uniform(0.5, 1.5, case.batch)
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
    """The diagonal of the Hessian is the change of each element's gradient with that element."""
    call = with_names(case.call, reduction=REDUCTIONS, upstream=case.rng().standard_normal(case.batch))
    answer = ask(case, call, hessian=True)
    for index in _places(case.call.arrays[case.first].shape):
        expected = slope(partial(_gradients, case, index), call, case.first, index, case)
        for reduction, change in zip(REDUCTIONS, expected, strict=True):
            actual = answer.hessian[reduction][case.first][index]
            assert_close(actual, change, **TOLERANCE, of=f"{reduction} {index}")


def check_hvp(case: Case) -> None:
    """The Hessian times a direction is the change of the gradient along that direction."""
    array = case.call.arrays[case.first]
    direction = case.rng().standard_normal(array.shape)
    call = with_names(case.call, reduction=REDUCTIONS)
    try:
        answer = ask(case, call, hvp=direction)
    except InvalidCall as refusal:
        assert_refused(refusal, case)
        return
    ahead, behind = (
        ask(case, call, gradient=[case.first], **{case.first: array + sign * STEP * direction})
        for sign in (1, -1)
    )
    for reduction in REDUCTIONS:
        change = ahead.gradient[reduction][case.first] - behind.gradient[reduction][case.first]
        assert_close(answer.hvp[reduction][case.first], change / (2 * STEP), **TOLERANCE, of=reduction)


def assert_refused(refusal: InvalidCall, case: Case) -> None:
    """A loss may offer no Hessian-vector product, but no loss of one number against another may lack it."""
    assert [fault.at for fault in refusal.faults] == ["hvp"]
    assert case.form.roles[case.first].core, f"{case.loss.name} is pointwise and offers no hvp"


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
    return with_names(call, **{name: array})


def _totals(case: Case, call: Call) -> list[float]:
    loss = ask(case, call).loss
    return [np.vdot(loss["none"], call.arrays["upstream"]), *(loss[name] for name in REDUCTIONS[1:])]


def _gradients(case: Case, index: tuple[int, ...], call: Call) -> list[float]:
    found = ask(case, call, gradient=[case.first]).gradient
    return [found[reduction][case.first][index] for reduction in REDUCTIONS]


PROPERTIES = (check_gradient, check_gradient_along_axes, check_hessian, check_hvp)
