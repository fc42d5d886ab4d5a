"""2000 random calls of every loss that PyTorch has: values, gradients, options, reductions, shapes and types.

Both types are held against PyTorch in float64 on the same numbers, so that its own rounding in float32 is not in
the way. Where PyTorch is known to be wrong (`test_references.py`) the draws leave out exactly that:

* CTC's gradient with respect to ``log_probs``: compared as that of logits, and here less exp(log_probs).
* CTC samples without an alignment have ``zero_infinity``: their gradient is nan otherwise, there and here.
* broadcast targets of weighted mse and l1: shapes are equal.
* a single sample whose target is ignored: the mean over nothing is a 422 here and nan there.
"""

from __future__ import annotations

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.losses import LOSSES
from lossd.message import Call

pytest.importorskip("torch", reason="PyTorch is not installed")

from tests.oracle.torch_call import FUNCTIONS, ask_torch
from tests.oracle.torch_cases import DRAWS, differentiable, some

pytestmark = [pytest.mark.torch, pytest.mark.slow]
CASES = 2000
# Its value, or PyTorch's way to it, is a difference of numbers as large as the inputs.
CANCELLING = {
    *("cross_entropy", "nll", "bce_with_logits", "triplet_margin", "ctc", "soft_margin", "hinge_embedding"),
    *("margin_ranking", "poisson_nll", "gaussian_nll", "kl_div", "multi_margin", "multilabel_margin"),
    *("multilabel_soft_margin", "cosine_embedding", "triplet_margin_with_distance"),
}
TOLERANCES = {np.float64: 1e-13, np.float32: 2e-6}  # of what is added up: about 500 and 20 ulp


@pytest.mark.declarations
def test_every_loss_that_torch_has_is_compared():
    named = {
        name for name, loss in LOSSES.items() if any(alias.framework == "PyTorch" for alias in loss.aliases)
    }
    advice = "expected what has a PyTorch alias in {}: add its function to torch_call.py, its draw to torch_cases.py"
    assert named == FUNCTIONS.keys(), advice.format("FUNCTIONS")
    assert named == DRAWS.keys(), advice.format("DRAWS")


@pytest.mark.parametrize("name", DRAWS)
def test_random_calls(name):
    rng = np.random.default_rng(sum(map(ord, name)))
    compared = 0
    for number in range(CASES):
        drawn = DRAWS[name](rng)
        dtype = np.float32 if some(rng) else np.float64
        reduction = str(rng.choice(["none", "sum", "mean"]))
        wanted = differentiable(name, drawn.arrays) if some(rng, 0.9) else []
        if wanted and some(rng, 0.3):
            wanted = wanted[:1]
        where = f"call {number}: {dtype.__name__}, {reduction}, {drawn.settings}, {wanted}, " + ", ".join(
            f"{key} {array.shape}" for key, array in drawn.arrays.items()
        )
        value, gradient = ask_torch(name, drawn.arrays, drawn.settings, reduction=reduction, wanted=wanted)
        arrays = {key: a.astype(dtype) if a.dtype.kind == "f" else a for key, a in drawn.arrays.items()}
        call = Call(arrays, {**drawn.settings, "reduction": reduction, "gradient": wanted})
        if np.isnan(value).all() and reduction == "mean":
            with pytest.raises(InvalidCall, match="over no elements"):
                evaluate(LOSSES[name], call)
            continue
        answer = evaluate(LOSSES[name], call)
        largest = max(np.abs(a).max(initial=0) for a in arrays.values() if a.dtype.kind == "f")
        assert_near(answer.loss[reduction], value, dtype, where, 1 + largest if name in CANCELLING else 0)
        for key in wanted:
            terms = (1 + np.abs(value).max()) / (answer.denominator if reduction == "mean" else 1)
            assert_near(answer.gradient[reduction][key], gradient[key], dtype, f"{where}: {key}", terms)
        compared += 1
    assert compared > 0.99 * CASES


@pytest.mark.parametrize("name", DRAWS)
def test_upstream_is_what_backward_takes(name):
    rng = np.random.default_rng(5)
    for number in range(100):
        drawn = DRAWS[name](rng)
        wanted = differentiable(name, drawn.arrays)
        rows, _ = ask_torch(name, drawn.arrays, drawn.settings, reduction="none", wanted=[])
        upstream = rng.standard_normal(rows.shape)
        given = {"reduction": "none", "wanted": wanted, "upstream": upstream}
        _, gradient = ask_torch(name, drawn.arrays, drawn.settings, **given)
        options = {**drawn.settings, "reduction": "none", "gradient": wanted}
        answer = evaluate(LOSSES[name], Call({**drawn.arrays, "upstream": upstream}, options))
        for key in wanted:
            terms = 1 + np.abs(rows).max()
            assert_near(
                answer.gradient["none"][key], gradient[key], np.float64, f"call {number}: {key}", terms
            )


def test_ctc_of_free_log_probabilities():
    """PyTorch adds exp(log_probs), as if a softmax stood before them; without it the two agree."""
    rng = np.random.default_rng(11)
    for number in range(300):
        drawn = DRAWS["ctc"](rng)
        arrays = drawn.arrays
        arrays["log_probs"] = arrays.pop("logits") - 5
        given = {"reduction": "sum", "wanted": ["log_probs"]}
        value, gradient = ask_torch("ctc", arrays, drawn.settings, **given)
        answer = evaluate(
            LOSSES["ctc"], Call(arrays, {**drawn.settings, "reduction": "sum", "gradient": ["log_probs"]})
        )
        assert_near(answer.loss["sum"], value, np.float64, f"call {number}")
        posterior = -answer.gradient["sum"]["log_probs"]
        entered = posterior.sum(axis=2, keepdims=True) > 0.5  # frames of samples that have an alignment
        expected = np.where(entered, np.exp(arrays["log_probs"]), 0) - gradient["log_probs"]
        assert_near(posterior, expected, np.float64, f"call {number}", 1.0)


def assert_near(ours, theirs, dtype, where, terms=0.0):
    """Compare to a few ulp of the largest element, or of the size of the terms that cancel in a gradient."""
    assert ours.dtype == dtype, where
    assert ours.shape == theirs.shape, where
    size = max(float(np.abs(theirs).max(initial=0)), terms)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCES[dtype] * size + 1e-300, err_msg=where)
