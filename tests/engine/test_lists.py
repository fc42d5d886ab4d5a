"""Lists of unequal length, flat with their sizes or padded with a mask: as if each list were a call of its own."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pytest

from lossd.declaration.domain import WEIGHT
from lossd.declaration.example import Example
from lossd.declaration.loss import loss
from lossd.declaration.result import Result
from lossd.declaration.role import Role
from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.losses import LOSSES
from lossd.message import Array, Call

Scores = Annotated[Array, Role("(..., L)")]
Weights = Annotated[Array, Role("(...)", domain=WEIGHT)]


@loss(
    formula=r"\ell = w \sum_i t_i\, (x_i - \bar x)^2", source="this test",
    example=Example(input=[[1.0, 3.0]], target=[[1.0, 1.0]], value=[2.0]),
)  # fmt: skip
def scatter(input: Scores, target: Scores, weight: Weights | None = None) -> Result:
    """How far the items of a list are from their mean, which padding would change."""
    apart = input - input.mean(axis=1, keepdims=True)
    weighed = target * apart

    def slope() -> Array:
        found: Array = 2 * (weighed - weighed.mean(axis=1, keepdims=True))
        return found

    return Result((weighed * apart).sum(axis=1), {"input": slope, "target": lambda: apart**2}).times(weight)


RNG = np.random.default_rng(29)
COUNTS = np.array([3, 1, 0, 3, 5, 2])
X, T = RNG.standard_normal((2, COUNTS.sum()))
WIDTH = 6
KEPT = np.arange(WIDTH) < COUNTS[:, None]
MODES = ["none", "sum", "mean", "weighted_mean", "batchmean"]
WEIGHT = RNG.uniform(0.5, 1.5, len(COUNTS))


def put(flat: np.ndarray, kept: np.ndarray = KEPT, filler: float = np.nan) -> np.ndarray:
    whole = np.full(kept.shape, filler)
    whole[kept] = flat
    return whole


def one_by_one() -> tuple[np.ndarray, np.ndarray]:
    """Return the value of each list and the gradient of their sum, of a call for each."""
    values, slopes = np.zeros(len(COUNTS)), []
    for place, part in enumerate(np.split(np.arange(len(X)), np.cumsum(COUNTS)[:-1])):
        if not len(part):
            continue
        answer = evaluate(scatter, Call({"input": X[part], "target": T[part]}, {"gradient": True}))
        values[place] = answer.loss["mean"]
        slopes.append(answer.gradient["mean"]["input"])
    return values, np.concatenate(slopes)


OPTIONS = {"gradient": ["input", "target"], "reduction": MODES}


def test_flat_lists_are_lists_one_by_one():
    values, slope = one_by_one()
    answer = evaluate(scatter, Call({"input": X, "target": T, "group": COUNTS}, OPTIONS))
    np.testing.assert_allclose(answer.loss["none"], values, rtol=1e-14)
    np.testing.assert_allclose(answer.loss["sum"], values.sum(), rtol=1e-14)
    np.testing.assert_allclose(answer.gradient["sum"]["input"], slope, rtol=1e-13, atol=1e-15)
    assert answer.gradient["sum"]["input"].shape == X.shape


@pytest.mark.parametrize("filler", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize("behind", [True, False], ids=["padding behind", "padding anywhere"])
def test_a_mask_of_items_pads_lists_with_anything(filler, behind):
    kept = (
        KEPT
        if behind
        else np.array([np.random.default_rng(i).permutation(row) for i, row in enumerate(KEPT)])
    )
    arrays = {"input": put(X, kept, filler), "target": put(T, kept, filler), "mask": kept}
    masked = evaluate(scatter, Call(arrays, OPTIONS))
    flat = evaluate(scatter, Call({"input": X, "target": T, "group": COUNTS}, OPTIONS))
    for mode in MODES:
        np.testing.assert_array_equal(masked.loss[mode], flat.loss[mode])
        for name in ("input", "target"):
            gradient = masked.gradient[mode][name]
            np.testing.assert_array_equal(gradient[kept], flat.gradient[mode][name])
            assert not gradient[~kept].any()


def test_lists_of_one_length_are_an_array_of_lists():
    rows = RNG.standard_normal((4, 5))
    flat = Call({"input": rows.reshape(-1), "target": rows.reshape(-1) ** 2, "group": np.full(4, 5)}, OPTIONS)
    grouped, plain = (evaluate(scatter, c) for c in (flat, Call({"input": rows, "target": rows**2}, OPTIONS)))
    for mode in MODES:
        np.testing.assert_allclose(grouped.loss[mode], plain.loss[mode], rtol=1e-14)
        np.testing.assert_allclose(
            grouped.gradient[mode]["input"].reshape(4, 5),
            plain.gradient[mode]["input"],
            rtol=1e-13,
            atol=1e-15,
        )


def test_weights_of_lists_multiply_them():
    values, slope = one_by_one()
    per_item = np.repeat(WEIGHT, COUNTS)
    for name in ("weight", "sample_weight"):
        answer = evaluate(scatter, Call({"input": X, "target": T, "group": COUNTS, name: WEIGHT}, OPTIONS))
        np.testing.assert_allclose(answer.loss["none"], values * WEIGHT, rtol=1e-14)
        np.testing.assert_allclose(answer.gradient["sum"]["input"], slope * per_item, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("block_bytes", [1, 64, 1 << 20])
def test_blocks_and_threads_change_nothing(threads, block_bytes):
    call = Call({"input": X, "target": T, "group": COUNTS}, OPTIONS)
    whole, cut = evaluate(scatter, call), evaluate(scatter, call, threads=threads, block_bytes=block_bytes)
    np.testing.assert_array_equal(cut.loss["none"], whole.loss["none"])
    np.testing.assert_array_equal(cut.gradient["none"]["input"], whole.gradient["none"]["input"])


@pytest.mark.parametrize(
    ("group", "at"),
    [
        (COUNTS * 1.0, "group"), (COUNTS[None], "group"), (-COUNTS, "group[0]"), (COUNTS[:-1], "input"),
        (COUNTS + 1, "input"),
    ],
    ids=["real", "of two axes", "negative", "too few", "too many"],
)  # fmt: skip
def test_sizes_that_do_not_fit_are_refused(group, at):
    with pytest.raises(InvalidCall) as refused:
        evaluate(scatter, Call({"input": X, "target": T, "group": group}))
    assert refused.value.errors[0].at == at


def test_sizes_are_an_array_of_losses_of_lists_alone():
    assert "group" in scatter.array_names
    assert scatter.ragged == "L"
    with pytest.raises(InvalidCall, match="at `mask`"):
        evaluate(scatter, Call({"input": put(X), "target": put(T), "mask": KEPT[:, :-1]}))


@pytest.mark.parametrize(
    ("own", "other"),
    [((2, 3), (3,)), ((3,), (2, 3)), ((2, 1), (3,)), ((2, 1), (1, 3)), ((1, 1), (2, 3)), ((2, 3), ())],
    ids=str,
)
def test_a_mask_of_items_marks_those_of_the_broadcast_lists(
    own: tuple[int, ...], other: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(7)
    given = {"input": rng.standard_normal((*own, 4)), "target": rng.standard_normal((*other, 4))}
    mask = rng.random((2, 3, 4)) < 0.6
    options = {"reduction": ["none", "sum"], "gradient": ["input", "target"], "broadcast": True}
    whole = {name: np.broadcast_to(array, mask.shape).copy() for name, array in given.items()}
    found = evaluate(scatter, Call({**given, "mask": mask}, options))
    expected = evaluate(scatter, Call({**whole, "mask": mask}, options))
    np.testing.assert_allclose(found.loss["none"], expected.loss["none"], rtol=1e-14)
    for name, array in given.items():
        lead = mask.ndim - array.ndim
        slope = expected.gradient["sum"][name].sum(axis=tuple(range(lead)))
        stretched = tuple(axis for axis, size in enumerate(array.shape) if size != slope.shape[axis])
        np.testing.assert_allclose(
            found.gradient["sum"][name], slope.sum(axis=stretched, keepdims=True), rtol=1e-13, atol=1e-14
        )


def test_a_wrong_item_of_broadcast_lists_is_named_in_the_callers_own_array() -> None:
    arrays = {
        "input": np.zeros((2, 3)),
        "target": np.array([0, 1, -1]),
        "mask": np.array([[True, True, False], [False, True, True]]),
    }
    with pytest.raises(InvalidCall) as caught:
        evaluate(LOSSES["rank_ndcg"], Call(arrays, {"broadcast": True}))
    assert caught.value.errors[0].at == "target[2]"
