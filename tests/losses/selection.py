"""The properties of masks and of values that are not finite: what is left out reaches nothing."""

from __future__ import annotations

import numpy as np
import pytest

from lossd.declaration.index_domain import Index
from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.message import Array, Call
from tests.losses.cases import (
    Case,
    ask,
    assert_close,
    batch_axis,
    take,
    take_rows,
    with_arrays,
    with_names,
)

# A mask may take another way through the engine than a smaller call; sums differ by their rounding alone.
TOLERANCE = {"relative": 1e-12, "absolute": 1e-12}
MODES = ["none", "sum", "mean", "weighted_mean"]


def check_mask(case: Case) -> None:
    """A mask selects: the answer is that of the call without the rest, whatever the rest holds."""
    mask, rows, others = _selection(case)
    names = case.differentiable
    asked = {"reduction": MODES, "gradient": names}
    expected = evaluate(case.loss, with_names(take_rows(case, rows), **asked))
    actual = evaluate(case.loss, with_names(_corrupted(case, others), mask=mask, **asked))
    assert actual.count == expected.count == (mask.sum() if case.values else 1)
    for mode in MODES[1:]:
        assert_close(actual.loss[mode], expected.loss[mode], **TOLERANCE, of=mode)
    none = actual.loss["none"]
    assert_close(none[rows] if case.values else none, expected.loss["none"], **TOLERANCE, of="none")
    assert not case.values or not none[others].any()
    for mode in MODES:
        for name in names:
            found, true = actual.gradient[mode][name], expected.gradient[mode][name]
            if name in case.form.roles and batch_axis(case, name) is not None:
                assert not take(case, name, found, others).any()
                found = take(case, name, found, rows)
            assert_close(found, true, **TOLERANCE, of=f"{mode} {name}")


def check_no_weight(case: Case) -> None:
    """A sample that weighs nothing adds nothing, whatever numbers it holds."""
    if case.loss.whole_batch:
        return
    mask, rows, others = _selection(case)
    names = [name for name in case.differentiable if name in case.form.roles]
    asked = {"reduction": ["none", "sum"], "gradient": names}
    expected = evaluate(case.loss, with_names(take_rows(case, rows), **asked))
    corrupted = {
        name: _with_nan(case, name, others)
        for name, role in case.form.roles.items()
        if role.domain.kind == "real" and batch_axis(case, name) is not None
    }
    call = with_names(with_arrays(case.call, corrupted), sample_weight=mask.astype(float), **asked)
    actual = evaluate(case.loss, call)
    assert not actual.loss["none"][others].any()
    assert_close(actual.loss["sum"], expected.loss["sum"], **TOLERANCE, of="sum")
    for name in names:
        found = actual.gradient["sum"][name]
        if batch_axis(case, name) is not None:
            assert not take(case, name, found, others).any()
            found = take(case, name, found, rows)
        assert_close(found, expected.gradient["sum"][name], **TOLERANCE, of=name)


def check_mask_denominator(case: Case) -> None:
    """What a mask leaves out leaves the denominator too; a mask of ones changes nothing."""
    ones = ask(case, mask=np.ones(case.values, np.int64))
    plain = ask(case)
    assert_close(ones.loss["mean"], plain.loss["mean"], **TOLERANCE)
    mask, rows, _ = _selection(case)
    part = evaluate(case.loss, take_rows(case, rows))
    assert_close(ask(case, mask=mask).denominator, part.denominator, **TOLERANCE)


def check_nan_propagates(case: Case) -> None:
    """NaN in a sample is NaN in its loss and in the sum, and reaches no other sample's loss or gradient."""
    row = _row_with_losses(case)
    for name, role in case.form.roles.items():
        if role.domain.kind != "real" or batch_axis(case, name) is None:
            continue
        call = with_arrays(case.call, {name: _with_nan(case, name, [row])})
        answer = evaluate(case.loss, with_names(call, reduction=["none", "sum"], gradient=[case.first]))
        assert np.isnan(answer.loss["sum"]), name
        if not case.loss.whole_batch:
            gradient, rest = answer.gradient["none"][case.first], np.delete(np.arange(case.batch[0]), row)
            assert np.isnan(answer.loss["none"][row]).all(), name
            assert np.isfinite(answer.loss["none"][rest]).all()
            assert np.isfinite(take(case, case.first, gradient, rest)).all()


def check_finite_is_demanded(case: Case) -> None:
    """On request the first NaN or infinity is an error at its place."""
    ask(case, check_finite=True)
    for name, role in case.form.roles.items():
        if role.domain.kind != "real":
            continue
        array = case.call.arrays[name].copy()
        place = tuple(size - 1 for size in array.shape)
        array[place] = np.nan
        with pytest.raises(InvalidCall) as refused:
            evaluate(case.loss, with_names(case.call, check_finite=True, **{name: array}))
        assert refused.value.errors[0].at == name + "".join(f"[{i}]" for i in place)
        assert refused.value.errors[0].got == "NaN"


def _row_with_losses(case: Case) -> int:
    """Return the row of which the least loss is the largest: one without any may not use its numbers."""
    if case.loss.whole_batch:
        return 2
    losses = np.abs(ask(case, reduction="none").loss["none"])
    return int(losses.reshape(len(losses), -1).min(axis=1).argmax())


def _selection(case: Case) -> tuple[Array, Array, Array]:
    """Return a mask along the first axis, and the numbers of what it takes and of what it leaves out."""
    kept = np.arange(case.batch[0]) % 3 != 1
    whole = case.batch if case.loss.whole_batch else case.values
    mask = np.broadcast_to(kept.reshape(-1, *[1] * (len(whole) - 1)), whole)
    return mask, np.flatnonzero(kept), np.flatnonzero(~kept)


def _corrupted(case: Case, rows: Array) -> Call:
    """Return the call with NaN, or indices out of range, in some rows of every argument."""
    corrupted = {}
    for name, role in case.form.roles.items():
        if batch_axis(case, name) is None:
            continue
        if role.domain.kind == "real":
            corrupted[name] = _with_nan(case, name, rows)
        elif isinstance(role.domain, Index):
            corrupted[name] = case.call.arrays[name].copy()
            np.moveaxis(corrupted[name], batch_axis(case, name), 0)[rows] = 99
    return with_arrays(case.call, corrupted)


def _with_nan(case: Case, name: str, rows: Array | list[int]) -> Array:
    array = case.call.arrays[name].copy()
    np.moveaxis(array, batch_axis(case, name) or 0, 0)[rows] = np.nan
    return array


PROPERTIES = (
    check_mask,
    check_no_weight,
    check_mask_denominator,
    check_nan_propagates,
    check_finite_is_demanded,
)
