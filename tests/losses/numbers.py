"""The properties of number types: what an answer is stored in, how exact it is, what else may hold a number.

A storage type's ulp is the bound for a result that is computed in more digits; 16-bit types compute in
float32. That is compared with float64 of the same numbers: the bound is 256 float32 ulp of the largest
result, for sums of dozens of terms and powers of rounded ones.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np

from lossd.declaration.loss import Loss
from lossd.declaration.role import Role
from lossd.engine import evaluate
from lossd.fused import FUSED
from lossd.message import Answer, Array
from tests.fused.unfused import unfused
from tests.losses.cases import REDUCTIONS, Case, ask, assert_close, with_arrays, with_names

FLOATS = {
    "float64": 0.0,
    "float32": 256 * 2.0**-24,
    "bfloat16": 2.0**-8,
    "float16": 2.0**-11 + 256 * 2.0**-24,
}
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def check_floating_types(case: Case) -> None:
    """An answer has the type of the arrays, and is the answer in float64 to that type's precision."""
    for name, bound in FLOATS.items():
        dtype = np.dtype(getattr(ml_dtypes, name, None) or name)
        stored = {
            key: array.astype(dtype) for key, array in case.call.arrays.items() if array.dtype.kind == "f"
        }
        asked = {"reduction": REDUCTIONS, "gradient": case.differentiable}
        actual = ask(case, with_arrays(case.call, stored), **asked)
        widened = {key: array.astype(np.float64) for key, array in stored.items()}
        expected = ask(case, with_arrays(case.call, widened), **asked)
        asked["dtype"] = name
        _assert_near(actual, expected, dtype, bound)
        _assert_near(ask(case, with_arrays(case.call, widened), **asked), expected, dtype, bound)
        single = ask(case, with_arrays(case.call, stored), gradient=True)
        assert_close(single.loss["mean"], actual.loss["mean"], relative=2 * bound + 1e-12, absolute=1e-30)
        assert single.loss["mean"].dtype == single.gradient["mean"][case.first].dtype == dtype


def check_integer_types(case: Case) -> None:
    """Whole numbers may come in any width, signed or not, and as an empty list they have none."""
    whole = [name for name, role in case.form.roles.items() if role.domain.kind == "whole"]
    expected = ask(case, reduction=REDUCTIONS, gradient=case.differentiable)
    for dtype in INTEGERS:
        if dtype.startswith("u") and any((case.call.arrays[name] < 0).any() for name in whole):
            continue  # padding
        arrays = {name: case.call.arrays[name].astype(dtype) for name in whole}
        actual = ask(case, with_arrays(case.call, arrays), reduction=REDUCTIONS, gradient=case.differentiable)
        for reduction in REDUCTIONS:
            assert actual.loss[reduction].tobytes() == expected.loss[reduction].tobytes(), dtype
            for name, gradient in actual.gradient[reduction].items():
                assert gradient.tobytes() == expected.gradient[reduction][name].tobytes(), dtype
        single = ask(case, with_arrays(case.call, arrays), gradient=True)
        assert_close(single.loss["mean"], expected.loss["mean"], relative=1e-14, absolute=0)


def check_whole_numbers_are_real_ones(case: Case) -> None:
    """Integers where real numbers are meant are those numbers, in float64."""
    rounded = {}
    for name, role in case.form.roles.items():
        nearest = np.rint(case.call.arrays[name])
        if role.domain.kind == "real" and role.domain.forbidden(nearest, {}) is None:
            rounded[name] = nearest
    whole = {name: array.astype(np.int64) for name, array in rounded.items()}
    asked = {"reduction": REDUCTIONS, "empty": "nan"}
    expected = ask(case, with_arrays(case.call, rounded), **asked)
    actual = ask(case, with_arrays(case.call, whole), **asked)
    for name, value in expected.loss.items():
        assert actual.loss[name].dtype == np.float64
        np.testing.assert_array_equal(actual.loss[name], value)


def check_fused_kernel(case: Case) -> None:
    """The fused kernel computes what the kernel does, with and without a gradient, at edges too.

    Both round each element a few times, and sum in different orders: 64 ulp of the result, or of 1.
    """
    if case.loss.kernel not in FUSED:
        return
    reference = unfused(case.loss)
    for dtype, ulp in (("float64", 2.0**-53), ("float32", 2.0**-24)):
        for rows in (1, 5, 64, 700):
            for edges in (0, 1, rows // 2 + 1):
                _compare_kernels(case, reference, dtype, 64 * ulp, rows, edges)


def _compare_kernels(case: Case, reference: Loss, dtype: str, bound: float, rows: int, edges: int) -> None:
    rng = np.random.default_rng(rows + edges)
    batch = (rows, *case.batch[1:])
    call = case.draw(rng, batch, sizes={"C": 1 + rows % 40, "D": 3, "P": 4, "Q": 3}, dtype=dtype)
    arrays = {
        name: _with_edges(case.form.roles[name], array, rng, edges) for name, array in call.arrays.items()
    }
    for asked in ({}, {"gradient": True}, {"gradient": True, "reduction": "sum"}):
        moved = with_names(with_arrays(call, arrays), **asked)
        actual, expected = (evaluate(loss, moved) for loss in (case.loss, reference))
        for reduction, value in expected.loss.items():
            assert actual.loss[reduction].dtype == value.dtype
            assert_close(
                actual.loss[reduction],
                value,
                relative=bound,
                absolute=bound,
                of=f"{dtype}, {rows} rows, {edges} edges",
            )
            for name, gradient in expected.gradient.get(reduction, {}).items():
                found = actual.gradient[reduction][name]
                assert found.dtype == gradient.dtype
                assert_close(
                    found, gradient, relative=bound, absolute=bound, of=f"{dtype}, {rows} rows, {edges} edges"
                )


EDGES = (0.0, -0.0, 1.0, -1.0, 0.5, np.nan, np.inf, -np.inf, 100.0, -100.0, 1e-30, -1e-30, 1e19, -1e19)


def _with_edges(role: Role, array: Array, rng: np.random.Generator, count: int) -> Array:
    """Put edge values of a role's domain at random places of an array."""
    if role.domain.kind != "real":
        return array
    values = np.array(EDGES, array.dtype)
    forbidden = role.domain.forbidden(values, {})
    allowed = values if forbidden is None else values[~forbidden]
    corrupted = array.copy()
    corrupted.reshape(-1)[rng.integers(0, array.size, count)] = rng.choice(allowed, count)
    return corrupted


def _assert_near(actual: Answer, expected: Answer, dtype: np.dtype, bound: float) -> None:
    """Assert that an answer is of ``dtype`` and within its precision of one in float64."""
    for reduction, value in expected.loss.items():
        _assert_array_near(actual.loss[reduction], value, dtype, bound, reduction)
        for name, gradient in expected.gradient[reduction].items():
            _assert_array_near(
                actual.gradient[reduction][name], gradient, dtype, bound, f"{reduction} {name}"
            )


def _assert_array_near(actual: Array, expected: Array, dtype: np.dtype, bound: float, of: str) -> None:
    assert actual.dtype == dtype, of
    size = max(1.0, float(np.abs(expected).max(initial=0)))
    difference = np.abs(np.asarray(actual, np.float64) - expected)
    assert (difference <= bound * np.abs(expected) + 256 * 2.0**-24 * size * bool(bound)).all(), (
        f"{of}: {difference}"
    )


PROPERTIES = (
    check_floating_types,
    check_integer_types,
    check_whole_numbers_are_real_ones,
    check_fused_kernel,
)
