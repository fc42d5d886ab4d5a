"""Calls that mean nothing: each is refused with the place, what belongs there and what was there."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.losses import find
from lossd.message import Call

NAN = np.nan
LOGITS = [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
FRAMES = np.zeros((4, 2, 3))


class Refusal(NamedTuple):
    """A call that is refused, and what the error says."""

    loss: str
    call: dict[str, Any]
    at: str
    expected: str = ""
    got: str = ""


def mse(**call: Any) -> dict[str, Any]:
    return {"input": [1.0, 2.0], "target": [1.0, 2.0]} | call


def huber(**call: Any) -> dict[str, Any]:
    return mse(**call)


def ce(**call: Any) -> dict[str, Any]:
    return {"input": LOGITS, "target": [0, 2]} | call


def ctc(**call: Any) -> dict[str, Any]:
    given = {
        "log_probs": FRAMES,
        "targets": [[1, 2], [2, 1]],
        "input_lengths": [4, 4],
        "target_lengths": [2, 2],
    }
    return {name: value for name, value in (given | call).items() if value is not None}


def items(**call: Any) -> dict[str, Any]:
    return {"embeddings": np.eye(4), "labels": [0, 0, 1, 1]} | call


REFUSALS = {
    "forms of one row": Refusal(
        "cross_entropy", ce(input=[1.0, 2.0, 3.0], target=[2]), "target",
        "whole numbers in [0, 3) of shape (), or numbers in [0, 1] of shape (..., 3)", "(1,)",
    ),
    "forms of several rows": Refusal(
        "cross_entropy", ce(target=[[2], [1]]), "target",
        "whole numbers in [0, 3) of shape (2,), or numbers in [0, 1] of shape (..., 3)", "(2, 1)",
    ),
    "another word for a choice": Refusal("mse", mse(reduction="avg"), "reduction", '"mean"', "did you mean mean?"),
    "another word in a list": Refusal(
        "mse", mse(reduction=["total"]), "reduction[0]", '"sum"', "did you mean sum?",
    ),
    # names
    "unknown argument": Refusal(
        "mse", mse(inptu=[1.0]), "inptu", "an argument or setting of mse", "did you mean input",
    ),
    "unknown option": Refusal("mse", mse(reductions="sum"), "reductions", "or a general option", "reduction"),
    "another loss's setting": Refusal("mse", mse(delta=1.0), "delta", "an argument or setting of mse"),
    "missing argument": Refusal(
        "mse", {"input": [1.0]}, "target", "numbers of shape (...)", "nothing, only input",
    ),
    "nothing at all": Refusal("mse", {}, "input", "numbers", "nothing"),
    "both alternatives": Refusal("ctc", ctc(logits=FRAMES), "log_probs or logits", "exactly one of", "2 of them"),
    "neither alternative": Refusal(
        "ctc", ctc(log_probs=None), "log_probs or logits", "exactly one of", "0 of them",
    ),
    "classes of a real type": Refusal(
        "cross_entropy", {"input": [[0.0, 1.0], [1.0, 0.0]], "target": [1.0, 0.0]}, "target",
        "whole numbers in [0, C) of an integer type (1, not 1.0), or numbers in [0, 1] of shape (..., C)",
        "float64 values of shape (2,)",
    ),
    # shapes
    "a column against a vector": Refusal(
        "mse", {"input": [1.0, 2.0], "target": [[1.0], [2.0]]}, "target", "the 1 batch axes of input, (2,)",
        "(2, 1); a broadcast would make it (2, 2) (broadcast: true); to pair the elements, reshape target to (2,)",
    ),
    "a row against a column": Refusal(
        "mse", {"input": [[1.0], [2.0]], "target": [[1.0, 2.0]]}, "target", "batch shape (2, 1) as input has",
        "to pair the elements, reshape target to (2, 1)",
    ),
    "shapes that broadcast": Refusal(
        "mse", mse(target=[[1.0], [2.0]]), "target", "the 1 batch axes of input, (2,)",
        "(2, 1); a broadcast would make it (2, 2) (broadcast: true)",
    ),
    "shapes that do not": Refusal(
        "mse", mse(target=[1.0, 2.0, 3.0]), "target", "batch shape (2,) as input has", "axis 0",
    ),
    "which axis": Refusal(
        "mse", {"input": np.zeros((2, 3, 4)), "target": np.zeros((2, 1, 4))}, "target", "(2, 3, 4)",
        "differs on axis 1; a broadcast would make it (2, 3, 4)",
    ),
    "weight's shape": Refusal("mse", mse(weight=[1.0]), "weight", "(2,)", "(1,)"),
    "factor's shape": Refusal(
        "bce", mse(input=[0.5, 0.5], target=[0.0, 1.0], weight=[1.0] * 3), "weight", "broadcasts to (2,)",
    ),
    "class weights": Refusal(
        "cross_entropy", ce(weight=[1.0, 1.0]), "weight", "C = 3 as in the other arrays", "2",
    ),
    "class weights' axes": Refusal("cross_entropy", ce(weight=[[1.0] * 3]), "weight", "shape (C)", "(1, 3)"),
    "logits without classes": Refusal("cross_entropy", {"input": 1.0, "target": 0}, "input", "shape (..., C)", "()"),
    "logits of no class": Refusal(
        "cross_entropy", {"input": np.zeros((2, 0)), "target": np.zeros((2, 0))}, "input",
    ),
    "one target too few": Refusal("cross_entropy", ce(target=[0]), "target", "(2,)", "(1,)"),
    "other classes": Refusal(
        "cross_entropy",
        ce(target=[[1.0, 0.0], [0.0, 1.0]]),
        "target",
        "numbers in [0, 1] of shape (..., 3)",
    ),
    "mask's shape": Refusal("mse", mse(mask=[True] * 3), "mask", "broadcasts to", "(3,)"),
    "sample_weight's shape": Refusal(
        "mse", mse(sample_weight=[1.0] * 3), "sample_weight", "broadcasts to", "(3,)",
    ),
    "upstream's shape": Refusal("mse", mse(upstream=[1.0], reduction="none"), "upstream", "(2,)", "(1,)"),
    "hvp's shape": Refusal("mse", mse(hvp=[1.0]), "hvp", "the shape of input", "(1,)"),
    "dimensions": Refusal(
        "triplet_margin", {"anchor": np.ones((2, 3)), "positive": np.ones((2, 3)), "negative": np.ones((2, 4))},
        "negative", "D = 3", "4",
    ),
    "pixels in another order": Refusal(
        "dice", {"input": np.zeros((2, 3)), "target": np.zeros((3, 2))},
        "target", "shape (2, 3) as input has", "(3, 2)",
    ),
    "pixels along axes in another order": Refusal(
        "dice", {"input": np.zeros((2, 3, 4)), "target": np.zeros((2, 4, 3)), "axis": [1, 2]},
        "target", "shape (2, 3, 4) as input has", "(2, 4, 3)",
    ),
    "pixels with one axis more": Refusal(
        "dice", {"input": np.zeros(2), "target": np.zeros((1, 2))}, "target", "shape (2,) as input has", "(1, 2)",
    ),
    "pixels of other images": Refusal(
        "dice", {"input": np.zeros((2, 3)), "target": np.zeros((4, 3)), "axis": 1}, "target", "(2,)", "(4,)",
    ),
    "pixels do not broadcast": Refusal(
        "dice", {"input": np.zeros((2, 3)), "target": np.zeros((2, 1)), "axis": 1, "broadcast": True},
        "target", "shape (2, 3) as input has", "(2, 1)",
    ),
    "items in two axes": Refusal(
        "nt_xent", {"embeddings": np.ones((4, 3, 2)), "labels": np.zeros((4, 3), int)},
        "embeddings", "shape (N, D)", "(4, 3, 2)",
    ),
    "one item without its axis": Refusal(
        "nt_xent", {"embeddings": np.ones(2), "labels": 0}, "embeddings", "shape (N, D)", "(2,)",
    ),
    "quantiles": Refusal(
        "multi_quantile", {"input": [[1.0, 2.0]], "target": [1.0], "quantiles": [0.5]}, "quantiles", "Q = 2", "1"
    ),
    "frames of four axes": Refusal(
        "ctc", ctc(log_probs=np.zeros((4, 2, 1, 3))), "targets", "the 2 batch axes of log_probs, (2, 1)",
    ),
    "length of none": Refusal("ctc", ctc(target_lengths=2), "target_lengths", "(2,)", "()"),
    "lengths that do not broadcast": Refusal(
        "ctc", ctc(target_lengths=[2, 2, 2], broadcast=True), "target_lengths", "batch shape (2,)", "do not broadcast",
    ),
    "padding out of proportion": Refusal(
        "ctc", {
            "log_probs": np.zeros((1, 20_000, 2)), "targets": np.ones(20_000, int),
            "input_lengths": np.ones(20_000, int), "target_lengths": np.r_[20_000, np.zeros(19_999, int)],
        }, "target_lengths", "symbols once padded", "400000000",
    ),
    # values
    "class index too large": Refusal(
        "cross_entropy", ce(target=[0, 3]), "target[1]", "whole numbers in [0, 3)", "3",
    ),
    "class index negative": Refusal("nll", ce(target=[-1, 0]), "target[0]", "whole numbers in [0, 3)", "-1"),
    "class index of a pixel": Refusal(
        "cross_entropy", {"input": np.zeros((2, 3, 4, 5)), "target": np.full((2, 4, 5), 7)}, "target[0][0][0]", "[0, 3)"
    ),
    "class index with weights": Refusal(
        "cross_entropy", ce(target=[0, 9], weight=[1.0] * 3), "target[1]", "", "9",
    ),
    "class index above int64": Refusal(
        "cross_entropy", ce(target=np.array([0, 2**64 - 1], np.uint64)), "target[1]", "[0, 3)", "18446744073709551615"
    ),
    "class index that wraps to ignore_index": Refusal(
        "cross_entropy", ce(target=np.array([0, 2**64 - 100], np.uint64), weight=[1.0] * 3), "target[1]", "[0, 3)"
    ),
    "index among targets not checked": Refusal("nll", ce(target=[0, 3], check_target="none"), "target[1]"),
    "probability above 1": Refusal(
        "bce", mse(input=[0.5, 1.5], target=[0.0, 1.0]), "input[1]", "numbers in [0, 1]", "1.5",
    ),
    "probability below 0": Refusal(
        "bce", mse(input=[0.5, 0.5], target=[0.0, -0.5]), "target[1]", "[0, 1]", "-0.5",
    ),
    "class probability above 1": Refusal(
        "cross_entropy", ce(target=[[0.0, 1.0, 0.0], [0.0, 0.0, 2.0]]), "target[1][2]", "numbers in [0, 1]", "2.0"
    ),
    "probabilities that sum to 1.1": Refusal(
        "cross_entropy", ce(target=[[0.0, 1.0, 0.0], [0.1, 0.0, 1.0]], check_target="strict"), "target[1][:]",
        "probabilities that sum to 1", "1.1",
    ),
    "quantile of 1": Refusal(
        "multi_quantile", {"input": [[1.0, 2.0]], "target": [1.0], "quantiles": [0.5, 1.0]},
        "quantiles[1]", "(0, 1)", "1.0",
    ),
    "pixel": Refusal(
        "dice", {"input": [[0.5, 2.0]], "target": [[0.0, 1.0]], "axis": 1}, "input[0][1]", "[0, 1]", "2.0",
    ),
    "NaN where finite is demanded": Refusal(
        "mse", mse(input=[1.0, NAN], check_finite=True), "input[1]", "a finite number",
    ),
    "infinite weight likewise": Refusal(
        "mse", mse(sample_weight=[np.inf, 1.0], check_finite=True), "sample_weight[0]", "a finite number", "Infinity"
    ),
    "blank among the targets": Refusal(
        "ctc", ctc(targets=[[1, 0], [2, 1]]), "targets[0][1]", "other than blank, 0", "0",
    ),
    "symbol out of range": Refusal(
        "ctc", ctc(targets=[[1, 2], [3, 1]]), "targets[1][0]", "whole numbers in [0, 3) other than blank, 0", "3",
    ),
    "concatenated symbol": Refusal(
        "ctc", ctc(targets=[1, 2, 1, 9]), "targets[3]", "whole numbers in [0, 3) other than blank, 0", "9",
    ),
    "concatenated too short": Refusal("ctc", ctc(targets=[1, 2, 1]), "targets", "4 symbols, the sum of", "3"),
    "blank out of range": Refusal("ctc", ctc(blank=3), "blank", "whole numbers in [0, 3)", "3"),
    "frames too few": Refusal("ctc", ctc(input_lengths=[4, 5]), "input_lengths[1]", "[0, 4]", "5"),
    "labels too few": Refusal("ctc", ctc(target_lengths=[3, 2]), "target_lengths[0]", "[0, 2]", "3"),
    "negative length": Refusal("ctc", ctc(target_lengths=[2, -1]), "target_lengths[1]", "[0, 2]", "-1"),
    # types
    "class index that is not whole": Refusal(
        "cross_entropy", ce(target=[0.0, 1.0]), "target", "whole numbers", "float64",
    ),
    "booleans": Refusal("mse", mse(input=[True, False]), "input", "numbers", "bool"),
    "strings": Refusal("mse", mse(input=["1", "2"]), "input", "numbers", "<U1"),
    "objects": Refusal("mse", mse(input=np.array([None, 1.0])), "input", "numbers", "object"),
    "dates": Refusal("mse", mse(input=np.array(["2020-01-01"] * 2, "M8[D]")), "input", "numbers", "datetime64"),
    "records": Refusal("mse", mse(input=np.zeros(2, [("a", "f4")])), "input", "numbers"),
    "extended precision": Refusal("mse", mse(input=np.zeros(2, np.longdouble)), "input", "numbers"),
    "complex classes": Refusal(
        "cross_entropy", ce(input=np.zeros((2, 3), complex)), "input", "no meaning for complex",
    ),
    "complex dtype": Refusal("cross_entropy", ce(dtype="complex64"), "dtype", "a real type", "complex64"),
    "complex into real": Refusal(
        "mse", mse(input=np.ones(2, complex), dtype="float32"), "dtype", "complex", "float32",
    ),
    "complex weight of samples": Refusal(
        "mse", mse(sample_weight=np.ones(2, complex)), "sample_weight", "numbers",
    ),
    "complex upstream": Refusal(
        "mse", mse(upstream=np.ones(2, complex), reduction="none"), "upstream", "real numbers", "complex128",
    ),
    "complex direction": Refusal("mse", mse(hvp=np.ones(2, complex)), "hvp", "real numbers", "complex128"),
    "direction of nothing known": Refusal(
        "mse", mse(**{"hvp.inptu": np.ones(2)}), "hvp.inptu", "an argument or setting", "did you mean hvp.input?",
    ),
    "Hessian of nothing known": Refusal(
        "mse", mse(hessian="inpt"), "hessian", "true, false or one of input, target", '"inpt"; did you mean input?',
    ),
    "Python's spelling of true": Refusal(
        "mse", mse(gradient="True"), "gradient", "true, false or one of input", '"True"; did you mean true?',
    ),
    "event of a fraction": Refusal(
        "cox", {"log_h": [0.0, 1.0], "durations": [1.0, 2.0], "events": [1.0, 0.5]}, "events[1]", "1 and 0", "0.5",
    ),
    "mask of fractions": Refusal("mse", mse(mask=[1.0, 0.5]), "mask[1]", "true and false, or 1 and 0", "0.5"),
    "mask of twos": Refusal("mse", mse(mask=[2, 1]), "mask[0]", "true and false, or 1 and 0"),
    "array for a number": Refusal("huber", huber(delta=[1.0]), "delta", "a number"),
    # settings and options
    "label_smoothing 1.5": Refusal(
        "cross_entropy", ce(label_smoothing=1.5), "label_smoothing", "a number <= 1", "1.5",
    ),
    "label_smoothing -0.1": Refusal("cross_entropy", ce(label_smoothing=-0.1), "label_smoothing", ">= 0", "-0.1"),
    "delta 0": Refusal("huber", huber(delta=0.0), "delta", "a number > 0", "0.0"),
    "beta negative": Refusal("smooth_l1", huber(beta=-1.0), "beta", "a number >= 0", "-1.0"),
    "delta NaN": Refusal("huber", huber(delta=NAN), "delta", "a finite number", "number NaN"),
    "setting as a string": Refusal("huber", huber(delta="1"), "delta", "a number", 'string "1"'),
    "setting as true": Refusal("huber", huber(delta=True), "delta", "a number", "boolean true"),
    "unknown reduction": Refusal("mse", mse(reduction="median"), "reduction", '"none", "sum", "mean"', '"median"'),
    "no reduction": Refusal("mse", mse(reduction=[]), "reduction", "at least one name", "an empty list"),
    "one wrong reduction": Refusal("mse", mse(reduction=["sum", "max"]), "reduction[1]", '"none", "sum"', '"max"'),
    "gradient of nothing known": Refusal(
        "mse", mse(gradient=["inputs"]), "gradient[0]", "one of input, target", '"inputs"; did you mean input?',
    ),
    "gradient of an absent argument": Refusal(
        "mse", mse(gradient=["weight"]), "gradient[0]", "one of input, target",
    ),
    "gradient of an index": Refusal(
        "cross_entropy", ce(gradient=["target"]), "gradient[0]", "one of input", '"target"',
    ),
    "axis out of range": Refusal("mse", mse(axis=1), "axis", "axes of the unreduced loss, which has 1", "1"),
    "axis twice": Refusal("mse", mse(axis=[0, -1]), "axis", "every axis once", "[0, -1]"),
    "dice axis out of range": Refusal("dice", mse(axis=2), "axis", "axes of an array that has 1", "2"),
    "dice axis twice": Refusal("dice", mse(axis=[0, -1]), "axis", "every axis once", "[0, -1]"),
    "denominator 0": Refusal("mse", mse(denominator=0), "denominator", "a number > 0", "0"),
    "hvp of ctc": Refusal("ctc", ctc(hvp=np.zeros((4, 2, 3))), "hvp", "and not ctc"),
    "hvp of a name": Refusal(
        "ctc", ctc() | {"hvp.log_probs": np.zeros((4, 2, 3))}, "hvp.log_probs", "and not ctc",
    ),
    "hvp of another argument": Refusal(
        "mse", mse() | {"hvp.weight": [1.0, 1.0]}, "hvp.weight", "a direction for one of input, target",
    ),
    "hvp of another shape": Refusal("mse", mse() | {"hvp.target": [1.0]}, "hvp.target", "the shape of target"),
    "hessian of labels": Refusal("cross_entropy", ce(hessian=["target"]), "hessian[0]", "one of input"),
    "hessian of one name": Refusal("mse", mse(hessian="x"), "hessian", "one of input, target", "x"),
    "hessian of a denominator": Refusal(
        "mse", mse(weight=[1.0, 2.0], hessian="weight"), "hessian", "another reduction than mean",
    ),
    "classes on no axis": Refusal("cross_entropy", ce(class_axis=2), "class_axis", "an axis of an array"),
    "classes on half an axis": Refusal("cross_entropy", ce(class_axis=0.5), "class_axis", "a whole number"),
    # nothing to average
    "empty batch": Refusal("mse", mse(input=[], target=[]), "reduction", "something to average", "a mean"),
    "all ignored": Refusal(
        "cross_entropy", ce(target=[-100, -100]), "reduction", "`empty` set to 'nan' or 'zero'", "a mean",
    ),
    "all weigh zero": Refusal(
        "mse", mse(weight=[0.0, 0.0]), "reduction", "something to average", "has zero weight",
    ),
}  # fmt: skip


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize("gradient", [False, True], ids=["value", "gradient"])
def test_refusal_names_the_place(refusal, gradient):
    loss = find(refusal.loss)
    arrays = {
        name: np.asarray(value)
        for name, value in refusal.call.items()
        if _is_array(value, name, loss.array_names)
    }
    options = {name: value for name, value in refusal.call.items() if name not in arrays}
    with pytest.raises(InvalidCall) as refused:
        evaluate(loss, Call(arrays, {"gradient": gradient} | options))
    detail = refused.value.errors[0]
    assert detail.at == refusal.at
    assert refusal.expected in detail.expected
    assert refusal.got in detail.got
    assert str(detail) in str(refused.value)
    assert len(str(refused.value)) < 500


def test_every_wrong_name_is_told_at_once():
    with pytest.raises(InvalidCall) as refused:
        evaluate(find("huber"), Call({"inptu": np.zeros(1)}, {"delta": -1.0}))
    assert {detail.at for detail in refused.value.errors} == {"input", "target", "inptu", "delta"}


def _is_array(value: Any, name: str, tensors: frozenset[str]) -> bool:
    return isinstance(value, np.ndarray) or name in tensors or (isinstance(value, list) and name == "delta")
