"""What losses over classes make of the rare: one class, unused weights, empty batches, memory that arrays share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.losses import LOSSES
from lossd.losses.scratch import Scratch
from lossd.losses.sums import total_of_any_sign
from lossd.message import Answer, Call

NAN, INF = np.nan, np.inf
FUSED = pytest.mark.parametrize("fused", [True, False], ids=["fused", "unfused"])
TYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])


def ask(name: str, fused: bool = True, **given: Any) -> Answer:
    """Evaluate a loss, with its fused kernel or without."""
    loss = LOSSES[name] if fused else replace(LOSSES[name])
    arrays = {key: np.asarray(value) for key, value in given.items() if key in loss.tensors}
    options = {key: value for key, value in given.items() if key not in arrays}
    return evaluate(loss, Call(arrays, {"gradient": True, "reduction": "sum", **options}))


@pytest.mark.parametrize("value", [INF, -INF, NAN])
def test_a_loss_that_has_no_weight_does_not_matter(value):
    """Rule: what has no weight adds nothing, whatever it holds."""
    for name in ("cross_entropy", "nll"):
        answer = ask(name, input=[[value, 0.0], [0.0, -1.0]], target=[0, 1], weight=[0.0, 1.0])
        rest = ask(name, input=[[0.0, -1.0]], target=[1])
        assert answer.loss["sum"] == rest.loss["sum"]
    answer = ask("bce_with_logits", input=[value, 1.0], target=[0.0, 1.0], weight=[0.0, 1.0])
    assert answer.loss["sum"] == ask("bce_with_logits", input=[1.0], target=[1.0]).loss["sum"]
    assert answer.gradient["sum"]["input"][0] == 0
    for name in ("bce", "bce_with_logits"):
        answer = ask(name, input=[0.5, 0.5], target=[NAN, 1.0], weight=[0.0, 1.0])
        assert np.isfinite(answer.loss["sum"])
    unused = ask("bce_with_logits", input=[2.0], target=[0.0], pos_weight=[value])
    plain = ask("bce_with_logits", input=[2.0], target=[0.0])
    assert unused.loss["sum"] == pytest.approx(plain.loss["sum"], rel=1e-15)
    np.testing.assert_allclose(unused.gradient["sum"]["input"], plain.gradient["sum"]["input"], rtol=1e-15)


def test_an_index_to_ignore_means_nothing_beside_probabilities():
    given: dict[str, Any] = {"input": [[0.0, 1.0]], "target": [[0.5, 0.5]]}
    for ignored in (1, -1):
        with pytest.raises(InvalidCall) as refused:
            ask("cross_entropy", **given, ignore_index=ignored)
        assert [(fault.at, fault.got) for fault in refused.value.faults] == [("ignore_index", str(ignored))]
    default = ask("cross_entropy", **given, ignore_index=-100)
    assert default.loss["sum"] == ask("cross_entropy", **given).loss["sum"]


@pytest.mark.parametrize("target", [np.zeros(0, np.int64), np.zeros(0)], ids=["integers", "an empty list"])
@pytest.mark.parametrize("name", ["cross_entropy", "nll"])
def test_no_rows_with_class_weights_are_nothing(name, target):
    given = {
        "input": np.zeros((0, 3)),
        "target": target,
        "weight": np.ones(3),
        "gradient": ["input", "weight"],
    }
    answer = ask(name, **given, **{"reduction": ["none", "sum"]})
    assert answer.loss["none"].shape == (0,)
    assert answer.loss["sum"] == answer.count == answer.denominator == 0
    with pytest.raises(InvalidCall) as refused:
        ask(name, **given, **{"reduction": "mean"})
    assert [fault.at for fault in refused.value.faults] == ["reduction"]
    for empty, expected in {"nan": NAN, "zero": 0.0}.items():
        answer = ask(name, **given, **{"reduction": "mean", "empty": empty})
        np.testing.assert_array_equal(answer.loss["mean"], expected)
        assert not answer.gradient["mean"]["weight"].any()


SHARING = {
    "labels": ("bce_with_logits", np.array([0.0, 1, 1, 0, 1, 0])),
    "soft": ("bce_with_logits", np.array([0.1, 0.7, 0.4, 1, 0, 0.2])),
    "probable labels": ("bce", np.array([0.0, 1, 1, 0, 1, 0])),
    "probable": ("bce", np.array([0.1, 0.7, 0.4, 0.9, 0.3, 0.2])),
}


@pytest.mark.parametrize("shift", [0, 1], ids=["the same array", "overlapping views"])
@pytest.mark.parametrize("taken", ["input", "target"])
@pytest.mark.parametrize("case", SHARING)
def test_a_fused_kernel_reads_its_arguments_before_it_writes_over_them(case, taken, shift):
    name, memory = SHARING[case][0], SHARING[case][1].copy()
    given = {"input": memory[shift:], "target": memory[: len(memory) - shift]}
    fused = LOSSES[name].tuned
    assert fused is not None
    out = np.empty(len(memory) - shift)
    apart = {key: array.copy() for key, array in given.items()}
    with np.errstate(all="ignore"):
        value = fused.kernel(**apart, scale=np.float64(0.5), out=out, scratch=Scratch())
        again = fused.kernel(**given, scale=np.float64(0.5), out=given[taken], scratch=Scratch())
    assert again == value
    np.testing.assert_array_equal(given[taken], out)


@pytest.mark.parametrize(
    "logits", [[0.0, 1, 2], [200.0, -900, 1e5], [INF, 0, 1]], ids=["near", "far", "certain"]
)
@pytest.mark.parametrize("name", ["cross_entropy", "nll"])
def test_a_fused_kernel_of_classes_writes_over_its_input(name, logits):
    fused = LOSSES[name].tuned
    assert fused is not None
    x, target, out = np.array([logits, [0.5, -1, 2]]), np.array([0, 2]), np.empty((2, 3))
    with np.errstate(all="ignore"):
        value = fused.kernel(x.copy(), target, scale=np.float64(0.5), out=out, scratch=Scratch())
        again = fused.kernel(x, target, scale=np.float64(0.5), out=x, scratch=Scratch())
    assert again == value
    np.testing.assert_array_equal(x, out)


@FUSED
@pytest.mark.parametrize("rows", [3, 300, 4096])
def test_values_of_either_sign_cancel_without_a_trace(rows, fused):
    picked = np.resize(np.array([1e8, -1e8, 1], np.float32), rows)
    x = np.stack([picked, picked * 0], axis=1)
    exact = -float(picked.astype(np.float64).sum())
    assert ask("nll", fused, input=x, target=np.zeros(rows, np.int64)).loss["sum"] == np.float32(exact)
    assert total_of_any_sign(picked) == -exact
