"""A call that owns its arrays gets its gradient in their memory, with the same numbers."""

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.losses import LOSSES
from lossd.losses.samples import sample_call
from lossd.losses.spec import Loss
from lossd.message import Call

TUNED = [loss for loss in LOSSES.values() if loss.tuned is not None]


def typical(loss: Loss, dtype: type) -> dict[str, np.ndarray]:
    return dict(sample_call(loss, np.random.default_rng(0), batch=(50,), dtype=dtype).arrays)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", TUNED, ids=lambda loss: loss.name)
def test_the_gradient_over_its_argument_has_the_same_bits(loss: Loss, dtype: type) -> None:
    arrays = typical(loss, dtype)
    kept = evaluate(loss, Call(arrays, {"gradient": True}))
    spent = {name: array.copy() for name, array in arrays.items()}
    owned = evaluate(loss, Call(spent, {"gradient": True}, owned=True))
    assert owned.loss["mean"] == kept.loss["mean"]
    for name, gradient in kept.gradient["mean"].items():
        np.testing.assert_array_equal(owned.gradient["mean"][name], gradient)
        assert np.shares_memory(owned.gradient["mean"][name], spent[name])


@pytest.mark.parametrize("loss", TUNED, ids=lambda loss: loss.name)
def test_arrays_that_are_not_owned_stay_as_they_are(loss: Loss) -> None:
    arrays = typical(loss, np.float64)
    before = {name: array.copy() for name, array in arrays.items()}
    evaluate(loss, Call(arrays, {"gradient": True}))
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, before[name])


def test_read_only_and_transposed_arrays_are_left_alone() -> None:
    read_only = np.arange(6.0)
    read_only.setflags(write=False)
    transposed = np.arange(6.0).reshape(2, 3).T
    for array in (read_only, transposed):
        answer = evaluate(
            LOSSES["mse"], Call({"input": array, "target": array * 2}, {"gradient": True}, owned=True)
        )
        assert not np.shares_memory(answer.gradient["mean"]["input"], array)
