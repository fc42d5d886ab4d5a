"""No way leads out of a dual array into a plain one, and what is written into a dual array reaches its tangent."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from scipy import special

from lossd.message import Array
from lossd.numerics.dual import Dual, NoDerivative


def dual(shape: tuple[int, ...] = (2, 2), start: float = 0.5) -> Dual:
    values = start + 0.1 * np.arange(math.prod(shape), dtype=np.float64).reshape(shape)
    return Dual(values, np.ones(shape))


# Ways to make numbers plain: x is a dual array, s a dual number, p a plain array.
CONVERSIONS: dict[str, Callable[[Dual, Dual, Array], Any]] = {
    "array": lambda x, s, p: np.array(x),
    "array of objects": lambda x, s, p: np.array(x, dtype=object),
    "array of a list": lambda x, s, p: np.array([x, x]),
    "array of numbers": lambda x, s, p: np.array([s, 1.0]),
    "array of a mixed list": lambda x, s, p: np.array([p[0], x[0]]),
    "asarray": lambda x, s, p: np.asarray(x),
    "asarray without a copy": lambda x, s, p: np.asarray(x, copy=False),
    "ascontiguousarray": lambda x, s, p: np.ascontiguousarray(x),
    "asfortranarray": lambda x, s, p: np.asfortranarray(x),
    "require": lambda x, s, p: np.require(x, requirements="C"),
    "fromiter": lambda x, s, p: np.fromiter(x[0], float),
    "frombuffer": lambda x, s, p: np.frombuffer(x),
    "full": lambda x, s, p: np.full(2, s),
    "full of a dtype": lambda x, s, p: np.full(2, s, np.float64),
    "full_like": lambda x, s, p: np.full_like(p, s),
    "full_like of an array": lambda x, s, p: np.full_like(p, x),
    "arange": lambda x, s, p: np.arange(s),
    "linspace": lambda x, s, p: np.linspace(s, 1),
    "vectorize": lambda x, s, p: np.vectorize(math.exp)(x),
    "frompyfunc": lambda x, s, p: np.frompyfunc(float, 1, 1)(x),
    "nditer": lambda x, s, p: np.nditer(x),
    "float": lambda x, s, p: float(s),
    "int": lambda x, s, p: int(s),
    "complex": lambda x, s, p: complex(s),
    "round": lambda x, s, p: round(s),
    "math.exp": lambda x, s, p: math.exp(s),
    "math.floor": lambda x, s, p: math.floor(s),
    "np.float64": lambda x, s, p: np.float64(s),
    "np.float64 of an array": lambda x, s, p: np.float64(x),
    "format": lambda x, s, p: f"{s:.3f}",
    "memoryview": lambda x, s, p: memoryview(x),
    "bytes": lambda x, s, p: bytes(x),
    "item": lambda x, s, p: s.item(),
    "tolist": lambda x, s, p: x.tolist(),
    "tobytes": lambda x, s, p: x.tobytes(),
    "view": lambda x, s, p: x.view(np.int64),
    "flat": lambda x, s, p: x.flat,
    "data": lambda x, s, p: x.data,
    "imag": lambda x, s, p: x.imag,
    "from_dlpack": lambda x, s, p: np.from_dlpack(x),
    "assignment": lambda x, s, p: p.__setitem__(..., x),
    "assignment of a number": lambda x, s, p: p.__setitem__((0, 0), s),
    "assignment of a list": lambda x, s, p: p.__setitem__(0, [s, 1.0]),
    "assignment at a mask": lambda x, s, p: p.__setitem__(p > 0, s),
    "assignment at places": lambda x, s, p: p.__setitem__(([0, 1], [1, 0]), x[0]),
    "assignment to flat": lambda x, s, p: p.flat.__setitem__(0, s),
    "assignment to flat all": lambda x, s, p: setattr(p, "flat", x),
    "assignment to real": lambda x, s, p: setattr(p, "real", x),
    "assignment to objects": lambda x, s, p: np.zeros(2, object).__setitem__(slice(None), x[0]),
    "assignment to a field": lambda x, s, p: np.zeros(2, [("a", float)]).__setitem__("a", x[0]),
    "fill": lambda x, s, p: p.fill(s),
    "method put": lambda x, s, p: p.put([0], s),
    "method itemset": lambda x, s, p: p.setfield(s, np.float64),
    "method dot": lambda x, s, p: p.dot(x),
    "copyto": lambda x, s, p: np.copyto(p, x),
    "copyto where": lambda x, s, p: np.copyto(p, s, where=p > 0),
    "put": lambda x, s, p: np.put(p, [0], s),
    "place": lambda x, s, p: np.place(p, p > 0, x),
    "putmask": lambda x, s, p: np.putmask(p, p > 0, x),
    "put_along_axis": lambda x, s, p: np.put_along_axis(p, np.zeros((2, 1), int), x[:, :1], 1),
    "fill_diagonal": lambda x, s, p: np.fill_diagonal(p, s),
    "out of a ufunc": lambda x, s, p: np.exp(x, out=p),
    "out of a ufunc by position": lambda x, s, p: np.add(x, 1, p),
    "out of a ufunc where": lambda x, s, p: np.add(x, 1, out=p, where=p > 0),
    "out of frexp": lambda x, s, p: np.frexp(x, out=(p, None)),
    "out of reduce": lambda x, s, p: np.add.reduce(x, axis=0, out=p[0]),
    "out of maximum.reduce": lambda x, s, p: np.maximum.reduce(x, 0, None, p[0]),
    "out of accumulate": lambda x, s, p: np.add.accumulate(x, out=p),
    "out of reduceat": lambda x, s, p: np.add.reduceat(x, [0, 1], out=p),
    "out of matmul": lambda x, s, p: np.matmul(x, x, out=p),
    "out of sum": lambda x, s, p: np.sum(x, axis=0, out=p[0]),
    "out of sum by position": lambda x, s, p: np.sum(x, 0, None, p[0]),
    "out of mean": lambda x, s, p: np.mean(x, axis=0, out=p[0]),
    "out of max": lambda x, s, p: np.max(x, axis=0, out=p[0]),
    "out of prod": lambda x, s, p: np.prod(x, axis=0, out=p[0]),
    "out of cumsum": lambda x, s, p: np.cumsum(x, axis=0, out=p),
    "out of clip": lambda x, s, p: np.clip(x, 0, 1, out=p),
    "out of clip by position": lambda x, s, p: np.clip(x, 0, 1, p),
    "out of a plain clip": lambda x, s, p: p.clip(s, 1, out=p),
    "out of take": lambda x, s, p: np.take(x, [0, 1], axis=0, out=p),
    "out of take by position": lambda x, s, p: np.take(x, [0, 1], 0, p),
    "out of concatenate": lambda x, s, p: np.concatenate([x[:1], x[1:]], out=p),
    "out of stack": lambda x, s, p: np.stack([x[0], x[1]], out=p),
    "out of dot": lambda x, s, p: np.dot(x, x, out=p),
    "out of dot by position": lambda x, s, p: np.dot(x, x, p),
    "out of einsum": lambda x, s, p: np.einsum("ij->ij", x, out=p),
    "out of a method": lambda x, s, p: x.sum(axis=0, out=p[0]),
    "in-place addition": lambda x, s, p: p.__iadd__(x),
    "in-place product": lambda x, s, p: p.__imul__(s),
    "in-place matmul": lambda x, s, p: p.__imatmul__(x),
    "in-place power": lambda x, s, p: p.__ipow__(x),
    "add.at": lambda x, s, p: np.add.at(p, ([0], [0]), s),
    "multiply.at": lambda x, s, p: np.multiply.at(x, ([0], [0]), 2.0),
    "maximum.reduceat": lambda x, s, p: np.maximum.reduceat(x, [0, 1]),
    "random": lambda x, s, p: np.random.default_rng(0).normal(x),
    "norm": lambda x, s, p: np.linalg.norm(x),
    "logsumexp": lambda x, s, p: special.logsumexp(x),
    "polygamma": lambda x, s, p: special.polygamma(1, x),
    "betainc": lambda x, s, p: special.betainc(x, 1.0, 0.5),
    "like": lambda x, s, p: np.asarray([1.0], like=x),
    "zeros like by keyword": lambda x, s, p: np.zeros(2, like=x),
    "index": lambda x, s, p: p[x],
    "range": lambda x, s, p: range(s),
    "choose": lambda x, s, p: np.choose([0, 1], [x[0], x[1]]),
    "searchsorted beside": lambda x, s, p: p[0].searchsorted(x),
    "isposinf into the array": lambda x, s, p: np.isposinf(x, x),
    "any into the array": lambda x, s, p: np.any(x, axis=0, out=x[0]),
    "argmax into the array": lambda x, s, p: np.argmax(x, axis=0, out=x[0]),
}  # fmt: skip


@pytest.mark.parametrize("way", CONVERSIONS)
def test_no_way_leads_out_of_a_dual_array(way: str) -> None:
    x, number, plain = dual(), dual((), 0.25), np.full((2, 2), 2.0)
    with pytest.raises((TypeError, ValueError, IndexError, AttributeError)):
        CONVERSIONS[way](x, number, plain)
    np.testing.assert_array_equal(plain, np.full((2, 2), 2.0))
    np.testing.assert_array_equal(x.value, dual().value)
    np.testing.assert_array_equal(x.tangent, np.ones((2, 2)))


# What a function is called with: x is dual, p plain.
CALLS: list[Callable[[Any, Array], tuple[Any, ...]]] = [
    lambda x, p: (x,),
    lambda x, p: (x, x),
    lambda x, p: (p, x),
    lambda x, p: (x, p),
    lambda x, p: ([x, x],),
    lambda x, p: (x, x, x),
    lambda x, p: (p, x, p),
    lambda x, p: (p, p, x),
    lambda x, p: (p, [0, 0], x),
    lambda x, p: (p, p, p, x),
    lambda x, p: (x, 1),
    lambda x, p: (1, x),
    lambda x, p: (0, 0, x),
    lambda x, p: ((2, 2), x),
    lambda x, p: ("i...->i...", x),
]
UNINITIALISED, EFFECTS = (
    {"empty", "empty_like", "ndarray"},
    {"save", "savez", "savetxt", "savez_compressed", "seterr"},
)
EFFECTS |= {"seterrcall", "setbufsize", "set_printoptions", "test", "info", "show_config", "show_runtime"}


def every_function() -> Iterator[tuple[str, Callable[[Array], Any]]]:
    """Find NumPy's functions, and its arrays' methods as functions of a plain array that they may write into."""
    for module in (np, np.linalg, np.fft, special):
        for name in dir(module):
            found = getattr(module, name)
            if callable(found) and not isinstance(found, type) and name not in UNINITIALISED | EFFECTS:
                yield f"{module.__name__}.{name}", lambda plain, found=found: found
    for name in set(dir(np.ndarray)) - {"__class__", "tofile", "dump", "__init_subclass__"}:
        yield f"ndarray.{name}", lambda plain, name=name: getattr(plain, name)


def plain_numbers(result: Any) -> list[Array]:
    """Return the floating-point arrays and numbers in a result."""
    if isinstance(result, list | tuple):
        return [array for part in result for array in plain_numbers(part)]
    is_plain = isinstance(result, np.ndarray | np.generic | float | complex)
    return [np.array(result)] if is_plain and np.asarray(result).dtype.kind in "fcO" else []


def leaks(make: Callable[[tuple[int, ...], float], Any], shape: tuple[int, ...]) -> list[tuple[str, int]]:
    """Find the calls of which a plain result, or a plain argument afterwards, depends on the value of a dual array.

    The two dual arrays tried compare alike with all else: truth values and places do not tell them apart.
    """
    found = []
    for name, function in every_function():
        for place, call in enumerate(CALLS):
            seen = []
            for start in (0.5, 0.5 + 2**-20):
                plain = np.full(shape, 0.25)
                try:
                    with np.errstate(all="ignore"):
                        result = function(plain)(*call(make(shape, start), plain))
                except Exception:
                    result = None
                seen.append([*plain_numbers(result), plain.copy()])
            same = len(seen[0]) == len(seen[1]) and all(map(_same, *seen))
            found += [] if same else [(name, place)]
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("shape", [(2, 2), (2,), ()])
def test_no_plain_result_of_any_function_depends_on_the_value_of_a_dual_array(shape: tuple[int, ...]) -> None:
    assert leaks(dual, shape) == []


class Leaky(Dual):
    """A dual array that becomes a plain one."""

    __slots__ = ()

    def __array__(self, *_: Any, **__: Any) -> Any:
        return self.value


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_search_for_leaks_finds_them() -> None:
    found = {
        name for name, _ in leaks(lambda shape, start: Leaky(dual(shape, start).value, np.ones(shape)), (2,))
    }
    assert {
        "numpy.asarray",
        "numpy.full",
        "numpy.linalg.norm",
        "ndarray.dot",
        "ndarray.put",
    } - found == set()


def _same(first: Array, second: Array) -> bool:
    return first.dtype == second.dtype and first.tobytes() == second.tobytes()


# What is written, and how: each way writes numbers whose derivative is 3 into two places of the array.
WRITES: dict[str, Callable[[Dual, Dual], Any]] = {
    "index": lambda x, n: x.__setitem__((0, slice(None)), n),
    "row view": lambda x, n: x[0].__setitem__(slice(None), n),
    "reshaped view": lambda x, n: x.reshape(-1).__setitem__([0, 1], n),
    "raveled view": lambda x, n: x.ravel().__setitem__(slice(0, 2), n),
    "reshape of a function": lambda x, n: np.reshape(x, (4,)).__setitem__(slice(0, 2), n),
    "transposed view": lambda x, n: x.T[:, 0].__setitem__(slice(None), n),
    "moved axis": lambda x, n: np.moveaxis(x, 0, 1)[:, 0].__setitem__(slice(None), n),
    "new axis": lambda x, n: x[None, 0].__setitem__(0, n),
    "flipped view": lambda x, n: np.flip(x, 1)[0].__setitem__(slice(None, None, -1), n),
    "row of an iteration": lambda x, n: next(iter(x)).__setitem__(..., n),
    "same dtype": lambda x, n: x.astype(np.float64, copy=False)[0].__setitem__(..., n),
    "mask": lambda x, n: x.__setitem__(np.array([[True, True], [False, False]]), n),
    "out": lambda x, n: np.positive(n, out=x[0]),
    "in place": lambda x, n: x[0].__isub__(x[0] - n),
    "copyto": lambda x, n: np.copyto(x[0], n),
    "einsum view": lambda x, n: np.einsum("ij->ji", x)[:, 0].__setitem__(..., n),
    "real": lambda x, n: np.real(x).real[0].__setitem__(..., n),
    "add.at": lambda x, n: np.add.at(x, (0, [0, 1]), n - x[0]),
}


@pytest.mark.parametrize("way", WRITES)
@pytest.mark.parametrize("layout", ["C", "F", "gaps"])
def test_what_is_written_reaches_value_and_tangent(way: str, layout: str) -> None:
    x = _laid_out(layout)
    if layout == "gaps" or (
        layout == "F" and way in {"reshaped view", "raveled view", "reshape of a function"}
    ):
        x = x.copy("C")  # NumPy has no such views of others
    numbers = Dual(np.array([7.0, 8.0]), np.array([3.0, 3.0]))
    WRITES[way](x, numbers)
    np.testing.assert_allclose(x.value, [[7.0, 8.0], [0.7, 0.8]])
    np.testing.assert_allclose(x.tangent, [[3.0, 3.0], [1.0, 1.0]])


@pytest.mark.parametrize("layout", ["C", "F", "gaps"])
def test_a_view_of_one_part_is_a_view_of_the_other(layout: str) -> None:
    x = _laid_out(layout)
    for view in (
        x.reshape(-1),
        x.T.reshape(-1),
        x.ravel(),
        x[::-1].T,
        np.exp(x).reshape(-1),
        (x.T * x).ravel(),
    ):
        assert view.value.strides == view.tangent.strides
        assert (view.value.base is None) == (view.tangent.base is None)
    assert np.may_share_memory(x.value, x.reshape(-1).value) == np.may_share_memory(
        x.tangent, x.reshape(-1).tangent
    )


def test_a_plain_number_written_into_a_dual_array_does_not_move() -> None:
    x = dual()
    x[0] = 5.0
    x[1, 0] = np.float32(6)
    x[1, 1:] = [7]
    np.testing.assert_array_equal(x.value, [[5, 5], [6, 7]])
    np.testing.assert_array_equal(x.tangent, np.zeros((2, 2)))


def test_results_do_not_share_memory_with_what_they_were_made_of() -> None:
    x = dual()
    for result in (
        +x,
        x + 0,
        x * 1,
        x.copy(),
        np.where(True, x, 0),
        np.maximum(x, -9),
        x.astype(np.float64),
        np.sort(x),
    ):
        result[...] = 0
    np.testing.assert_array_equal(x.tangent, np.ones((2, 2)))
    np.testing.assert_array_equal(x.value, dual().value)


def test_operands_that_overlap_the_result_are_read_before_it_is_written() -> None:
    x = Dual(np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 1.0]))
    np.multiply(x[1:], x[:-1], out=x[1:])
    np.testing.assert_array_equal(x.value, [1, 2, 6])
    np.testing.assert_array_equal(x.tangent, [1, 3, 5])
    x *= x
    np.testing.assert_array_equal(x.tangent, [2, 12, 60])


def test_truth_values_go_into_plain_arrays() -> None:
    mask = np.zeros((2, 2), bool)
    assert np.greater(dual(), 0.6, out=mask) is mask
    np.testing.assert_array_equal(mask, [[False, False], [True, True]])


@pytest.mark.parametrize("value", [np.arange(3), np.ones(3, bool), np.ones(3, complex), np.array([None])])
def test_only_real_floating_numbers_are_dual(value: Array) -> None:
    with pytest.raises(NoDerivative, match="expected real floating-point numbers"):
        Dual(value, value)


def test_an_unknown_attribute_is_missing() -> None:
    assert not hasattr(dual(), "__array_interface__")
    assert not hasattr(dual(), "no_such_thing")
    assert repr(dual((1,))) == "Dual(array([0.5]), array([1.]))"
    with pytest.raises(TypeError, match="unhashable"):
        hash(dual())


def _laid_out(layout: str) -> Dual:
    x = dual()
    if layout == "F":
        return Dual(np.asfortranarray(x.value), x.tangent)
    if layout == "gaps":
        return Dual(np.repeat(x.value, 2, axis=1)[:, ::2], x.tangent)
    return x
