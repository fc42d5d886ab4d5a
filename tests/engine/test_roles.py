"""Arguments with a meaning of their own: an order, one number for each row, rows one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.losses import LOSSES
from lossd.message import Answer, Call

LOG3, LOG2 = 1.0986122886681098, 0.6931471805599453


def _ask(name: str, arrays: dict[str, Any], **options: Any) -> Answer:
    return evaluate(LOSSES[name], Call({key: np.asarray(array) for key, array in arrays.items()}, options))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    "durations", [[1_700_000_000, 1_700_000_010, 1_700_000_020], [2**53, 2**53 + 1, 2**53 + 2], [-3, -2, 2**63 - 1]]
)  # fmt: skip
def test_durations_are_ordered_before_they_are_rounded(durations: list[int], dtype: type) -> None:
    arrays = {"log_h": np.zeros(3, dtype), "durations": durations, "events": [True] * 3}
    answer = _ask("cox", arrays, reduction="none", gradient=["log_h", "durations"])
    np.testing.assert_allclose(answer.loss["none"], [LOG3, LOG2, 0], rtol=np.finfo(dtype).eps)
    assert not answer.gradient["none"]["durations"].any()


ROWS = np.random.default_rng(3).standard_normal((2, 3, 3))
VARIANCES = np.array([0.5, 1.0, 4.0])


def test_a_variance_without_the_last_axis_is_one_for_each_row() -> None:
    """As PyTorch has it, also where the matrix is square and NumPy would take the last axis."""
    given = {"input": ROWS[0], "target": ROWS[1]}
    options: dict[str, Any] = {"gradient": ["input", "var"], "hessian": "var"}
    found = _ask("gaussian_nll", {**given, "var": VARIANCES}, **options)
    expected = _ask("gaussian_nll", {**given, "var": VARIANCES[:, None]}, **options)
    assert found.loss == expected.loss
    assert found.gradient["mean"]["var"].shape == (3,)
    for kind in ("gradient", "hessian"):
        array, as_column = (getattr(answer, kind)["mean"]["var"] for answer in (found, expected))
        np.testing.assert_array_equal(array[:, None], as_column)
    np.testing.assert_array_equal(found.gradient["mean"]["input"], expected.gradient["mean"]["input"])
    direction = _ask("gaussian_nll", {**given, "var": VARIANCES, "hvp.var": VARIANCES}).hvp["mean"]["var"]
    np.testing.assert_allclose(direction, found.hessian["mean"]["var"] * VARIANCES, rtol=1e-14)


@pytest.mark.torch
def test_a_variance_without_the_last_axis_is_as_in_pytorch() -> None:
    torch = pytest.importorskip("torch")
    expected = torch.nn.functional.gaussian_nll_loss(*map(torch.tensor, (*ROWS, VARIANCES))).item()
    found = _ask("gaussian_nll", {"input": ROWS[0], "target": ROWS[1], "var": VARIANCES}).loss["mean"]
    assert found == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("var", "message"),
    [
        ([1.0, 2.0], r"expected a shape that broadcasts to \(3, 3\), or \(3,\), got \(2,\) - at `var`"),
        ([1.0, -2.0, 1.0], r"expected numbers >= 0, got -2.0 - at `var\[1\]`"),
    ],
)
def test_an_error_of_a_variance_names_it_as_it_was_given(var: list[float], message: str) -> None:
    with pytest.raises(InvalidCall, match=message):
        _ask("gaussian_nll", {"input": ROWS[0], "target": ROWS[1], "var": var})


def test_tags_one_after_the_other_need_no_sample_of_all_steps() -> None:
    emissions = np.random.default_rng(0).standard_normal((3, 6, 2))
    given = {"emissions": emissions, "lengths": [2, 1, 2], "transitions": np.eye(2)}
    flat = _ask("crf", {**given, "tags": [0, 1, 1, 0, 1]}, reduction="none", gradient=True)
    tags = np.zeros((3, 6), int)
    tags[:, :2] = [[0, 1], [1, 0], [0, 1]]
    padded = _ask("crf", {**given, "tags": tags}, reduction="none", gradient=True)
    np.testing.assert_array_equal(flat.loss["none"], padded.loss["none"])
    np.testing.assert_array_equal(flat.gradient["none"]["emissions"], padded.gradient["none"]["emissions"])


def test_tags_one_after_the_other_take_no_more_memory_than_is_bounded() -> None:
    lengths = np.zeros(3000, int)
    lengths[0] = 3000
    given = {"emissions": np.zeros((3000, 3000, 0)), "lengths": lengths, "transitions": np.zeros((0, 0))}
    with pytest.raises(InvalidCall, match="symbols once padded"):
        _ask("crf", {**given, "tags": np.zeros(3000, int)})
