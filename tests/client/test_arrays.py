"""What callers hold is sent as it is: numbers keep their dtype, tensors and tables are arrays, errors name a place."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from lossd.client import LossClient, ServiceError
from lossd.client.arrays import as_array
from lossd.client.outgoing import prepare
from lossd.errors import InvalidCall
from lossd.wire import CODECS
from tests.api.serving import Served

DTYPES = ["float16", "bfloat16", "float32", "float64", "complex64", "complex128"]


class Table:
    """What pandas' Series and DataFrame are to NumPy: an object that is no array, and turns into one."""

    def __init__(self, values: Any, dtype: Any = None) -> None:
        self._array = np.array(values, dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self._array if dtype is None else self._array.astype(dtype)


def dtype_of(name: str) -> np.dtype:
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


@pytest.mark.parametrize(
    "media_type", [None, "application/json", "application/vnd.msgpack", "application/x-npz"]
)
@pytest.mark.parametrize("name", DTYPES)
def test_a_number_keeps_its_dtype(server: Served, name: str, media_type: str | None) -> None:
    dtype = dtype_of(name)
    one_third, zero = dtype.type(1 / 3), np.zeros((), dtype)
    with LossClient(server.url, media_type=media_type) as client:
        result = client.l1(one_third, zero, gradient=True)
        whole = client.l1(np.full(3, one_third), np.zeros(3, dtype), gradient=True)
    real = np.dtype(dtype.char.lower()) if dtype.kind == "c" else dtype
    assert (result.value.dtype, result.gradient["input"].dtype) == (real, dtype)
    assert result.value == abs(one_third), "expected the number as it is in its own dtype"
    assert (whole.value.dtype, whole.gradient["input"].dtype) == (real, dtype)


def test_a_number_of_float32_is_computed_in_float32(server: Served) -> None:
    """0.1 and 0.5 differ in float32 by 0.4, whose square is rounded twice; in float64 it has other digits."""
    expected = (np.float32(0.1) - np.float32(0.5)) ** 2
    for media_type in (None, *CODECS):
        with LossClient(server.url, media_type=media_type) as client:
            assert client.mse(np.float32(0.1), np.float32(0.5)).value == expected
            assert client.mse(0.1, 0.5).value == (0.1 - 0.5) ** 2


def test_the_dtype_of_an_answer_is_that_which_was_asked_for(server: Served) -> None:
    for media_type in (None, *CODECS):
        with LossClient(server.url, media_type=media_type) as client:
            for asked in ("float32", np.float32, np.dtype("float32")):
                assert client.mse([1.0], [3.0], dtype=asked).value.dtype == np.float32
            assert client.mse(np.ones((), ">f4"), np.zeros((), ">f4")).value.dtype == np.dtype("float32")
            with pytest.raises(ServiceError, match='got string "float8" - at `dtype`'):
                client.evaluate("mse", input=[1.0], target=[3.0], dtype="float8")
            mixed = client.mse(np.ones(2, ml_dtypes.bfloat16), np.zeros(2, np.float16))
            assert mixed.value.dtype == np.float32
            assert client.mse(np.arange(3), [0, 0, 0]).value.dtype == np.float64


def received(values: Any, media_type: str) -> np.ndarray:
    """Return the array that the server reads from a call."""
    outgoing = prepare("mse", {"input": values, "target": [0]}, media_type=media_type, headers={})
    names = frozenset({"input", "target"})
    array: np.ndarray = CODECS[media_type].decode_call(b"".join(outgoing.parts), names).arrays["input"]
    return array


@pytest.mark.parametrize("media_type", CODECS)
def test_truth_values_arrive_as_such(media_type: str) -> None:
    for values in ([True, False], (True, False), np.array([True, False]), Table([True, False])):
        array = received(values, media_type)
        assert (array.dtype, array.tolist()) == (np.bool_, [True, False])


def test_truth_values_of_every_origin_are_a_mask(client: LossClient) -> None:
    for mask in ([True, False], np.array([True, False]), Table([True, False])):
        assert client.mse([3.0, 9.0], [0.0, 0.0], mask=mask).value == 9


def test_tables_are_arrays(client: LossClient) -> None:
    assert client.mse(Table([1.0, 2.0]), Table([1.0, 4.0])).value == 2
    # Columns of different types make a table of objects.
    assert client.mse(Table([[1, 2.5]], object), [[1.0, 0.5]]).value == 2
    assert client.mse(Table([[True, 2.5]], object), [[1.0, 0.5]]).value == 2


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            [[1.0], [1.0, 2.0]],
            "expected a list of shape [1] as at `input[0]`, got a list of shape [2] - at `input[1]`",
        ),
        (
            [np.ones(2), np.ones(3)],
            "expected a list of shape [2] as at `input[0]`, got a list of shape [3] - at `input[1]`",
        ),
        ([[1.0, "a"]], 'expected a number, got the string "a" - at `input[0][1]`'),
        ([1.0, None], "got null - at `input[1]`"),
        (Table([1.0, None], object), "got null - at `input[1]`"),
        ([1.0, Decimal(2)], "expected a number, got a value of type Decimal - at `input[1]`"),
        (np.array(["1.5"]), 'expected a number, got the string "1.5" - at `input[0]`'),
        ({1.0, 2.0}, "got a value of type set - at `input`"),
        ((x for x in [1.0]), "got a value of type generator - at `input`"),
        (np.ma.array([1.0, 2.0], mask=[0, 1]), "expected an array without a mask"),
        (np.array(["2026-11-21"], "M8[D]"), "got datetime64[D] - at `input`"),
    ],
    ids=lambda of: of if isinstance(of, str) else type(of).__name__,
)
def test_what_is_no_array_of_numbers_is_refused_by_its_place(
    client: LossClient, value: Any, message: str
) -> None:
    with pytest.raises(InvalidCall) as refused:
        client.mse(value, [0.0])
    assert message in str(refused.value)


def test_numbers_that_fit_no_integer_and_numbers_that_are_not_finite_are_sent() -> None:
    assert as_array([10**30], "input").tolist() == [1e30]
    assert np.isnan(as_array([1.0, float("nan")], "input")).tolist() == [False, True]
    assert as_array(np.ma.array([1.0, 2.0]), "input").tolist() == [1, 2]


def test_an_option_that_is_none_is_refused_by_its_name(client: LossClient) -> None:
    with pytest.raises(InvalidCall, match=r"got a value of type object - at `delta`"):
        client.evaluate("huber", input=[1.0], target=[2.0], delta=object())
    with pytest.raises(TypeError, match="expected the name of a loss, got a value of type int"):
        client.evaluate(3, input=[1.0])  # type: ignore[arg-type]


@pytest.mark.torch
def test_tensors_are_arrays_wherever_they_are(client: LossClient) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ones = torch.ones(2, requires_grad=True)
    zeros = torch.zeros(2)
    for input, target in (
        (ones, zeros),
        (ones.to(torch.bfloat16), zeros),
        ([*ones], [0.0, 0.0]),
        ([ones, ones.to(torch.bfloat16)], np.zeros((2, 2))),
        (torch.tensor([True, True]).float(), zeros),
    ):
        assert client.mse(input, target).value == 1
    assert client.mse(torch.tensor(0.1), torch.tensor(0.5)).value.dtype == np.float32
    assert client.mse(ones * 3, zeros, mask=torch.tensor([True, False])).value == 9
    assert client.huber([3.0], [0.0], delta=torch.tensor(0.5)).value == 1.375
    assert client.mse([1.0], [0.0], dtype=torch.float32).value.dtype == np.float32
    with pytest.raises(InvalidCall, match=r"as at `input\[0\]`, got a list of shape \[3\] - at `input\[1\]`"):
        client.mse([torch.ones(2), torch.ones(3)], [0.0])
    for media_type in CODECS:
        assert received(torch.tensor([True, False]), media_type).tolist() == [True, False]
