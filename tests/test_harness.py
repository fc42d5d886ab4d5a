"""Every property can fail: each is shown a loss that is wrong in the way it looks for, and must say so.

A check that cannot fail holds nothing; without this file nobody would notice.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from threading import get_ident
from typing import Annotated, Any, NamedTuple

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.engine.prepare import prepare
from lossd.losses import LOSSES
from lossd.declaration.roles import Positive, Real, RowWeight
from lossd.declaration.loss import Differentiable, Example, Loss, Terms, forced, loss
from lossd.message import Call
from tests.losses import derivatives, layouts, numbers, reductions, selection
from tests.losses.cases import CASES, Case, cases_of
from tests.losses.properties import PROPERTIES


class Fault(NamedTuple):
    """A loss, a way to spoil it, and a way to spoil what the engine hears of a call."""

    loss: str
    spoil: Callable[[Loss], Loss] = lambda loss: loss
    hear: Callable[[Call], Call] = lambda call: call


def with_terms(change: Callable[[Terms], Terms]) -> Callable[[Loss], Loss]:
    """Spoil what a kernel returns."""

    def spoil(loss: Loss) -> Loss:
        return replace(loss, kernel=lambda **arguments: change(loss.kernel(**arguments)))

    return spoil


def deaf(*unheard: str, **misheard: Any) -> Fault:
    """Spoil what a call asks, as if the engine did not look at it."""

    def hear(call: Call) -> Call:
        arrays, options = (
            {name: value for name, value in given.items() if name not in unheard}
            for given in (call.arrays, {**call.options, **misheard})
        )
        return replace(call, arrays=arrays, options=options)

    return Fault("mse", hear=hear)


def scaled(
    terms: Terms, factor: Any, *, value: bool = True, gradient: bool = True, hessian: bool = True
) -> Terms:
    """Return terms with some of them multiplied."""
    return Terms(
        terms.value * (factor if value else 1),
        {name: forced(lazy) * (factor if gradient else 1) for name, lazy in terms.gradient.items()},
        None if terms.hessian is None else forced(terms.hessian) * (factor if hessian else 1),
        terms.product,
    )


def drifting(loss: Loss) -> Loss:
    """Spoil a loss so that no two evaluations agree."""
    calls = count(1)
    return with_terms(lambda terms: scaled(terms, 1 + next(calls) / 100))(loss)


def writing(loss: Loss) -> Loss:
    """Spoil a loss so that it works in its caller's memory."""

    def kernel(**arguments: Any) -> Terms:
        if arguments["input"].flags.writeable:
            arguments["input"][...] *= 2
        return loss.kernel(**arguments)

    return replace(loss, kernel=kernel)


def untrue_to_its_tuned_form(loss: Loss) -> Loss:
    """Spoil the kernel, but not the tuned form that stands beside it."""
    spoilt = with_terms(lambda terms: scaled(terms, 1 + 1e-5))(loss)
    object.__setattr__(spoilt, "tuned", loss.tuned)
    return spoilt


def _short_of_digits(terms: Terms) -> Terms:
    """Lose digits in float32 alone."""
    return terms._replace(value=terms.value.astype(np.float16)) if terms.value.dtype == np.float32 else terms


_MAIN = get_ident()
Smoothly = Annotated[Positive, Differentiable]
gradient_off = with_terms(lambda terms: scaled(terms, 1.001, value=False, hessian=False))
hessian_off = with_terms(lambda terms: scaled(terms, 1.001, value=False, gradient=False))
depends_on_block = with_terms(lambda terms: scaled(terms, 1 + len(terms.value) / 100))
depends_on_place = with_terms(lambda terms: scaled(terms, 1 + np.arange(len(terms.value)) / 100))
depends_on_thread = with_terms(lambda terms: scaled(terms, 1 + (get_ident() != _MAIN) / 100))
hides_nan = with_terms(lambda terms: terms._replace(value=np.nan_to_num(terms.value)))

FAULTS: Mapping[Callable[[Case], None], Fault] = {
    derivatives.check_gradient: Fault("mse", gradient_off),
    derivatives.check_gradient_along_axes: Fault("mse", gradient_off),
    derivatives.check_hessian: Fault("mse", hessian_off),
    derivatives.check_hvp: Fault("mse", hessian_off),
    reductions.check_identities: Fault("mse", drifting),
    reductions.check_sample_weight: deaf("sample_weight"),
    reductions.check_upstream: deaf("upstream"),
    reductions.check_axis: deaf("axis"),
    reductions.check_shards: Fault("mse", depends_on_place),
    reductions.check_empty: deaf(empty="nan"),
    reductions.check_legacy_arguments: deaf("size_average", "reduce"),
    reductions.check_samples_may_be_permuted: Fault("mse", depends_on_place),
    selection.check_mask: deaf("mask"),
    selection.check_no_weight: deaf("sample_weight"),
    selection.check_mask_denominator: deaf("mask"),
    selection.check_nan_propagates: Fault("mse", hides_nan),
    selection.check_finite_is_demanded: deaf("check_finite"),
    layouts.check_layouts: Fault("mse", drifting),
    layouts.check_inputs_are_not_written: Fault("mse", writing),
    layouts.check_block_size: Fault("mse", depends_on_block),
    layouts.check_threads: Fault("mse", depends_on_thread),
    layouts.check_calls_before: Fault("mse", drifting),
    numbers.check_floating_types: Fault("mse", with_terms(_short_of_digits)),
    numbers.check_integer_types: Fault("nll", drifting),
    numbers.check_whole_numbers_are_real_ones: Fault("mse", drifting),
    numbers.check_tuned_kernel: Fault("mse", untrue_to_its_tuned_form),
}


def case_of(name: str) -> Case:
    """Return a case whose batch has two axes: with one, an axis that is not looked at goes unnoticed."""
    return next(case for case in CASES if case.loss is LOSSES[name] and len(case.batch) == 2)


@pytest.mark.parametrize("check", PROPERTIES, ids=lambda check: check.__name__)
def test_property_fails_for_a_wrong_loss(check, monkeypatch):
    name, spoil, hear = FAULTS[check]
    case = case_of(name)
    check(case)
    monkeypatch.setattr(
        sys.modules[evaluate.__module__],
        "prepare",
        lambda loss, call, block_bytes: prepare(loss, hear(call), block_bytes),
    )
    # A refusal that does not come fails a check by pytest's own exception.
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(replace(case, loss=spoil(case.loss)))


def test_every_loss_has_cases():
    assert {case.loss.name for case in CASES} == set(LOSSES)
    names = list(map(str, CASES))
    assert len(names) == len(set(names))


@loss(
    formula=r"\ell = w\,(x - t)^4",
    source="this test",
    example=Example(input=[2.0], target=[0.0], value=[16.0]),
)
def quartic(input: Real, target: Real, weight: RowWeight | None = None, *, reach: Smoothly = 1.0) -> Terms:
    """A loss that no other test has heard of."""
    residual = (input - target) / reach
    slope = 4 * residual**3 / reach
    return Terms(
        residual**4,
        {"input": slope, "target": -slope, "reach": lambda: -4 * residual**4 / reach},
        lambda: 12 * residual**2 / reach**2,
    ).times(weight)


@pytest.mark.parametrize("check", PROPERTIES, ids=lambda check: check.__name__)
def test_a_new_loss_is_covered_by_its_declaration(check):
    cases = list(cases_of(quartic))
    assert [str(case) for case in cases] == [
        "quartic-plain-default-6", "quartic-plain-default-3x2", "quartic-plain-drawn-6",
        "quartic-weight-default-6", "quartic-weight-default-3x2", "quartic-weight-drawn-6",
    ]  # fmt: skip
    for case in cases:
        check(case)
