"""A call that owns its arrays gets its gradient in their memory, with the same numbers."""

import numpy as np
import pytest

from lossd.declaration.domain import OneOf
from lossd.declaration.loss import Loss
from lossd.declaration.samples import sample_call
from lossd.engine import evaluate
from lossd.fused import FUSED
from lossd.losses import LOSSES
from lossd.message import Call

FUSED_LOSSES = [loss for loss in LOSSES.values() if loss.kernel in FUSED]


def typical(loss: Loss, dtype: type) -> dict[str, np.ndarray]:
    return dict(sample_call(loss, np.random.default_rng(0), batch=(50,), dtype=dtype).arrays)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", FUSED_LOSSES, ids=lambda loss: loss.name)
def test_the_gradient_over_its_argument_has_the_same_bits(loss: Loss, dtype: type) -> None:
    arrays = typical(loss, dtype)
    kept = evaluate(loss, Call(arrays, {"gradient": True}))
    spent = {name: array.copy() for name, array in arrays.items()}
    owned = evaluate(loss, Call(spent, {"gradient": True}, owned=True))
    assert owned.loss["mean"] == kept.loss["mean"]
    for name, gradient in kept.gradient["mean"].items():
        np.testing.assert_array_equal(owned.gradient["mean"][name], gradient)
        assert np.shares_memory(owned.gradient["mean"][name], spent[name])


@pytest.mark.parametrize("loss", FUSED_LOSSES, ids=lambda loss: loss.name)
def test_arrays_that_are_not_owned_stay_as_they_are(loss: Loss) -> None:
    arrays = typical(loss, np.float64)
    before = {name: array.copy() for name, array in arrays.items()}
    evaluate(loss, Call(arrays, {"gradient": True}))
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, before[name])


def overlapping(loss: Loss, dtype: type, shift: int) -> dict[str, np.ndarray]:
    """Return a typical call whose real arrays lie in one memory, each ``shift`` numbers after the one before."""
    arrays = typical(loss, dtype)
    real = [name for name, array in arrays.items() if array.dtype.kind == "f"]
    # between 0 and 1, or labels, so that every loss takes it
    memory = np.random.default_rng(1).uniform(size=arrays[real[0]].size + 8 * abs(shift)).astype(dtype)
    if any(isinstance(a.role.domain, OneOf) for a in loss.arguments):
        memory = np.copysign(1, memory - dtype(0.5))
    for place, name in enumerate(real):
        first, size = shift * (place if shift > 0 else place - len(real)), arrays[name].size
        arrays[name] = memory[first : first + size].reshape(arrays[name].shape)
    return arrays


@pytest.mark.parametrize("block_bytes", [64, 1 << 20])
@pytest.mark.parametrize("shift", [0, 1, 7, -1, -7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", FUSED_LOSSES, ids=lambda loss: loss.name)
def test_arguments_that_share_memory_are_read_before_a_gradient_is_written(
    loss: Loss, dtype: type, shift: int, block_bytes: int
) -> None:
    apart = {name: array.copy() for name, array in overlapping(loss, dtype, shift).items()}
    asked = {"gradient": True}
    expected = evaluate(loss, Call(apart, asked), block_bytes=block_bytes)
    shared = Call(overlapping(loss, dtype, shift), asked, owned=True)
    actual = evaluate(loss, shared, block_bytes=block_bytes)
    assert actual.loss["mean"] == expected.loss["mean"]
    for name, gradient in expected.gradient["mean"].items():
        np.testing.assert_array_equal(actual.gradient["mean"][name], gradient, err_msg=name)


def test_an_argument_next_to_another_in_one_memory_is_still_spent() -> None:
    memory = np.arange(8.0)
    arrays = {"input": memory[:4], "target": memory[4:]}
    answer = evaluate(LOSSES["mse"], Call(arrays, {"gradient": True}, owned=True))
    assert np.shares_memory(answer.gradient["mean"]["input"], memory)


def test_read_only_and_transposed_arrays_are_left_alone() -> None:
    read_only = np.arange(6.0)
    read_only.setflags(write=False)
    transposed = np.arange(6.0).reshape(2, 3).T
    for array in (read_only, transposed):
        answer = evaluate(
            LOSSES["mse"], Call({"input": array, "target": array * 2}, {"gradient": True}, owned=True)
        )
        assert not np.shares_memory(answer.gradient["mean"]["input"], array)
