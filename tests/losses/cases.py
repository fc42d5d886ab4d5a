"""The cases that every property is checked on: each loss, in each of its forms, with its settings at their defaults
and drawn, over a batch of two axes where its arguments allow one, and with its classes on every axis of such a batch.

All is drawn from the declarations, so a new loss has its cases the moment it is declared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lossd.declaration.loss import Loss
from lossd.declaration.result import Normalizer
from lossd.declaration.samples import SIZES, CallForm, core_places, forms, sample_call
from lossd.engine import evaluate
from lossd.losses import LOSSES
from lossd.message import Answer, Array, Call

CLASS_AXES = (0, -1)  # besides the default, 1
REDUCTIONS = ["none", "sum", "mean", "batchmean", "weighted_mean"]
ROWS = 6


@dataclass(frozen=True, eq=False)
class Case:
    """One loss and one call of it, in float64."""

    loss: Loss
    form: CallForm
    call: Call
    batch: tuple[int, ...]
    drawn: bool
    class_axis: int | None = None

    def __str__(self) -> str:
        settings = "drawn" if self.drawn else "default"
        shape = "x".join(map(str, self.batch))
        classes = "" if self.class_axis is None else f"-classes at {self.class_axis}"
        return f"{self.loss.name}-{self.form.name}-{settings}-{shape}{classes}"

    __repr__ = __str__

    @property
    def differentiable(self) -> list[str]:
        """Return what of this call has a gradient; a default may lie at the edge of its range."""
        given = [
            name
            for name, role in self.form.roles.items()
            if role.differentiable and name not in self.stop_gradient
        ]
        return given + list(self.loss.differentiable_settings if self.drawn else ())

    @property
    def real(self) -> list[str]:
        """Return the arguments of this call that hold real numbers."""
        return [
            name
            for name, role in self.form.roles.items()
            if role.domain.kind == "real" and name not in self.stop_gradient
        ]

    @property
    def stop_gradient(self) -> frozenset[str]:
        """Return the arguments that derivatives take for constants under this call's settings."""
        defaults = {name: default for name, (_, default) in self.loss.settings.items()}
        return self.loss.stop_gradient_under({**defaults, **self.call.options})

    @property
    def values(self) -> tuple[int, ...]:
        """Return the shape of the unreduced loss: a whole batch may have a single one."""
        value = self.loss.value
        if not value.batched and not value.by_item:
            return ()
        return self.batch + tuple(SIZES[letter] for letter in value.letters if letter != "N")

    @property
    def first(self) -> str:
        """Return the argument that ``gradient: true`` names first, which ``hessian: true`` is of."""
        return next(name for name in self.loss.gradient if name in self.call.arrays)

    @property
    def takes_axis(self) -> bool:
        """Whether ``axis`` says where core axes stand, and not what to reduce over."""
        return any("axis" in role.axes.values() for role in self.form.roles.values())

    def rng(self) -> np.random.Generator:
        return np.random.default_rng(7)

    def draw(self, rng: np.random.Generator, batch: tuple[int, ...], **more: Any) -> Call:
        """Draw another call of this form, settings and place of the classes; ``more`` is `sample_call`'s."""
        drawn = sample_call(self.loss, rng, form=self.form, batch=batch, draw_settings=self.drawn, **more)
        return drawn if self.class_axis is None else with_classes_at(self.form, drawn, self.class_axis)


def cases_of(loss: Loss) -> Iterator[Case]:
    """Draw the cases of one loss."""
    for form in forms(loss):
        for drawn in (False, True) if loss.settings else (False,):
            batches = [(ROWS,), (3, 2)] if _takes_any_batch(form) and not drawn else [(ROWS,)]
            for batch in batches:
                rng = np.random.default_rng(1)
                call = sample_call(loss, rng, form=form, batch=batch, draw_settings=drawn)
                case = Case(loss, form, call, batch, drawn)
                yield case
                if len(batch) > 1 and "class_axis" in loss.settings:
                    yield from (_with_class_axis(case, axis) for axis in CLASS_AXES)


def _takes_any_batch(form: CallForm) -> bool:
    return next(iter(form.roles.values())).pattern.batched


def _with_class_axis(case: Case, axis: int) -> Case:
    call = with_classes_at(case.form, case.call, axis)
    return replace(case, call=call, class_axis=axis)


def with_classes_at(form: CallForm, call: Call, axis: int) -> Call:
    """Return a call of classes on the default axis with them on another."""
    roles = form.roles
    arrays = {
        name: np.moveaxis(array, roles[name].default_axis, axis) if roles[name].axes else array
        for name, array in call.arrays.items()
    }
    return Call(arrays, {**call.options, "class_axis": axis})


CASES = [case for loss in LOSSES.values() for case in cases_of(loss)]


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
    if role.shared:
        return None
    if role.pattern.by_item:
        return 0
    core = core_places(role, rank) if role.pattern.core else ()
    if "class_axis" in role.axes.values() and case.class_axis is not None:
        core = (case.class_axis % rank,)
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


def normalizer_of(case: Case) -> Normalizer | None:
    """Return what a loss declares that its mean divides by; of arguments with a row's core it says nothing."""
    if case.loss.normalizer is None:
        return None
    given: dict[str, Any] = dict.fromkeys(case.loss.normalized_by)
    for name in given.keys() & case.form.roles.keys():
        role, array = case.form.roles[name], case.call.arrays[name]
        if role.shared or role.pattern.by_item:
            given[name] = array
        elif not role.pattern.core:
            given[name] = array.reshape(-1)
    return case.loss.normalizer(**given)


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
