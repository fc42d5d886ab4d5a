"""The numbers that anyone can check by hand, as JSON in and JSON out, and as the example that prints them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import exp, log
from subprocess import CompletedProcess
from typing import Any, NamedTuple

import httpx
import numpy as np
import pytest


class Case(NamedTuple):
    """One POST and what belongs into its answer."""

    loss: str
    call: Mapping[str, Any]
    answer: Mapping[str, Any]


FOUR = {"input": [1, 2, 3, 4], "target": [1.5, 2.1, 2.9, 4.2]}
NINE = {"input": [[1, 2, 3], [2, 1, 3], [3, 1, 2]], "target": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}
SQUARES = [[0, 4, 9], [4, 0, 9], [9, 1, 1]]
LARGE = {"input": [[300000, 3], [500000, 4]], "target": [[350000, 4], [450000, 3]]}
THREE = {"input": [1, 2, 3], "target": [1, 2, 5]}
THREE_IN_4D = {"input": [[[[1, 2, 3]]]], "target": [[[[1, 2, 5]]]]}
SPREAD = {"input": [0.05, -0.5, 4], "target": [0, 0, 0], "reduction": "none"}
SCORES = {"input": [0.1, 0.2, 0.3], "target": 1}
EXPONENTIALS = [exp(0.1), exp(0.2), exp(0.3)]
SOFTMAX = [value / sum(EXPONENTIALS) for value in EXPONENTIALS]

CASES = {
    "mse as in numpy": Case("mse", FOUR, {"loss": {"mean": 0.0775}, "count": 4, "denominator": 4}),
    "mse along axis 0": Case("mse", FOUR | {"axis": 0}, {"loss": {"mean": 0.0775}}),
    "mse along axis 0 of 3x3": Case("mse", NINE | {"axis": 0}, {"loss": {"mean": [13 / 3, 5 / 3, 19 / 3]}}),
    "3x3, every reduction": Case(
        "mse",
        NINE | {"reduction": ["none", "mean", "sum", "batchmean"]},
        {"loss": {"none": SQUARES, "mean": 37 / 9, "sum": 37, "batchmean": 37 / 3}, "count": 9},
    ),
    "3x3, one reduction": Case("mse", NINE | {"reduction": "batchmean"}, {"loss": {"batchmean": 37 / 3}}),
    "forward and backward": Case(
        "mse",
        LARGE | {"gradient": True},
        {
            "loss": {"mean": 1250000000.5},
            "gradient": {"mean": {"input": [[-25000, -0.5], [25000, 0.5]]}},
            "denominator": 4,
        },
    ),
    "l1": Case("l1", THREE | {"reduction": ["mean", "sum"]}, {"loss": {"mean": 2 / 3, "sum": 2}}),
    "mse": Case("mse", THREE | {"reduction": ["mean", "sum"]}, {"loss": {"mean": 4 / 3, "sum": 4}}),
    "l1 of shape (1, 1, 1, 3)": Case(
        "l1",
        THREE_IN_4D | {"reduction": ["none", "mean", "sum"], "gradient": ["input"]},
        {
            "loss": {"none": [[[[0, 0, 2]]]], "mean": 2 / 3, "sum": 2},
            "gradient": {
                "none": {"input": [[[[0, 0, -1]]]]},
                "mean": {"input": [[[[0, 0, -1 / 3]]]]},
                "sum": {"input": [[[[0, 0, -1]]]]},
            },
        },
    ),
    "mse of shape (1, 1, 1, 3)": Case(
        "mse",
        THREE_IN_4D | {"reduction": ["none", "mean", "sum"], "gradient": ["input"]},
        {
            "loss": {"none": [[[[0, 0, 4]]]], "mean": 4 / 3, "sum": 4},
            "gradient": {
                "none": {"input": [[[[0, 0, -4]]]]},
                "mean": {"input": [[[[0, 0, -4 / 3]]]]},
                "sum": {"input": [[[[0, 0, -4]]]]},
            },
        },
    ),
    "huber, delta 0.1": Case("huber", SPREAD | {"delta": 0.1}, {"loss": {"none": [0.00125, 0.045, 0.395]}}),
    "huber, delta 1": Case("huber", SPREAD | {"delta": 1}, {"loss": {"none": [0.00125, 0.125, 3.5]}}),
    "huber, delta 10": Case("huber", SPREAD | {"delta": 10}, {"loss": {"none": [0.00125, 0.125, 8]}}),
    "cross entropy of class 1": Case(
        "cross_entropy",
        SCORES | {"gradient": True},
        {
            "loss": {"mean": log(sum(EXPONENTIALS)) - 0.2},
            "gradient": {"mean": {"input": [SOFTMAX[0], SOFTMAX[1] - 1, SOFTMAX[2]]}},
            "count": 1,
        },
    ),
}

# PyTorch's own reading: an option that is not given counts as true.
LEGACY = [
    ({"size_average": True, "reduce": True}, {"mean": 37 / 9}),
    ({"size_average": False, "reduce": True}, {"sum": 37}),
    ({"size_average": True, "reduce": False}, {"none": SQUARES}),
    ({"size_average": False, "reduce": False}, {"none": SQUARES}),
    ({"size_average": True}, {"mean": 37 / 9}),
    ({"size_average": False}, {"sum": 37}),
    ({"reduce": True}, {"mean": 37 / 9}),
    ({"reduce": False}, {"none": SQUARES}),
]

# What the example prints to four decimals.
PRINTED = [
    "mse 0.0775",
    "mse along axis 0 0.0775",
    "3x3 mse, none [[0.0, 4.0, 9.0], [4.0, 0.0, 9.0], [9.0, 1.0, 1.0]]",
    "3x3 mse, mean 4.1111",
    "3x3 mse, sum 37.0",
    "3x3 mse, batchmean 12.3333",
    "3x3 mse, size_average=True, reduce=True 4.1111",
    "3x3 mse, size_average=False, reduce=True 37.0",
    "forward 1250000000.5",
    "backward [[-25000.0, -0.5], [25000.0, 0.5]]",
    "l1, mean 0.6667",
    "l1, sum 2.0",
    "mse, mean 1.3333",
    "mse, sum 4.0",
    "cross entropy of class 1 1.1019",
]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_answer_is_what_hand_arithmetic_gives(server: str, case: Case) -> None:
    answer = post(server, case.loss, case.call)
    assert_holds(answer, case.answer)
    assert ("gradient" in answer) == ("gradient" in case.call)
    assert "warnings" not in answer


@pytest.mark.parametrize(("options", "loss"), LEGACY)
def test_legacy_options_choose_the_reduction_and_are_warned_about(
    server: str, options: Mapping[str, bool], loss: Mapping[str, Any]
) -> None:
    answer = post(server, "mse", NINE | options)
    assert_holds(answer, {"loss": loss})
    assert any("size_average" in warning or "reduce" in warning for warning in answer["warnings"])


def test_the_example_prints_the_worked_numbers(run: Callable[..., CompletedProcess[str]]) -> None:
    result = run("worked_numbers")
    assert result.returncode == 0, result.stderr
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert [line for line in PRINTED if line not in lines] == []


@pytest.mark.parametrize(
    "wrong", [{"loss": {"mean": 0.0776}}, {"loss": {"sum": 0.0775}}, {"loss": {"mean": [0.0775]}}]
)
def test_a_wrong_number_key_or_shape_is_noticed(wrong: Mapping[str, Any]) -> None:
    with pytest.raises(AssertionError):
        assert_holds({"loss": {"mean": 0.0775}}, wrong)


def post(server: str, loss: str, call: Mapping[str, Any]) -> dict[str, Any]:
    with httpx.Client(base_url=server, trust_env=False) as client:
        response = client.post(f"/v1/losses/{loss}", json=dict(call))
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def assert_holds(answer: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Hold each expected part of the answer to its keys, shapes and values; other parts may be anything."""
    for part, content in expected.items():
        got = leaves(answer[part])
        wanted = leaves(content)
        assert got.keys() == wanted.keys()
        for path, value in wanted.items():
            assert np.shape(got[path]) == np.shape(value), path
            # 1e-12: double precision, with room for a few roundings in another order.
            np.testing.assert_allclose(got[path], value, rtol=1e-12, atol=0, err_msg=f"{part} {path}")


def leaves(part: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Flatten nested objects: the path of keys to whatever is no object."""
    if not isinstance(part, Mapping):
        return {path: part}
    return {leaf: value for key, inner in part.items() for leaf, value in leaves(inner, (*path, key)).items()}
