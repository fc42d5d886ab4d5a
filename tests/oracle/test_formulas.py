"""Every loss against its formula in exact arithmetic: values and gradients, in both types, tails included."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.fused import FUSED
from lossd.losses import LOSSES
from lossd.message import Call
from tests.oracle.case import Case
from tests.oracle.cases import draw_cases
from tests.oracle.condition import leaves
from tests.oracle.exact import MP, numbers, scaled, summed
from tests.oracle.random_calls import check_call
from tests.oracle.records import ORACLES
from tests.oracle.truth import (
    WHOLE_BATCH,
    ask,
    assert_exact,
    known_cases,
    oracle_rows,
    shared_in,
    truth,
)

TYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
LOSS = pytest.mark.parametrize("name", LOSSES)
# That an overflow warns is a defect of its own: test_an_overflowing_sum_is_infinity_and_no_warning.


@LOSS
def test_every_loss_has_an_oracle_and_cases(name):
    case, *_ = draw_cases(name, np.float64)
    assert truth(name, case)
    assert ORACLES[name].ulps(case) > 0


def test_a_loss_without_an_oracle_is_told_what_to_write(monkeypatch):
    monkeypatch.delitem(ORACLES, "huber")
    advice = (
        r'huber has no oracle: .*formulas_of_\*.py, .* cases_of_\*.py, .* "huber": Oracle\(formula, cases, '
    )
    for check in (test_every_loss_has_an_oracle_and_cases, partial(check_call, seed=0)):
        with pytest.raises(LookupError, match=advice):
            check("huber")


@pytest.mark.declarations
def test_no_oracle_is_of_no_loss():
    assert ORACLES.keys() == LOSSES.keys()


@TYPES
@LOSS
def test_rows_and_all_their_gradients_are_exact(name, dtype):
    for case, values, gradients in known_cases(name, dtype):
        got, by = ask(name, case, reduction="none", gradient=list(gradients))
        assert by.keys() == gradients.keys()
        assert_exact(name, case, got, by, values, gradients)


@TYPES
@LOSS
def test_sums_and_their_gradients_are_exact(name, dtype):
    for case, values, gradients in known_cases(name, dtype):
        got, by = ask(name, case, reduction="sum", gradient=True)
        assert by
        assert set(by) <= set(LOSSES[name].gradient)
        assert_exact(name, case, got, by, summed(list(leaves(values))), gradients)


@TYPES
@pytest.mark.parametrize("copies", [1, 40], ids=["alone", "repeated"])
@pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if loss.kernel in FUSED])
def test_a_fused_kernel_is_exact_on_every_row(name, copies, dtype):
    """In a sum with others the loss of an easy sample could be wrong unseen; many rows may take another path."""
    for case, values, gradients in known_cases(name, dtype):
        for i, value in enumerate(values):
            if copies > 1 and 0 < MP.fsum(value) < float(np.finfo(dtype).tiny):
                continue  # so few digits are left that each copy's rounding shows in their sum
            row = _rows(name, case, slice(i, i + 1), copies)
            got, by = ask(name, row, reduction="sum", gradient=True)
            assert by
            exact = {key: [gradients[key][i]] * copies for key in by}
            assert_exact(name, case, got, by, scaled(value, MP.mpf(copies)), exact, added=copies)


def test_an_overflowing_sum_is_infinity_and_no_warning():
    big = np.full(2048, np.finfo(np.float32).max / 1000, np.float32)
    answer = evaluate(LOSSES["l1"], Call({"input": big, "target": big * 0}, {"reduction": "sum"}))
    assert answer.loss["sum"] == np.inf


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize(
    "name", ["mse", "l1", "huber", "smooth_l1", "bce_with_logits", "cross_entropy", "nll"]
)
def test_a_mean_is_finite_where_its_sum_is_not(name, gradient):
    """Sums accumulate in float64; the loss of each of these rows is half of what float32 can hold."""
    half = float(np.finfo(np.float32).max) / 2
    far = np.full((6, 1), half**0.5 if name == "mse" else -half if name == "nll" else half, np.float32)
    arrays = {"input": far[:, 0], "target": np.zeros(6, np.float32)}
    if name in ("cross_entropy", "nll"):
        arrays = {"input": np.concatenate([far, far * 0], axis=1), "target": np.full(6, int(name != "nll"))}
    answer = evaluate(LOSSES[name], Call(arrays, {"reduction": "mean", "gradient": gradient}))
    np.testing.assert_allclose(answer.loss["mean"], half, rtol=1e-6)


@TYPES
def test_a_wide_smooth_l1_does_not_overflow_before_its_value_does(dtype):
    big, beta = float(np.finfo(dtype).max) / 8, 1e3
    arrays = {"input": np.array([big], dtype), "target": np.array([0.0], dtype)}
    answer = evaluate(LOSSES["smooth_l1"], Call(arrays, {"beta": beta, "reduction": "sum", "gradient": True}))
    assert answer.loss["sum"] == big  # less beta / 2, which is far below its last place


@LOSS
def test_the_oracles_gradients_are_derivatives(name):
    """By numerical differentiation, at the first rows of each case: ordinary ones, away from kinks."""
    checked = 0
    with MP.workdps(60):
        for case in draw_cases(name, np.float64):
            few = _rows(name, case, slice(0, 4 if name in WHOLE_BATCH else ORACLES[name].differentiated))
            if case.kink or not all(map(_is_ordinary, [*few.arrays.values(), *few.settings.values()])):
                continue
            values, gradients = truth(name, few)
            if any(MP.isnan(addend) for addends in leaves(values) for addend in addends):
                continue
            for key, gradient in gradients.items():
                for place in np.ndindex(np.shape(few.arrays.get(key, 0.0))):
                    exact = MP.fsum(_at(gradient, place))
                    slope = MP.diff(_along(name, few, key, place), 0)
                    assert abs(slope - exact) < 1e-15 * (1 + abs(slope)), (case.name, key, place)
                    checked += 1
    assert checked, (
        f"expected a case of {name} away from kinks, of numbers from 1e-10 to 1e3; its Oracle draws none"
    )


def _is_ordinary(numbers: Any) -> bool:
    """Return whether the steps of numerical differentiation, of an absolute size, fit the numbers."""
    if isinstance(numbers, str):
        return True
    size = np.abs(np.asarray(numbers, float))
    size = size[size != 0]
    return not size.size or bool(size.min() > 1e-10 and size.max() <= 1e3)


def _rows(name: str, case: Case, rows: slice, copies: int = 1) -> Case:
    shared = shared_in(name, case.arrays)
    return case._replace(
        arrays={
            key: a if key in shared else np.repeat(a[rows], copies, axis=0) for key, a in case.arrays.items()
        }
    )


def _at(nested, place):
    for index in place:
        nested = nested[index]
    return nested


def _along(name: str, case: Case, key: str, place: tuple[int, ...]):
    """Return the exact sum of a case's values as a function of a step of one number."""
    arrays = {name: numbers(array) for name, array in case.arrays.items()}

    def value(step):
        moved, settings = dict(arrays), dict(case.settings)
        if key in moved:
            moved[key] = _with(moved[key], place, _at(moved[key], place) + step)
        else:
            default = LOSSES[name].settings[key][1]
            settings[key] = MP.mpf(settings.get(key, default)) + step
        rows = oracle_rows(name, moved, settings)
        return MP.fsum(addend for row in rows for addends in leaves(row.value) for addend in addends)

    return value


def _with(nested, place, number):
    if not place:
        return number
    head, *rest = place
    return [_with(part, rest, number) if i == head else part for i, part in enumerate(nested)]
