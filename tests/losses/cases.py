"""The cases that every property is checked on: each loss, in each of its forms and in the shapes of its aliases, with
its settings at their defaults and drawn, and over a batch of two axes where its arguments allow one.

All is drawn from the declarations, so a new loss has its cases the moment it is declared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lossd.engine import evaluate
from lossd.losses import LOSSES
from lossd.declaration.samples import Form, core_places, forms, sample_call
from lossd.declaration.loss import Loss
from lossd.message import Answer, Array, Call

REDUCTIONS = ["none", "sum", "mean", "batchmean", "weighted_mean"]
ROWS = 6


@dataclass(frozen=True, eq=False)
class Case:
    """One loss and one call of it, in float64."""

    loss: Loss
    form: Form
    call: Call
    batch: tuple[int, ...]
    drawn: bool

    def __str__(self) -> str:
        settings = "drawn" if self.drawn else "default"
        name = self.loss.alias.name if self.loss.alias else self.loss.name
        return f"{name}-{self.form.name}-{settings}-{'x'.join(map(str, self.batch))}"

    __repr__ = __str__

    @property
    def differentiable(self) -> list[str]:
        """Return what of this call has a gradient; a default may lie at the edge of its range."""
        given = [name for name, role in self.form.roles.items() if role.differentiable]
        return given + list(self.loss.smooth if self.drawn else ())

    @property
    def first(self) -> str:
        """Return the argument that ``gradient: true`` names first, which the Hessian is of."""
        return next(name for name in self.loss.gradient if name in self.call.arrays)

    def rng(self) -> np.random.Generator:
        return np.random.default_rng(7)


def cases_of(loss: Loss) -> Iterator[Case]:
    """Draw the cases of one loss."""
    for form in forms(loss):
        for drawn in (False, True) if loss.settings else (False,):
            batches = [(ROWS,), (3, 2)] if _takes_any_batch(form) and not drawn else [(ROWS,)]
            for batch in batches:
                rng = np.random.default_rng(1)
                call = sample_call(loss, rng, form=form, batch=batch, draw_settings=drawn)
                yield Case(loss, form, call, batch, drawn)


def _takes_any_batch(form: Form) -> bool:
    return "..." in next(iter(form.roles.values())).shape


def in_other_shapes(loss: Loss) -> list[Loss]:
    """Return a loss in the shapes that aliases give its arguments, but with its own defaults."""
    return [loss.known_as(replace(alias, defaults={})) for alias in loss.aliases if alias.forms][:1]


CASES = [
    case for loss in LOSSES.values() for each in (loss, *in_other_shapes(loss)) for case in cases_of(each)
]


def with_names(call: Call, **changes: Any) -> Call:
    """Return the call with arrays and options put in place."""
    arrays = {name: value for name, value in changes.items() if isinstance(value, np.ndarray)}
    options = {name: value for name, value in changes.items() if name not in arrays}
    return Call({**call.arrays, **arrays}, {**call.options, **options})


def ask(case: Case, call: Call | None = None, **changes: Any) -> Answer:
    """Evaluate the case, or another call of its loss, with some arrays and options put in place."""
    return evaluate(case.loss, with_names(call or case.call, **changes))


def with_arrays(call: Call, arrays: Mapping[str, Array]) -> Call:
    return Call({**call.arrays, **arrays}, call.options)


def batch_axis(case: Case, name: str) -> int | None:
    """Return where the first axis of the batch stands in an array; None where all rows share it."""
    role, rank = case.form.roles[name], case.call.arrays[name].ndim
    if role.extent == "shared":
        return None
    core = core_places(role, rank) if role.core else ()
    return next(axis for axis in range(rank) if axis not in core)


def take_rows(case: Case, rows: Any) -> Call:
    """Return the call of some rows, counted along the first axis of the batch."""
    return with_arrays(
        case.call, {name: take(case, name, array, rows) for name, array in case.call.arrays.items()}
    )


def take(case: Case, name: str, array: Array, rows: Any) -> Array:
    """Return some rows of an argument, or of its gradient; what all rows share is left as it is."""
    axis = batch_axis(case, name) if name in case.form.roles else None
    return array if axis is None else np.take(array, rows, axis=axis)


def assert_close(actual: Any, expected: Any, *, relative: float, absolute: float, of: str = "") -> None:
    np.testing.assert_allclose(actual, expected, rtol=relative, atol=absolute, err_msg=of)


def assert_same_bits(actual: Answer, expected: Answer) -> None:
    """Assert that two answers hold the same arrays, bit by bit."""
    for kind in ("gradient", "hessian", "hvp"):
        one, other = getattr(actual, kind), getattr(expected, kind)
        assert one.keys() == other.keys()
        for reduction in one:
            assert one[reduction].keys() == other[reduction].keys()
            for name, array in one[reduction].items():
                _assert_equal_bits(array, other[reduction][name], f"{kind}.{reduction}.{name}")
    assert actual.loss.keys() == expected.loss.keys()
    for reduction, value in actual.loss.items():
        _assert_equal_bits(value, expected.loss[reduction], f"loss.{reduction}")


def _assert_equal_bits(one: Any, other: Any, of: str) -> None:
    one, other = np.asarray(one), np.asarray(other)
    assert one.dtype == other.dtype, of
    assert one.shape == other.shape, of
    assert one.tobytes() == other.tobytes(), f"{of}: {one} is not {other}"
