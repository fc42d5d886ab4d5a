"""A result in a REPL: short to look at, a float where it is one number, and clear about what it does not hold."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from lossd.client import LossClient

X = np.linspace(-1, 1, 100_000)


def test_a_result_is_one_short_line(client: LossClient) -> None:
    result = client.mse(X, np.zeros_like(X), reduction=["sum", "none"], gradient=True, hessian=True)
    shown = repr(result)
    assert "\n" not in shown
    assert len(shown) < 200
    total = repr(float(result["sum"]))
    assert shown == (
        f"Result(sum={total}, none=float64[100000], count=100000, "
        "gradient={input: float64[100000]}, hessian={input: float64[100000]})"
    )
    assert repr(result["sum"]) == (
        f"Reduced(value={total}, gradient={{input: float64[100000]}}, hessian={{input: float64[100000]}})"
    )
    assert repr(client.mse([3.0], [1.0])) == "Result(mean=4.0, count=1)"


def test_a_result_of_one_number_is_a_float(client: LossClient) -> None:
    assert float(client.mse([1.0, 3.0], [0.0, 0.0])) == 5.0
    several = client.mse([1.0, 3.0], [0.0, 0.0], reduction=["mean", "sum", "none"])
    assert float(several["sum"]) == 10.0
    with pytest.raises(ValueError, match=r'got mean, sum, none: write result\["mean"\]'):
        float(several)
    for attribute in ("value", "gradient", "hessian", "hvp"):
        with pytest.raises(ValueError, match=rf'write result\["mean"\]\.{attribute}$'):
            getattr(several, attribute)
    with pytest.raises(TypeError, match=r"expected a loss that is one number, got one of shape \(2,\)"):
        float(several["none"])


def test_what_was_not_asked_for_is_said(client: LossClient) -> None:
    plain = client.mse([1.0], [2.0])
    with pytest.raises(KeyError, match="expected a gradient that was asked for, got 'input'"):
        _ = plain.gradient["input"]
    assert "input" not in plain.gradient
    assert dict(plain.hessian) == {}
    with_gradient = client.mse([1.0], [2.0], gradient=True)
    with pytest.raises(KeyError, match="got 'target': this result has that of input"):
        _ = with_gradient.gradient["target"]
    with pytest.raises(KeyError, match="expected one of mean, got 'sum'"):
        _ = with_gradient["sum"]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda result: pickle.loads(pickle.dumps(result))])
def test_a_result_survives_the_way_out_of_a_worker_process(client: LossClient, copied) -> None:
    result = client.mse([1.0, 2.0], [2.0, 4.0], gradient=True)
    twin = copied(result)
    assert repr(twin) == repr(result)
    np.testing.assert_array_equal(twin.gradient["input"], result.gradient["input"])
    with pytest.raises(KeyError, match="asked for"):
        _ = twin.gradient["target"]
