"""Every property can fail: each is shown losses that are wrong in the way it looks for, and must say so.

A check that cannot fail holds nothing; without this file nobody would notice. A loss may be wrong row by row, over a
whole batch, whose derivatives are pullbacks, or in its fused kernel alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from threading import get_ident
from typing import Annotated, Any, NamedTuple

import numpy as np
import pytest

from lossd.declaration.domain import OneOf
from lossd.declaration.example import Example
from lossd.declaration.families import Curve, margin_loss, residual_loss
from lossd.declaration.loss import Loss, loss
from lossd.declaration.result import Derivative, Pullback, Result, evaluated
from lossd.declaration.roles import Items, Positive, Real, RowWeight
from lossd.declaration.signature import Differentiable
from lossd.engine import evaluate
from lossd.engine.concatenated import padded
from lossd.fused import FUSED
from lossd.losses import LOSSES
from lossd.message import Array, Call
from lossd.numerics.dual import Dual
from tests.losses import derivatives, layouts, numbers, reductions, selection
from tests.losses.cases import CASES, Case, cases_of
from tests.losses.properties import PROPERTIES

Mutate = Callable[[Loss], Loss]


class Mutation(NamedTuple):
    """A loss, a way to mutate it, and a way to mutate what the engine hears of a call."""

    loss: str
    mutate: Mutate = lambda loss: loss
    hear: Callable[[Call], Call] = lambda call: call


def with_result(change: Callable[[Result], Result]) -> Mutate:
    """Mutate what a kernel returns."""

    def mutate(loss: Loss) -> Loss:
        return replace(loss, kernel=lambda **arguments: change(loss.kernel(**arguments)))

    return mutate


def with_fused(change: Callable[[Callable[..., float]], Callable[..., float]]) -> Mutate:
    """Mutate a loss's fused kernel, but not the kernel that it stands beside."""

    def mutate(loss: Loss) -> Loss:
        mutant = with_result(lambda result: result)(loss)
        FUSED[mutant.kernel] = [
            kernel._replace(function=change(kernel.function)) for kernel in FUSED[loss.kernel]
        ]
        return mutant

    return mutate


@pytest.fixture(autouse=True)
def _fused_kernels_stay_as_they_are() -> Iterator[None]:
    before = dict(FUSED)
    yield
    FUSED.clear()
    FUSED.update(before)


def deaf(*unheard: str, of: tuple[str, ...] = ("mse",), **misheard: Any) -> tuple[Mutation, ...]:
    """Mutate what a call asks, as if the engine did not look at it."""

    def hear(call: Call) -> Call:
        arrays, options = (
            {name: value for name, value in given.items() if name not in unheard}
            for given in (call.arrays, {**call.options, **misheard})
        )
        return replace(call, arrays=arrays, options=options)

    return tuple(Mutation(name, hear=hear) for name in of)


def scaled(
    result: Result, factor: Any, *, value: bool = True, gradient: bool = True, hessian: bool = True
) -> Result:
    """Return a result with some of it multiplied, by one number or one per value."""
    return replace(
        result,
        value=result.value * (factor if value else 1),
        gradient={name: _times(each, factor if gradient else 1) for name, each in result.gradient.items()},
        hessian={name: _times(each, factor if hessian else 1) for name, each in result.hessian.items()},
        product={
            name: lambda direction, of=product: of(direction) * _column(factor if hessian else 1, direction)
            for name, product in result.product.items()
        },
    )


def _times(derivative: Derivative, factor: Any) -> Derivative:
    if isinstance(derivative, Pullback):
        vjp = derivative.vjp
        return Pullback(lambda upstream: vjp(upstream * factor))

    def slope() -> Array:
        found = evaluated(derivative)
        return found * _column(factor, found)

    return slope


def _column(factor: Any, like: Array) -> Any:
    return np.reshape(factor, (-1,) + (1,) * (like.ndim - 1)) if np.ndim(factor) else factor


def drifting(loss: Loss) -> Loss:
    """Mutate a loss so that no two evaluations agree."""
    calls = count(1)
    return with_result(lambda result: scaled(result, 1 + next(calls) / 100))(loss)


def writing(loss: Loss) -> Loss:
    """Mutate a loss so that it works in its caller's memory."""

    def kernel(**arguments: Any) -> Result:
        first = arguments[loss.gradient[0]]
        if first.flags.writeable:
            first[...] *= 2
        return loss.kernel(**arguments)

    return replace(loss, kernel=kernel)


def curvature_off(loss: Loss) -> Loss:
    """Mutate the tangents alone that dual numbers carry through the gradient's code."""

    def kernel(**arguments: Any) -> Result:
        moving = any(isinstance(argument, Dual) for argument in arguments.values())
        return scaled(loss.kernel(**arguments), 1.001 if moving else 1, value=False, hessian=False)

    return replace(loss, kernel=kernel)


def short_of_digits(loss: Loss) -> Loss:
    """Mutate a loss so that it loses digits in float32 alone."""

    def kernel(**arguments: Any) -> Result:
        result = loss.kernel(**arguments)
        single = arguments[loss.gradient[0]].dtype == np.float32
        return replace(result, value=result.value.astype(np.float16)) if single else result

    return replace(loss, kernel=kernel)


def _off(fused: Callable[..., float]) -> Callable[..., float]:
    return lambda *arguments, **more: fused(*arguments, **more) * (1 + 1e-5)


def _off_in_its_gradient(fused: Callable[..., float]) -> Callable[..., float]:
    def function(*arguments: Any, out: Any, **more: Any) -> float:
        value = fused(*arguments, out=out, **more)
        for each in out if isinstance(out, list | tuple) else [out]:
            each *= 1 + 1e-5
        return value

    return function


def _drifting(fused: Callable[..., float]) -> Callable[..., float]:
    calls = count(1)
    return lambda *arguments, **more: fused(*arguments, **more) * (1 + next(calls) / 100)


def _writing(fused: Callable[..., float]) -> Callable[..., float]:
    def function(input: Array, *arguments: Any, **more: Any) -> float:
        if input.flags.writeable:
            input *= 2
        return fused(input, *arguments, **more)

    return function


def _by_block(fused: Callable[..., float]) -> Callable[..., float]:
    return lambda input, *arguments, **more: fused(input, *arguments, **more) * (1 + len(input) / 100)


def _by_thread(fused: Callable[..., float]) -> Callable[..., float]:
    return lambda *arguments, **more: fused(*arguments, **more) * (1 + (get_ident() != _MAIN) / 100)


_MAIN = get_ident()
Smoothly = Annotated[Positive, Differentiable]
gradient_off = with_result(lambda result: scaled(result, 1.001, value=False, hessian=False))
hessian_off = with_result(lambda result: scaled(result, 1.001, value=False, gradient=False))
depends_on_block = with_result(lambda result: scaled(result, 1 + len(result.value) / 100))
depends_on_place = with_result(lambda result: scaled(result, 1 + np.arange(len(result.value)) / 100))
depends_on_thread = with_result(lambda result: scaled(result, 1 + (get_ident() != _MAIN) / 100))
hides_nan = with_result(lambda result: replace(result, value=np.nan_to_num(result.value)))


def of_target(mutate: Mutate) -> Mutate:
    """Mutate what a kernel says of its second argument alone."""

    def only(loss: Loss) -> Loss:
        mutant = mutate(loss)

        def kernel(**arguments: Any) -> Result:
            true, wrong = loss.kernel(**arguments), mutant.kernel(**arguments)
            second = {**true.hessian, "target": wrong.hessian["target"]}
            return replace(
                true, gradient={**true.gradient, "target": wrong.gradient["target"]}, hessian=second
            )

        return replace(loss, kernel=kernel)

    return only


BOTH = ("mse", "nt_xent")  # row by row, and over a whole batch


def each(mutate: Mutate, *names: str) -> tuple[Mutation, ...]:
    """Mutate several losses in one way."""
    return tuple(Mutation(name, mutate) for name in names)


MUTATIONS: Mapping[Callable[[Case], None], tuple[Mutation, ...]] = {
    derivatives.check_gradient: (*each(gradient_off, *BOTH), Mutation("mse", of_target(gradient_off))),
    derivatives.check_gradient_along_axes: each(gradient_off, *BOTH),
    derivatives.check_hessian: (*each(hessian_off, *BOTH), Mutation("mse", of_target(hessian_off))),
    derivatives.check_hvp: (
        *each(hessian_off, "mse", "cross_entropy"),
        *each(curvature_off, "nt_xent"),
        Mutation("mse", of_target(hessian_off)),
    ),
    derivatives.check_hvp_of_all_arguments: each(curvature_off, *BOTH),
    reductions.check_identities: each(drifting, *BOTH),
    reductions.check_sample_weight: deaf("sample_weight", of=BOTH),
    reductions.check_upstream: deaf("upstream", of=BOTH),
    reductions.check_axis: deaf("axis"),
    reductions.check_shards: each(depends_on_place, "mse"),
    reductions.check_empty: deaf(empty="nan", of=BOTH),
    reductions.check_legacy_arguments: deaf("size_average", "reduce", of=BOTH),
    reductions.check_samples_may_be_permuted: each(depends_on_place, *BOTH),
    selection.check_mask: deaf("mask", of=BOTH),
    selection.check_no_weight: deaf("sample_weight"),
    selection.check_mask_denominator: deaf("mask", of=BOTH),
    selection.check_nan_propagates: each(hides_nan, *BOTH),
    selection.check_finite_is_demanded: deaf("check_finite", of=BOTH),
    layouts.check_layouts: (*each(drifting, *BOTH), Mutation("mse", with_fused(_drifting))),
    layouts.check_inputs_are_not_written: (*each(writing, *BOTH), Mutation("mse", with_fused(_writing))),
    layouts.check_block_size: (
        Mutation("mse", depends_on_block),
        Mutation("mse", with_fused(_by_block)),
    ),
    layouts.check_threads: (
        Mutation("mse", depends_on_thread),
        Mutation("mse", with_fused(_by_thread)),
    ),
    layouts.check_calls_before: (*each(drifting, *BOTH), Mutation("mse", with_fused(_drifting))),
    numbers.check_floating_types: (
        *each(short_of_digits, *BOTH),
        Mutation("mse", with_fused(_off)),
    ),
    numbers.check_integer_types: (
        *each(drifting, "nll", "nt_xent"),
        Mutation("nll", with_fused(_drifting)),
    ),
    numbers.check_whole_numbers_are_real_ones: each(drifting, *BOTH),
    numbers.check_fused_kernel: (
        *each(with_fused(_off), "mse", "cross_entropy", "triplet_margin"),
        *each(with_fused(_off_in_its_gradient), "mse", "triplet_margin"),
    ),
}
MUTANTS = [(check, mutation) for check in PROPERTIES for mutation in MUTATIONS[check]]


def case_of(name: str) -> Case:
    """Return a case whose batch has two axes, where it may: with one, an axis that is not looked at goes unnoticed."""
    of_loss = [case for case in CASES if case.loss is LOSSES[name]]
    return next((case for case in of_loss if len(case.batch) == 2), of_loss[0])


@pytest.mark.parametrize(
    ("check", "mutation"), MUTANTS, ids=[f"{check.__name__}-{mutation.loss}" for check, mutation in MUTANTS]
)
def test_property_fails_for_a_wrong_loss(check, mutation, monkeypatch):
    case = case_of(mutation.loss)
    check(case)
    evaluating = sys.modules[evaluate.__module__]
    monkeypatch.setattr(evaluating, "padded", lambda loss, call: padded(loss, mutation.hear(call)))
    # A refusal that does not come fails a check by pytest's own exception.
    with pytest.raises((AssertionError, pytest.fail.Exception)) as failure:
        check(replace(case, loss=mutation.mutate(case.loss)))
    assert str(failure.value), "a bare assert in a module that pytest does not rewrite says nothing"


def test_losses_of_every_kind_are_spoilt():
    mutated = {mutation.loss for _, mutation in MUTANTS}
    assert {LOSSES[name].whole_batch for name in mutated} == {False, True}
    pairs = case_of("nt_xent")
    pulled = LOSSES["nt_xent"].kernel(**pairs.call.arrays)
    assert all(isinstance(found, Pullback) for found in (*pulled.gradient.values(), *pulled.hessian.values()))
    fused = [check for check, mutation in MUTANTS if mutation.mutate(LOSSES[mutation.loss]).kernel in FUSED]
    assert {numbers.check_fused_kernel, layouts.check_threads} <= set(fused)


def test_every_loss_has_cases():
    assert {case.loss.name for case in CASES} == set(LOSSES)
    names = list(map(str, CASES))
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_over_classes_has_cases_of_classes_on_every_axis(name):
    axes = {case.class_axis for case in CASES if case.loss.name == name}
    assert axes == ({None, 0, -1} if "class_axis" in LOSSES[name].settings else {None})


@loss(
    formula=r"\ell = w\,(x - t)^4",
    source="this test",
    example=Example(input=[2.0], target=[0.0], value=[16.0]),
)
def quartic(input: Real, target: Real, weight: RowWeight | None = None, *, reach: Smoothly = 1.0) -> Result:
    """A loss that no other test has heard of.

    Settings:
        reach: What residuals are divided by.
    """
    residual = (input - target) / reach
    slope = 4 * residual**3 / reach
    return Result(
        residual**4,
        {"input": slope, "target": -slope, "reach": lambda: -4 * residual**4 / reach},
        {"input": lambda: 12 * residual**2 / reach**2},
    ).times(weight)


@residual_loss(
    formula=r"\ell = r^4", source="this test", example=Example(input=[2.0], target=[0.0], value=[16.0]),
    weight="sum",
)  # fmt: skip
def curved(r: Array, *, reach: Smoothly = 1.0) -> Curve:
    """The same of a family, which adds the target's derivatives and the weight.

    Settings:
        reach: What residuals are divided by.
    """
    part = r / reach
    by_setting = {"reach": lambda: -4 * part**4 / reach}
    return Curve(part**4, 4 * part**3 / reach, lambda: 12 * part**2 / reach**2, by_setting)


@margin_loss(
    formula=r"\ell = e^{-m}", source="this test", example=Example(input=[0.0], target=[1], value=[1.0])
)
def exponential(m: Array) -> Curve:
    """A loss of the margin, whose labels are -1 and 1."""
    power = np.exp(-m)
    return Curve(power, -power, lambda: power)


@loss(
    formula=r"\ell_i = \sum_j (x_i x_j)^2", source="this test", example=Example(items=[[1.0]], value=[1.0]),
    gradient=("items",), value="(N)",
)  # fmt: skip
def alike(items: Items) -> Result:
    """A loss over a whole batch."""
    products = items @ items.T

    def slope(upstream: Array) -> Array:
        pair = upstream[:, None] + upstream
        gradient: Array = 2 * (pair * products) @ items
        return gradient

    def curvature(upstream: Array) -> Array:
        pair = upstream[:, None] + upstream
        own = np.diag(pair)[:, None] * (np.diag(products)[:, None] + items**2)
        second: Array = 2 * (pair @ items**2) + 2 * own
        return second

    return Result((products**2).sum(axis=1), {"items": Pullback(slope)}, {"items": Pullback(curvature)})


NEW = (quartic, curved, exponential, alike)


@pytest.mark.parametrize("declared", NEW, ids=lambda loss: loss.name)
@pytest.mark.parametrize("check", PROPERTIES, ids=lambda check: check.__name__)
def test_a_new_loss_is_covered_by_its_declaration(check, declared):
    for case in cases_of(declared):
        check(case)


def test_the_cases_of_a_new_loss_are_its_forms_and_settings():
    assert [str(case) for case in cases_of(quartic)] == [
        "quartic-plain-default-6", "quartic-plain-default-3x2", "quartic-plain-drawn-6",
        "quartic-weight-default-6", "quartic-weight-default-3x2", "quartic-weight-drawn-6",
    ]  # fmt: skip
    assert [str(case) for case in cases_of(alike)] == ["alike-plain-default-6"]
    (target,) = (case.form.roles["target"] for case in [next(cases_of(exponential))])
    assert isinstance(target.domain, OneOf)
