"""Complex arguments: the loss of the absolute residual, and a gradient in PyTorch's convention.

For a real loss L of z = x + iy that is dL/dx + i dL/dy, the direction of steepest ascent.
"""

from __future__ import annotations

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.losses import LOSSES, find
from lossd.message import Call
from tests.oracle.exact import MP, numbers
from tests.oracle.records import ORACLES

RNG = np.random.default_rng(11)
INPUT = RNG.standard_normal(6) + 1j * RNG.standard_normal(6)
TARGET = RNG.standard_normal(6) + 1j * RNG.standard_normal(6)
RESIDUAL = INPUT - TARGET
ABSOLUTE = np.abs(RESIDUAL)
DIRECTION = RESIDUAL / ABSOLUTE

OF_RESIDUAL = [loss.name for loss in LOSSES.values() if loss.of_residual]


def of_absolute_residual(name):
    """Return a loss and its slope as functions of the absolute residual, by its formula in exact arithmetic."""
    formula = ORACLES[name].formula
    rows = [formula(input=numbers(absolute), target=MP.mpf(0)) for absolute in ABSOLUTE]
    value = [float(MP.fsum(row.value)) for row in rows]
    return np.array(value), np.array([float(MP.fsum(row.gradient["input"])) for row in rows])


@pytest.mark.parametrize("name", OF_RESIDUAL)
@pytest.mark.parametrize(
    ("dtype", "real", "precision"), [("complex128", "float64", 1e-14), ("complex64", "float32", 1e-5)]
)
def test_value_and_gradient_are_those_of_the_absolute_residual(name, dtype, real, precision):
    value, slope = of_absolute_residual(name)
    call = Call(
        {"input": INPUT.astype(dtype), "target": TARGET.astype(dtype)},
        {"reduction": ["none", "mean"], "gradient": ["input", "target"]},
    )
    answer = evaluate(find(name), call)
    np.testing.assert_allclose(answer.loss["none"], value, rtol=precision)
    np.testing.assert_allclose(answer.loss["mean"], value.mean(), rtol=precision)
    np.testing.assert_allclose(answer.gradient["none"]["input"], slope * DIRECTION, rtol=precision)
    np.testing.assert_allclose(answer.gradient["mean"]["target"], -slope * DIRECTION / 6, rtol=precision)
    assert {array.dtype for array in answer.loss.values()} == {np.dtype(real)}
    assert {array.dtype for found in answer.gradient.values() for array in found.values()} == {
        np.dtype(dtype)
    }


@pytest.mark.parametrize("name", OF_RESIDUAL)
def test_gradient_is_what_differences_say(name):
    step = 1e-6
    answer = evaluate(find(name), Call({"input": INPUT, "target": TARGET}, {"gradient": True}))

    def slope(towards):
        ahead, behind = (
            evaluate(find(name), Call({"input": INPUT + sign * step * towards, "target": TARGET})).loss[
                "mean"
            ]
            for sign in (1, -1)
        )
        return (ahead - behind) / (2 * step)

    for place in range(6):
        unit = np.eye(6)[place]
        expected = slope(unit) + 1j * slope(1j * unit)
        # central differences in float64 over 1e-6 are good to 1e-9
        np.testing.assert_allclose(answer.gradient["mean"]["input"][place], expected, atol=1e-8)


@pytest.mark.torch
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss"])
def test_gradient_is_pytorch_s(name):
    """Of the losses that PyTorch has: of the absolute residual it is autograd's, in the convention used here."""
    torch = pytest.importorskip("torch")
    given = torch.tensor(INPUT, requires_grad=True)
    distance = (given - torch.tensor(TARGET)).abs()
    getattr(torch.nn.functional, name)(distance, torch.zeros_like(distance)).backward()
    answer = evaluate(find(name), Call({"input": INPUT, "target": TARGET}, {"gradient": True}))
    np.testing.assert_allclose(answer.gradient["mean"]["input"], given.grad.numpy(), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", OF_RESIDUAL)
def test_where_the_residual_is_zero_so_is_the_gradient(name):
    answer = evaluate(find(name), Call({"input": INPUT, "target": INPUT}, {"gradient": True}))
    assert not answer.gradient["mean"]["input"].any()
    assert answer.loss["mean"] == 0


@pytest.mark.parametrize("name", OF_RESIDUAL)
def test_numbers_on_the_real_line_have_the_real_loss(name):
    real = evaluate(find(name), Call({"input": INPUT.real, "target": TARGET.real}, {"gradient": True}))
    mixed = evaluate(find(name), Call({"input": INPUT.real + 0j, "target": TARGET.real}, {"gradient": True}))
    asked = Call({"input": INPUT.real, "target": TARGET.real}, {"gradient": True, "dtype": "complex128"})
    for answer in (mixed, evaluate(find(name), asked)):
        np.testing.assert_allclose(answer.loss["mean"], real.loss["mean"], rtol=1e-14)
        np.testing.assert_allclose(
            answer.gradient["mean"]["input"], real.gradient["mean"]["input"], rtol=1e-14
        )
        assert answer.gradient["mean"]["input"].dtype == np.complex128


@pytest.mark.parametrize("name", ["mse", "l1", "huber"])
def test_weights_of_complex_residuals_are_real(name):
    weight = np.array([1.0, 2.0, 0.5, 1.5, 3.0, 1.0])
    options = {"gradient": ["input", "weight"], "reduction": ["sum", "mean"]}
    answer = evaluate(find(name), Call({"input": INPUT, "target": TARGET, "weight": weight}, options))
    value, slope = of_absolute_residual(name)
    np.testing.assert_allclose(answer.gradient["sum"]["weight"], value, rtol=1e-14)
    np.testing.assert_allclose(answer.gradient["sum"]["input"], slope * DIRECTION * weight, rtol=1e-14)
    assert {answer.gradient[mode]["weight"].dtype for mode in answer.gradient} == {np.dtype(np.float64)}


def test_the_derivative_with_respect_to_a_setting_is_real():
    call = Call({"input": INPUT, "target": TARGET}, {"gradient": ["delta"], "reduction": "sum"})
    slope = evaluate(find("huber"), call).gradient["sum"]["delta"]
    np.testing.assert_allclose(slope, np.maximum(ABSOLUTE - 1, 0).sum(), rtol=1e-14)
    assert slope.dtype == np.float64


@pytest.mark.parametrize("option", [{"hessian": True}, {"hvp": np.ones(6)}, {"convention": "gbm"}], ids=str)
def test_a_second_derivative_of_complex_numbers_is_refused(option):
    arrays = {"input": INPUT, "target": TARGET} | {k: v for k, v in option.items() if k == "hvp"}
    with pytest.raises(InvalidCall, match="a loss and arguments that have one"):
        evaluate(find("mse"), Call(arrays, {k: v for k, v in option.items() if k != "hvp"}))


@pytest.mark.parametrize("name", OF_RESIDUAL)
@pytest.mark.parametrize("real", ["input", "target"])
def test_the_gradient_of_a_real_argument_is_real(name, real):
    """PyTorch returns the real part of what the gradient would be were the argument complex."""
    given = {"input": INPUT, "target": TARGET}
    given[real] = given[real].real
    answer = evaluate(find(name), Call(given, {"gradient": ["input", "target"]}))
    every = {key: array + 0j for key, array in given.items()}
    turned = evaluate(find(name), Call(every, {"gradient": ["input", "target"]}))
    for key, found in answer.gradient["mean"].items():
        expected = turned.gradient["mean"][key]
        assert found.dtype == (np.float64 if key == real else np.complex128)
        np.testing.assert_array_equal(found, expected.real if key == real else expected)


@pytest.mark.torch
@pytest.mark.parametrize("real", ["input", "target"])
def test_the_gradient_of_a_real_argument_is_pytorch_s(real):
    torch = pytest.importorskip("torch")
    given = {"input": INPUT.astype("complex64"), "target": TARGET.astype("complex64")}
    given[real] = given[real].real
    tensors = {key: torch.tensor(array, requires_grad=True) for key, array in given.items()}
    torch.nn.functional.l1_loss(**tensors).backward()
    answer = evaluate(find("l1"), Call(given, {"gradient": ["input", "target"]}))
    for key, tensor in tensors.items():
        found = answer.gradient["mean"][key]
        assert found.dtype == tensor.grad.numpy().dtype
        np.testing.assert_allclose(found, tensor.grad.numpy(), rtol=1e-6)


@pytest.mark.parametrize("name", ["mse", "l1", "huber"])
@pytest.mark.parametrize("shape", [(), (1,), (6,)])
def test_the_gradient_of_a_weight_has_its_shape(name, shape):
    given = {"input": INPUT, "target": TARGET, "weight": np.full(shape, 2.0)}
    options = {
        "gradient": ["weight"],
        "broadcast": True,
        "reduction": ["none", "sum", "mean", "weighted_mean"],
    }
    answer = evaluate(find(name), Call(given, options))
    for found in answer.gradient.values():
        assert found["weight"].shape == shape
        assert found["weight"].dtype == np.float64
    np.testing.assert_allclose(
        np.sum(answer.gradient["sum"]["weight"]), of_absolute_residual(name)[0].sum(), rtol=1e-13
    )


def test_a_complex_weight_is_refused():
    given = {"input": INPUT, "target": TARGET, "weight": np.ones(6) + 1j}
    with pytest.raises(InvalidCall, match="expected numbers, got complex128 values - at `weight`"):
        evaluate(find("mse"), Call(given))


@pytest.mark.parametrize("size", [1e-320, 1e-310, 1e-160, 1.0, 1e160, 3e307])
def test_the_direction_of_a_residual_does_not_depend_on_its_size(size):
    """3 + 4i times any power of 2, so that no part is rounded."""
    power = 2.0 ** np.floor(np.log2(size))
    residual = np.array([3 + 4j, -3 + 4j]) * power
    answer = evaluate(
        find("l1"),
        Call({"input": residual, "target": 0 * residual}, {"gradient": True, "reduction": ["none", "sum"]}),
    )
    np.testing.assert_allclose(answer.gradient["sum"]["input"], [0.6 + 0.8j, -0.6 + 0.8j], rtol=4e-16)
    np.testing.assert_array_equal(answer.loss["none"], 5 * power)


INF, NAN = np.inf, np.nan


@pytest.mark.parametrize(
    ("residual", "absolute", "direction"),
    [
        (complex(INF, 1), INF, 1), (complex(1, -INF), INF, -1j), (complex(-INF, INF), INF, (-1 + 1j) * 0.5**0.5),
        (complex(NAN, 1), NAN, complex(NAN, NAN)), (complex(1, NAN), NAN, complex(NAN, NAN)),
        (complex(INF, NAN), INF, complex(NAN, NAN)),
    ],
)  # fmt: skip
def test_infinite_parts_outweigh_finite_ones_and_a_nan_leaves_no_direction(residual, absolute, direction):
    call = Call({"input": np.array([residual]), "target": np.zeros(1)}, {"gradient": True})
    answer = evaluate(find("l1"), call)
    np.testing.assert_array_equal(answer.loss["mean"], absolute)
    found = answer.gradient["mean"]["input"][0]
    np.testing.assert_allclose(
        [found.real, found.imag], [complex(direction).real, complex(direction).imag], rtol=4e-16
    )
