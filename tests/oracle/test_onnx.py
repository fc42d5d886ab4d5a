"""ONNX's node tests of its two classification losses: inputs and outputs as its backends must give them."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.losses import find
from lossd.message import Call

with gzip.open(Path(__file__).parent / "data" / "onnx.jsonl.gz", "rt") as lines:
    CASES = [json.loads(line) for line in lines]
NAMES = {"x": "input", "y": "target", "w": "weight"}
RTOL = 4 * np.finfo(np.float32).eps  # its outputs are float32, computed in float32


def array(tensor):
    return np.array(tensor["data"], tensor["dtype"]).reshape(tensor["shape"])


def ask(case, **instead):
    arrays = {NAMES.get(name, name): array(tensor) for name, tensor in case["inputs"].items()} | instead
    return arrays, evaluate(find(case["op"]), Call(arrays, case["attrs"]))


def test_all_cases_are_used():
    assert Counter(case["op"] for case in CASES) == {
        "SoftmaxCrossEntropyLoss": 28,
        "NegativeLogLikelihoodLoss": 15,
    }
    assert sum("log_prob" in case["outputs"] for case in CASES) == 14
    assert all(case["attrs"].keys() <= {"reduction", "ignore_index"} for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_values(case):
    reduction = case["attrs"]["reduction"]
    expected = array(next(tensor for name, tensor in case["outputs"].items() if name != "log_prob"))
    _, answer = ask(case)
    assert answer.loss[reduction].dtype == np.float32
    assert answer.loss[reduction].shape == expected.shape
    np.testing.assert_allclose(answer.loss[reduction], expected, rtol=RTOL)


@pytest.mark.parametrize(
    "case", [case for case in CASES if "log_prob" in case["outputs"]], ids=lambda case: case["name"]
)
def test_log_probabilities(case):
    """The loss of every sample for each class in turn is minus its logarithm."""
    expected = array(case["outputs"]["log_prob"])
    given = {name: case["inputs"][name] for name in "xy"}
    for label in range(expected.shape[1]):
        target = np.full(case["inputs"]["y"]["shape"], label)
        _, answer = ask({**case, "inputs": given, "attrs": {"reduction": "none"}}, target=target)
        np.testing.assert_allclose(-answer.loss["none"], expected[:, label], rtol=RTOL)
