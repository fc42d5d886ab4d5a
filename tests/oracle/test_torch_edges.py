"""The edges against PyTorch in the same type: zeros, kinks, infinities, NaN, empty, ignored, zero weights, huge.

A mean over nothing is compared with ``empty: nan``, which is what PyTorch gives.
"""

from __future__ import annotations

from math import exp, inf, log, nan

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.losses import LOSSES
from lossd.message import Call

pytest.importorskip("torch", reason="PyTorch is not installed")

from tests.oracle.torch_call import FUNCTIONS, ask_torch
from tests.oracle.torch_cases import differentiable
from tests.oracle.torch_edges import EDGES

pytestmark = [pytest.mark.torch]
_S = 1 / (1 + exp(1))  # the lesser part of the softmax of [0, 1]

SIGN = "its sign of NaN is 0; NaN propagates"
CLAMPED = "its slope is not that of its value, whose logarithms end at -100"
FLOAT32 = "its 1e-12 is a float32"
ABSENT = "0 times NaN; what is ignored reaches no gradient"
CERTAIN = "infinity less infinity; the limit exists"
TAIL = "an exponential that overflows"
FLAT = "its slope at NaN is 0; NaN propagates"
STIRLING = "the slope of an approximation that is not taken, times 0"
NOTHING = "a mean over nothing; ours is NaN throughout"

# Where PyTorch gives something else and why, with what is right for the reduction "none".
WRONG_IN_TORCH = {
    ("l1", "equal infinities", "input"): (SIGN, [nan, 1]),
    ("l1", "equal infinities", "target"): (SIGN, [nan, -1]),
    ("l1", "nan", "input"): (SIGN, [nan, 1]),
    ("l1", "nan", "target"): (SIGN, [nan, -1]),
    ("l1", "nan target", "input"): (SIGN, [nan, 1]),
    ("l1", "nan target", "target"): (SIGN, [nan, -1]),
    ("cross_entropy", "some ignored", "input"): (ABSENT, [[_S, -_S], [0, 0]]),
    ("cross_entropy", "infinite logit", "value"): (CERTAIN, [0]),
    ("cross_entropy", "infinite logit", "input"): (CERTAIN, [[0, 0]]),
    ("nll", "zero weight", "input"): (NOTHING, [[0, 0]]),
    ("bce", "certain and right", "target"): (CLAMPED, [100, -100]),
    ("bce", "certain and wrong", "target"): (CLAMPED, [100, -100]),
    ("bce", "certain, unsure target", "target"): (CLAMPED, [100, -100]),
    ("bce", "tiny", "target"): (CLAMPED, [30 * log(10), 100]),
    ("bce", "certain and wrong", "input"): (FLOAT32, [-1e12, 1e12]),
    ("bce", "certain, unsure target", "input"): (FLOAT32, [-0.25e12, 0.75e12]),
    ("bce", "tiny", "input"): (FLOAT32, [-1e12, 1e-32]),
    ("bce_with_logits", "certain and wrong", "value"): (CERTAIN, [inf, inf]),
    ("bce_with_logits", "certain and right", "value"): (CERTAIN, [0, 0]),
    ("soft_margin", "certain and wrong", "input"): (TAIL, [1, -1]),
    ("soft_margin", "far and wrong", "value"): (TAIL, [89, 710, 1e30]),
    ("soft_margin", "far and wrong", "input"): (TAIL, [1, -1, 1]),
    ("hinge_embedding", "nan", "input"): (FLAT, [1, nan]),
    ("margin_ranking", "nan", "input1"): (FLAT, [nan, -1]),
    ("margin_ranking", "nan", "input2"): (FLAT, [nan, 1]),
    ("margin_ranking", "infinite", "target"): (CERTAIN, [0, inf, inf]),
    ("poisson_nll", "no count, full", "target"): (STIRLING, [0, 1]),
    ("poisson_nll", "impossible", "value"): (CERTAIN, [0, inf]),
    ("poisson_nll", "infinite", "value"): (CERTAIN, [inf, inf]),
    ("kl_div", "no probability", "target"): (CERTAIN, [-inf, log(0.5) + 2]),
    ("kl_div", "ruled out", "value"): (CERTAIN, [0, inf]),
    ("kl_div", "ruled out", "target"): (CERTAIN, [-inf, inf]),
    ("kl_div", "ruled out, logarithms", "value"): (CERTAIN, [0, inf, 0]),
    ("kl_div", "ruled out, logarithms", "target"): (CERTAIN, [0, inf, 0]),
    ("ctc", "class ruled out", "logits"): (CERTAIN, [[[0, _S, -_S]], [[_S - 1, 1 - _S, 0]]]),
}


def split(edge, dtype):
    """Return arrays, real ones as ``dtype``, and settings."""
    arrays = {key: np.asarray(a) for key, a in edge.items() if isinstance(a, list | np.ndarray)}
    settings = {key: a for key, a in edge.items() if key not in arrays}
    with np.errstate(over="ignore", under="ignore"):
        return {key: a.astype(dtype) if a.dtype.kind == "f" else a for key, a in arrays.items()}, settings


def test_every_loss_that_torch_has_is_compared():
    assert EDGES.keys() == FUNCTIONS.keys()
    assert all(edge in EDGES[name] for name, edge, _ in WRONG_IN_TORCH)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize(("name", "edge"), [(name, edge) for name, edges in EDGES.items() for edge in edges])
def test_edges(name, edge, dtype, reduction):
    arrays, settings = split(EDGES[name][edge], dtype)
    wanted = differentiable(name, arrays)
    theirs = {key: value for key, value in settings.items() if key != "check_target"}
    value, gradient = ask_torch(name, arrays, theirs, reduction=reduction, wanted=wanted)
    options = {**settings, "reduction": reduction, "gradient": wanted, "empty": "nan"}
    answer = evaluate(LOSSES[name], Call(arrays, options))
    tolerance = 8 * float(np.finfo(dtype).eps)
    for what, ours, theirs in [
        ("value", answer.loss[reduction], value),
        *((key, answer.gradient[reduction][key], gradient[key]) for key in wanted),
    ]:
        assert ours.shape == theirs.shape
        if (name, edge, what) not in WRONG_IN_TORCH:
            np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance, err_msg=what)
        elif reduction == "none":
            right = WRONG_IN_TORCH[name, edge, what][1]
            np.testing.assert_allclose(ours, right, rtol=tolerance, atol=tolerance, err_msg=what)


@pytest.mark.parametrize(("name", "edge", "what"), WRONG_IN_TORCH)
def test_torch_is_still_wrong(name, edge, what):
    """Else the exception has had its day."""
    arrays, settings = split(EDGES[name][edge], np.float64)
    why, right = WRONG_IN_TORCH[name, edge, what]
    given = {"reduction": "mean" if why == NOTHING else "none", "wanted": differentiable(name, arrays)}
    value, gradient = ask_torch(name, arrays, settings, **given)
    theirs = {"value": value, **gradient}[what]
    assert not np.allclose(theirs, np.array(right, float), rtol=1e-12, atol=0, equal_nan=True)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_bce_of_nan_is_nan(reduction):
    """PyTorch raises an error; NaN is a number that propagates."""
    arrays, _ = split({"input": [nan, 0.5], "target": [0.0, 1.0]}, np.float64)
    answer = evaluate(LOSSES["bce"], Call(arrays, {"reduction": reduction, "gradient": True}))
    assert np.isnan(answer.loss[reduction].flat[0])
    assert np.isnan(answer.gradient[reduction]["input"]).tolist() == [True, False]


def test_a_certain_logit_costs_nothing_in_a_sum_either():
    arrays = {"input": np.array([[inf, 1.0]]), "target": np.array([0])}
    answer = evaluate(LOSSES["cross_entropy"], Call(arrays, {"reduction": "sum"}))
    assert answer.loss["sum"] == 0
