"""NumPy's functions on dual numbers against central differences of the same code in extended precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lossd.numerics import dual_functions
from lossd.numerics.dual import Dual, NoDerivative
from lossd.numerics.dual_rules import ASSOCIATIVE, EXTREMES
from tests.numerics.differences import derivative

X = np.array([[0.7, -1.3, 2.1, 0.4], [1.6, 0.9, -0.2, -2.5], [0.3, 1.1, 1.9, -0.6]])
ORDER = np.argsort(X, axis=1)
MASK = X > 0.5


def written(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function that writes into a copy of its argument and returns the copy."""

    def copied(x: Any) -> Any:
        target = np.copy(x)
        function(target)
        return target

    return copied


# Every function of the tables in `dual_functions`, in one or more uses; all take a (3, 4) array.
FUNCTIONS: dict[Any, list[Callable[[Any], Any]]] = {
    np.sum: [
        np.sum,
        lambda x: np.sum(x * x, axis=(0, 1), keepdims=True),
        lambda x: np.sum(x**2, 1, initial=3.0),
    ],
    np.mean: [np.mean, lambda x: np.mean(x * x, axis=0), lambda x: np.mean(x, 1, where=MASK)],
    np.cumsum: [np.cumsum, lambda x: np.cumsum(x * x, axis=1)],
    np.trace: [lambda x: np.trace(x * x)],
    np.diff: [lambda x: np.diff(x, axis=1), lambda x: np.diff(x * x, 2, prepend=7.0, append=x)],
    np.bincount: [lambda x: np.bincount(ORDER.ravel(), (x * x).ravel().astype(np.float64), minlength=6)],
    np.where: [lambda x: np.where(x > 0, x * x, 3.0), lambda x: np.where(MASK, X, x)],
    np.select: [lambda x: np.select([x > 1, x > 0], [x * x, X], default=x)],
    np.take: [lambda x: np.take(x * x, [1, 0, 1], axis=1), lambda x: np.take(x, [0, 11], mode="wrap")],
    np.take_along_axis: [lambda x: np.take_along_axis(x * x, ORDER, axis=1)],
    np.diagonal: [lambda x: np.diagonal(x * x, 1)],
    np.tril: [lambda x: np.tril(x * x)],
    np.triu: [lambda x: np.triu(x * x, 1)],
    np.copy: [lambda x: np.copy(x * x)],
    np.concatenate: [
        lambda x: np.concatenate([x, X, x * x], axis=1),
        lambda x: np.concatenate((X, x), axis=None),
    ],
    np.stack: [lambda x: np.stack([X, x * x], axis=-1)],
    np.vstack: [lambda x: np.vstack([x * x, X])],
    np.hstack: [lambda x: np.hstack([X, x * x])],
    np.append: [lambda x: np.append(x * x, 3.0), lambda x: np.append(X, x, axis=0)],
    np.repeat: [lambda x: np.repeat(x * x, 2, axis=1)],
    np.tile: [lambda x: np.tile(x * x, (2, 1))],
    np.roll: [lambda x: np.roll(x * x, 1, axis=0)],
    np.reshape: [lambda x: np.reshape(x * x, (4, 3)), lambda x: np.reshape(x, -1, order="F")],
    np.ravel: [lambda x: np.ravel(x * x)],
    np.transpose: [lambda x: np.transpose(x * x, (1, 0))],
    np.swapaxes: [lambda x: np.swapaxes(x * x, 0, 1)],
    np.moveaxis: [lambda x: np.moveaxis(x * x, 0, 1)],
    np.squeeze: [lambda x: np.squeeze((x * x)[:, :1], axis=1)],
    np.expand_dims: [lambda x: np.expand_dims(x * x, 1)],
    np.broadcast_to: [lambda x: np.broadcast_to(x * x, (2, 3, 4))],
    np.flip: [lambda x: np.flip(x * x, 1)],
    np.real: [lambda x: np.real(x * x)],
    np.copyto: [
        written(lambda t: np.copyto(t, t * t, where=MASK)),
        written(lambda t: np.copyto(t, 2, where=MASK)),
    ],
    np.put_along_axis: [written(lambda t: np.put_along_axis(t, ORDER, t * t, axis=1))],
    np.put: [written(lambda t: np.put(t, [0, 5], t[0, :2] * t[1, 2]))],
    np.putmask: [written(lambda t: np.putmask(t, MASK, t * t))],
    np.fill_diagonal: [
        written(lambda t: np.fill_diagonal(t, 0.0)),
        written(lambda t: np.fill_diagonal(t, t[0, 1])),
    ],
    np.dot: [lambda x: np.dot(x, x.T), lambda x: np.dot(X.T, x)],
    np.vdot: [lambda x: np.vdot(x, x * x)],
    np.inner: [lambda x: np.inner(x, x * x)],
    np.outer: [lambda x: np.outer(x[0], x[1])],
    np.tensordot: [lambda x: np.tensordot(x, x * x, axes=(0, 0)), lambda x: np.tensordot(x, X, 2)],
    np.einsum: [lambda x: np.einsum("ij,kj,ij->ik", x, x * x, X), lambda x: np.einsum("ij->j", x * x)],
    np.full_like: [lambda x: np.full_like(x, 3.0) * x, lambda x: np.full_like(x, x[0, 0] ** 2)],
    np.clip: [
        lambda x: np.clip(x * x, 0.5, 2.0),
        lambda x: np.clip(x, None, 1),
        lambda x: np.clip(X, x[0], x[1] + 3),
    ],
    np.sort: [lambda x: np.sort(x * x), lambda x: np.sort(x, axis=0), lambda x: np.sort(x, axis=None)],
    np.prod: [
        np.prod,
        lambda x: np.prod(x, axis=0, keepdims=True),
        lambda x: np.prod(x, (0, 1), initial=2.0),
    ],
    np.max: [np.max, lambda x: np.max(x * x, axis=1, keepdims=True), lambda x: np.max(x, 0, initial=1.0)],
    np.amax: [lambda x: np.amax(x * x, axis=0)],
    np.min: [np.min, lambda x: np.min(x, axis=(0, 1), keepdims=True), lambda x: np.min(x * x, axis=1)],
    np.amin: [lambda x: np.amin(x * x, axis=0)],
    np.cumprod: [np.cumprod, lambda x: np.cumprod(x, axis=0)],
    np.pad: [
        lambda x: np.pad(x * x, 1, constant_values=5.0),
        lambda x: np.pad(x, ((0, 2), (1, 0)), mode="edge"),
        lambda x: np.pad(x * x, ((1, 1), (2, 1)), mode="reflect"),
        lambda x: np.pad(x, (1, 2), mode="symmetric"),
        lambda x: np.pad(x, [[1], [2]], mode="wrap"),
    ],
    np.empty_like: [
        lambda x: _filled(np.empty_like(x), x * x),
        lambda x: _filled(np.empty_like(x, shape=(6, 4)), 2.0),
    ],
    np.zeros_like: [lambda x: np.zeros_like(x) + x * x],
    np.ones_like: [lambda x: np.ones_like(x) * x],
}
# Methods of arrays and of ufuncs, operators and indices.
OTHERS: list[Callable[[Any], Any]] = [
    lambda x: x @ x.T,
    lambda x: X.T @ x,
    lambda x: np.matmul(x, x.transpose()),
    lambda x: np.vecdot(x, x * x),
    lambda x: np.matvec(x.T, x[:, 0]),
    lambda x: np.vecmat(x[:, 0], x),
    lambda x: np.ldexp(x * x, [3, -2, 0, 1]),
    lambda x: np.frexp(x * x)[0],
    lambda x: np.add.reduce(x * x, axis=None),
    lambda x: np.add.reduce(x, where=MASK, initial=4.0),
    lambda x: np.add.accumulate(x * x, axis=1),
    lambda x: np.add.reduceat(x * x, [0, 2], axis=1),
    lambda x: np.logaddexp.reduce(x, axis=1),
    lambda x: np.logaddexp.reduce(x, axis=(0, 1), initial=-np.inf),
    lambda x: np.logaddexp.accumulate(x * 100, axis=1),
    lambda x: np.logaddexp.accumulate(x, axis=-1)[:, ::-1],
    lambda x: np.maximum.reduce(x, axis=1, keepdims=True),
    lambda x: np.minimum.reduce(x, axis=-1, initial=0.0),
    lambda x: np.maximum.accumulate(x, axis=1),
    lambda x: np.multiply.reduce(x),
    lambda x: np.multiply.accumulate(x * 0 + x),
    written(lambda t: np.add.at(t, ([0, 0, 2], [1, 1, 3]), t[1, :3] * t[0, 0])),
    written(lambda t: np.subtract.at(t, (np.arange(3), ORDER[:, 0]), 2.0)),
    lambda x: x.sum(axis=1) + x.mean(axis=1) + x.prod(axis=1) + x.max(axis=1) - x.min(axis=1),
    lambda x: x.cumsum(axis=1) * x.cumprod(axis=0) + x.clip(0, 1),
    lambda x: x.reshape(2, 6).ravel().repeat(2).take([3, 4, 5]),
    lambda x: (x.T.copy().swapaxes(0, 1) ** 2).diagonal(),
    lambda x: (x * x).flatten() + x.reshape((12,)).squeeze(),
    lambda x: x.dot(x.T).trace(),
    lambda x: x.real.astype(np.float64).astype(np.longdouble) * 2,
    lambda x: x[MASK] ** 2,
    lambda x: x[np.arange(3), x.argmax(axis=1)] * x[-1, 0],
    lambda x: x[:, ::2, None] / (3 + x[None, :, 1]),
    lambda x: -x + 1 - 2 * x / 3 + (+x) * abs(x) - x**3 + 2.0**x - x**2 + (x * x) ** 0.5 + (2 + x * x) ** -1,
    lambda x: np.float64(2) * x - np.float64(3) / (x * x) + np.longdouble(2) ** x + X - x,
    lambda x: np.float64(1.5) - x[0, 0],
    lambda x: sum(row * row for row in x),
    lambda x: x - np.floor(x),
    lambda x: np.sum(x, axis=1, initial=x[0, 0] ** 2),
    lambda x: x[0] if x[0, 0] > 0 and bool(x.any()) and (x[0, 1] < 0).all() else -x[0],
    lambda x: np.multiply(x, x, out=np.empty_like(x), where=np.ones_like(MASK)),
    lambda x: np.exp(x, out=x * 3, where=MASK),
    lambda x: np.sum(x * x, axis=0, out=np.empty_like(x[0])),
    lambda x: np.add.reduce(x * x, axis=0, out=np.empty_like(x[0])),
    lambda x: np.matmul(x, x.T, out=np.empty_like(x, shape=(3, 3))),
    lambda x: np.multiply(x, x, dtype=np.float64),
    written(lambda t: t.fill(t[0, 0] * 2)),
    written(lambda t: np.square(t[0], out=t[1])),
    written(lambda t: np.greater(t, 0, out=t)),
    written(lambda t: np.multiply(X, X, out=t)),
]


def _filled(array: Any, numbers: Any) -> Any:
    array[...] = numbers
    return array


def test_every_function_of_the_tables_is_used() -> None:
    known = {
        *dual_functions.LINEAR,
        *dual_functions.ASSIGNMENTS,
        *dual_functions.PRODUCTS,
        *dual_functions.COMPOSED,
    }
    assert FUNCTIONS.keys() == known | dual_functions.LIKE


@pytest.mark.parametrize(
    "function",
    [pytest.param(use, id=f.__name__) for f, uses in FUNCTIONS.items() for use in uses]
    + [pytest.param(use, id=f"line {use.__code__.co_firstlineno}") for use in OTHERS],
)
def test_a_function_has_the_derivative_of_its_differences(function: Callable[[Any], Any]) -> None:
    direction = np.random.default_rng(3).normal(size=X.shape)
    result = function(Dual(X.copy(), direction))
    np.testing.assert_allclose(result.value, function(X.copy()), rtol=1e-15, atol=1e-15)
    true = derivative(function, X, direction)
    assert result.tangent.shape == true.shape
    np.testing.assert_allclose(result.tangent, true, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("dtype", [np.float32, np.longdouble])
@pytest.mark.parametrize(
    "function", [use for f, uses in FUNCTIONS.items() if f is not np.bincount for use in uses]
)
def test_a_tangent_has_the_dtype_of_its_value(
    function: Callable[[Any], Any], dtype: type[np.floating[Any]]
) -> None:
    x = X.astype(dtype)
    plain, dual = function(x.copy()), function(Dual(x.copy(), np.ones_like(x)))
    assert dual.value.dtype == dual.tangent.dtype == plain.dtype
    assert dual.value.strides == dual.tangent.strides == np.asarray(plain).strides


# Functions whose results are no real numbers, and what they are given beside one array, if anything.
FLAT: dict[Any, Callable[[Any], tuple[Any, ...]]] = {
    np.searchsorted: lambda x: (np.arange(4.0), x),
    np.digitize: lambda x: (x, np.arange(4.0)),
    np.argpartition: lambda x: (x, 1),
    np.lexsort: lambda x: ((x, -x),),
    **dict.fromkeys(
        [np.isclose, np.allclose, np.array_equal, np.may_share_memory, np.shares_memory], lambda x: (x, x)
    ),
}


@pytest.mark.parametrize("function", sorted(dual_functions.FLAT, key=lambda function: str(function.__name__)))
def test_a_flat_function_gives_plain_results(function: Any) -> None:
    arguments = FLAT.get(function, lambda x: (x,))
    result = function(*arguments(Dual(X[0], X[0])))
    assert not isinstance(result, Dual)
    np.testing.assert_array_equal(result, function(*arguments(X[0])))


@pytest.mark.parametrize(
    "function",
    [
        *(np.linalg.norm, np.std, np.median, np.nan_to_num, np.unique, np.fft.fft, np.round, np.ptp),
        *(lambda x: np.interp(x, [0.0, 1.0], [2.0, 3.0]), lambda x: np.partition(x, 1)),
        *(
            lambda x: np.pad(x, 1, mode="maximum"),
            lambda x: np.cumprod(x, 0, float),
            lambda x: np.max(x, 0, None),
        ),
        *(
            lambda x: np.sum(x, 0, None, None),
            lambda x: np.take([1.0, 2.0], x),
            lambda x: np.where(x, x, 1.0),
        ),
        *(
            lambda x: x.std(),
            lambda x: x.tolist(),
            lambda x: x.view(np.int64),
            lambda x: x.item(),
            lambda x: x.imag,
        ),
        *(lambda x: x.astype(complex), lambda x: x * 1j, lambda x: x.sort(), lambda x: x[x]),
        *(lambda x: np.multiply.outer(x, x), lambda x: np.logaddexp.reduceat(x, [0, 1])),
        *(lambda x: np.add.reduce(x, initial=x[0, 0]), lambda x: np.maximum.reduce(x, where=MASK, initial=0)),
        *(
            lambda x: np.exp(x, where=MASK),
            lambda x: np.exp(x, where=x),
            lambda x: np.multiply.at(x, (0, 0), 2),
        ),
    ],
)
def test_a_function_without_a_rule_says_so(function: Callable[[Any], Any]) -> None:
    with pytest.raises(NoDerivative, match=r"rule|plain|expected"):
        function(Dual(X.copy(), X.copy()))


@pytest.mark.parametrize("name", sorted(ASSOCIATIVE))
@pytest.mark.parametrize("length", [0, 1, 2, 3, 5, 8, 13])
def test_reductions_in_pairs_are_right_for_every_length(name: str, length: int) -> None:
    ufunc, random = getattr(np, name), np.random.default_rng(length)
    x, direction = random.normal(size=(2, length, 2))
    start = {"initial": 0.1} if name in EXTREMES else {}  # without one, these have no value over nothing

    def reduced(numbers: Any) -> Any:
        return ufunc.reduce(numbers, axis=0, **start)

    if length == 0:
        np.testing.assert_array_equal(reduced(Dual(x, direction)).tangent, np.zeros(2))
    else:
        true = derivative(reduced, x, direction)
        np.testing.assert_allclose(reduced(Dual(x, direction)).tangent, true, rtol=1e-10, atol=1e-11)
        got = ufunc.accumulate(Dual(x, direction), axis=0)
        np.testing.assert_array_equal(got.value, ufunc.accumulate(x, axis=0))
        np.testing.assert_allclose(
            got.tangent, derivative(ufunc.accumulate, x, direction), rtol=1e-10, atol=1e-11
        )


def test_a_product_with_zeros_has_the_products_of_the_others() -> None:
    x = Dual(np.array([2.0, 0.0, 3.0, 0.0]), np.eye(4)[1])
    assert np.prod(x).tangent == 0
    assert np.prod(x[:3]).tangent == 6
    np.testing.assert_array_equal(np.cumprod(x).tangent, [0, 2, 6, 0])


def test_accumulating_logarithms_does_not_underflow_before_a_large_one() -> None:
    x = Dual(np.array([-900.0, -901.0, 0.0, 900.0]), np.ones(4))
    np.testing.assert_allclose(np.logaddexp.accumulate(x).tangent, np.ones(4), rtol=1e-15)


UNARY: list[Callable[[Any], Any]] = [
    *(np.tanh, np.arctan, np.sin, np.cos, np.square, np.negative, np.abs),
    *(
        lambda x: np.exp(-x * x),
        lambda x: np.log1p(x * x),
        lambda x: np.sqrt(1 + x * x),
        lambda x: 1 / (2 + x * x),
    ),
    *(lambda x: x.T.reshape(x.shape), lambda x: np.cumsum(x, axis=1), lambda x: np.roll(x, 1, axis=0)),
    *(lambda x: x - x.mean(axis=0), lambda x: x * x.sum(axis=1, keepdims=True), lambda x: x[::-1, ::-1]),
    *(
        lambda x: np.logaddexp.accumulate(x, axis=0),
        lambda x: x - np.logaddexp.reduce(x, axis=1, keepdims=True),
    ),
    *(lambda x: x / (1 + np.max(np.abs(x), axis=1, keepdims=True)), lambda x: np.einsum("ij,ik->ij", x, x)),
]
BINARY: list[Callable[[Any, Any], Any]] = [
    *(np.add, np.subtract, np.multiply, np.maximum, np.minimum, np.logaddexp, np.hypot),
    *(lambda a, b: a / (1 + b * b), lambda a, b: np.where(a > b, a * b, b), lambda a, b: a @ b.T @ a / 8),
]


@st.composite
def programs(draw: st.DrawFn) -> Callable[[Any], Any]:
    """Draw a program of up to eight steps, each of which applies a function to earlier results."""
    steps: list[tuple[Callable[..., Any], list[int]]] = []
    for known in range(1, draw(st.integers(2, 9))):
        function = draw(st.sampled_from([*UNARY, *BINARY]))
        count = 2 if function in BINARY else 1
        steps.append((function, [draw(st.integers(0, known - 1)) for _ in range(count)]))

    def program(x: Any) -> Any:
        results = [x]
        for function, operands in steps:
            results.append(function(*(results[operand] for operand in operands)))
        return results[-1]

    return program


@settings(max_examples=150, deadline=None)
@given(programs(), st.integers(0, 1000))
@example(lambda x: x @ x.T @ x, 0)
def test_a_random_program_has_the_derivative_of_its_differences(
    program: Callable[[Any], Any], seed: int
) -> None:
    x, direction = np.random.default_rng(seed).normal(size=(2, 3, 4))
    with np.errstate(all="ignore"):
        got, true = program(Dual(x, direction)).tangent, derivative(program, x, direction)
        coarse = derivative(program, x, direction, step=2e-4)
    # Beside a kink, or where numbers grow large, differences disagree among themselves.
    settled = np.isfinite(true) & (np.abs(true - coarse) <= 1e-9 * (1 + np.abs(true)))
    np.testing.assert_allclose(got[settled], true[settled].astype(np.float64), rtol=1e-7, atol=1e-7)
