"""The Hessian's diagonal of `nt_xent`, where each embedding moves every item's loss, against two others.

Exact: second differences of the oracle's values. They are kept in 360 digits, so steps of 1e-60 leave 240, and are
wrong by the square of a step. And PyTorch's: autograd twice, over its own functions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.losses import LOSSES
from lossd.message import Answer, Call
from tests.oracle.case import Case
from tests.oracle.cases import draw_cases
from tests.oracle.exact import MP, numbers
from tests.oracle.records import ORACLES

STEP = MP.mpf(10) ** -60  # of an embedding's norm
REDUCTIONS = ["none", "sum", "mean", "batchmean", "weighted_mean"]
TYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
LABELS = np.array([0, 0, 0, 1, 1, 2, 0, 3])  # two items have no positive


def ask(case: Case, arrays: Any = (), **options: Any) -> Answer:
    return evaluate(LOSSES["nt_xent"], Call({**case.arrays, **dict(arrays)}, {**case.settings, **options}))


def second_differences(case: Case) -> np.ndarray:
    """Return how each item's loss bends with each element, ``(items, N, D)`` exact numbers."""
    embeddings, labels = numbers(case.arrays["embeddings"]), numbers(case.arrays["labels"])

    def values() -> np.ndarray:
        rows = ORACLES["nt_xent"].formula(embeddings=embeddings, labels=labels, **case.settings)
        return np.array([MP.fsum(row.value) for row in rows], object)

    here = values()
    bends = np.empty((len(here), *case.arrays["embeddings"].shape), object)
    for a, row in enumerate(embeddings):
        step = STEP * MP.sqrt(MP.fsum(x * x for x in row))
        for d, x in enumerate(row):
            around = []
            for row[d] in (x - step, x + step):
                around.append(values())
            row[d] = x
            bends[:, a, d] = (sum(around) - 2 * here) / step**2
    return bends


def cold(dtype: Any, temperature: float) -> Case:
    """Draw embeddings whose likest negative is all there is, the more so the colder."""
    embeddings = np.random.default_rng(3).standard_normal((6, 4)).astype(dtype)
    return Case("cold", {"embeddings": embeddings, "labels": np.arange(6) % 3}, {"temperature": temperature})


def learnt(dtype: Any, temperature: float) -> Case:
    """Draw embeddings that lie with their own, so that the loss is all but nothing."""
    rng = np.random.default_rng(4)
    labels = np.arange(6) % 2
    embeddings = rng.standard_normal((2, 4))[labels] + 1e-3 * rng.standard_normal((6, 4))
    arrays = {"embeddings": embeddings.astype(dtype), "labels": labels}
    return Case("learnt", arrays, {"temperature": temperature})


def on_circle(dtype: Any, cosines: list[float], *, labels: list[int]) -> Case:
    """Place items by their cosines with the first."""
    angle = np.arccos(cosines)
    embeddings = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(dtype)
    return Case("circle", {"embeddings": embeddings, "labels": np.array(labels)}, {"temperature": 1e-3})


def draw(*, rows: int = 8, size: int = 3, temperature: float = 0.2) -> Case:
    embeddings = np.random.default_rng(5).standard_normal((rows, size))
    return Case("drawn", {"embeddings": embeddings, "labels": LABELS[:rows]}, {"temperature": temperature})


def worst(case: Case) -> float:
    """Return the largest error in ulp of the same embedding's largest element."""
    upstream = np.random.default_rng(9).uniform(0.5, 1.5, len(case.arrays["labels"]))
    got = ask(case, {"upstream": upstream}, reduction="none", hessian=True).hessian["none"]["embeddings"]
    exact = np.tensordot(numbers(upstream), second_differences(case), axes=1)
    limits = np.finfo(case.arrays["embeddings"].dtype)
    assert got.dtype == limits.dtype
    assert got.shape == exact.shape
    beyond = abs(exact) > float(limits.max)
    assert np.isinf(got[beyond]).all()
    # Where an ulp of the largest is infinite, so is what rounding leaves of a zero.
    beyond |= abs(exact).max(axis=1, keepdims=True) * float(limits.eps) > float(limits.max)
    got[beyond] = exact[beyond] = 0
    error = abs(got.astype(float).astype(object) - exact)
    ulp = abs(exact).max(axis=1, keepdims=True) * float(limits.eps) + float(limits.tiny)
    return float((error / ulp).max())


@pytest.mark.slow
@TYPES
def test_the_curvature_is_exact(dtype):
    """The bound is that of value and gradient: half an ulp in an exponent is as many as half the exponent.

    Embeddings close to each other are left out: their rounding alone changes the curvature by more than that.
    """
    drawn = [cold(dtype, 1e-2), cold(dtype, 1e-3), learnt(dtype, 0.07), learnt(dtype, 0.01)]
    known = [case for case in draw_cases("nt_xent", dtype) if not case.name.startswith("close")]
    for case in [*known, *drawn]:
        assert worst(case) <= ORACLES["nt_xent"].ulps(case), case


@TYPES
def test_where_one_negative_is_all_there_is_no_digit_is_lost(dtype):
    """The exponents' errors do not show where the shares are 0 and 1, nor may a variance that is 0."""
    assert worst(cold(dtype, 1e-5)) <= 8


@TYPES
def test_what_is_left_to_the_others_is_not_what_rounding_leaves(dtype):
    """The second negative's share, and what the positive has of one, are near an ulp of 1 and weigh 1e6."""
    digits = -float(np.log(np.finfo(dtype).eps))
    shared = on_circle(dtype, [1.0, 0.5, 0.9, 0.9 - 5e-4 * digits], labels=[0, 0, 1, 2])
    assert worst(shared) <= ORACLES["nt_xent"].ulps(shared)
    alone = on_circle(dtype, [1.0, 0.5, 0.501 + 1e-3 * digits], labels=[0, 0, 1])
    assert worst(alone) <= 8


def test_weights_masks_and_every_reduction():
    """Each reduction's is that of the sum that it is; what the mask leaves out is in no pair."""
    case = draw()
    rng = np.random.default_rng(6)
    weight, upstream, mask = rng.uniform(0, 2, 8), rng.standard_normal(8), np.arange(8) != 1
    kept = Case("kept", {name: array[mask] for name, array in case.arrays.items()}, case.settings)
    bends = second_differences(kept).astype(float)
    arrays = {"sample_weight": weight, "upstream": upstream, "mask": mask}
    answer = ask(case, arrays, reduction=REDUCTIONS, hessian=True)
    pairs = np.array([2, 2, 1, 1, 0, 2, 0])  # of 0, 0, 1, 1, 2, 0, 3
    taken = weight[mask]
    factors = {
        "none": taken * upstream[mask],
        "sum": taken,
        "mean": taken / pairs.sum(),
        "batchmean": taken / 8,
        "weighted_mean": taken / (taken * pairs).sum(),
    }
    for reduction, factor in factors.items():
        got = answer.hessian[reduction]["embeddings"]
        expected = np.tensordot(factor, bends, axes=1)
        np.testing.assert_allclose(got[mask], expected, rtol=0, atol=1e-13 * abs(expected).max())
        assert not got[~mask].any()
    del arrays["upstream"]  # which goes with none alone
    along = ask(case, arrays, reduction=["sum", "mean"], hessian=True, axis=0)
    for reduction in ("sum", "mean"):
        np.testing.assert_array_equal(
            along.hessian[reduction]["embeddings"], answer.hessian[reduction]["embeddings"]
        )


@pytest.mark.parametrize("labels", [[0], [0, 0, 0], [0, 1, 2]], ids=["alone", "no negative", "no positive"])
def test_without_pairs_nothing_bends(labels):
    case = draw(rows=len(labels))
    answer = ask(case, {"labels": np.array(labels)}, reduction=["none", "sum"], hessian=True)
    for found in answer.hessian.values():
        np.testing.assert_array_equal(found["embeddings"], np.zeros((len(labels), 3)))


def test_an_item_without_direction_has_neither_gradient_nor_curvature():
    case = draw()
    case.arrays["embeddings"][2] = 0
    answer = ask(case, gradient=True, hessian=True)
    assert np.isfinite(answer.loss["mean"])
    for found in (answer.gradient, answer.hessian):
        assert np.isfinite(found["mean"]["embeddings"]).all()
        assert not found["mean"]["embeddings"][2].any()


@pytest.mark.torch
@pytest.mark.parametrize("labels", [LABELS, LABELS[:1], np.zeros(3, int), np.arange(4)], ids=len)
@pytest.mark.parametrize("temperature", [1.0, 0.07, 0.01])
def test_autograd_twice_says_the_same(labels, temperature):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    case = draw(rows=len(labels), size=5, temperature=temperature)
    weight, upstream = np.random.default_rng(8).standard_normal((2, len(labels)))

    def weighed(embeddings: Any) -> Any:
        unit = torch.nn.functional.normalize(embeddings, eps=0.0)
        likeness = unit @ unit.T / temperature
        total = 0 * embeddings.sum()
        for i, j in np.argwhere((labels[:, None] == labels) & ~np.eye(len(labels), dtype=bool)):
            rivals = likeness[i][torch.from_numpy(labels != labels[i])]
            if len(rivals):
                logits = torch.cat([likeness[i, j : j + 1], rivals])
                total = total - weight[i] * upstream[i] * logits.log_softmax(0)[0]
        return total

    whole = torch.autograd.functional.hessian(weighed, torch.from_numpy(case.arrays["embeddings"])).numpy()
    expected = np.einsum("adad->ad", whole)
    arrays = {"labels": labels, "sample_weight": weight, "upstream": upstream}
    got = ask(case, arrays, reduction="none", hessian=True).hessian["none"]["embeddings"]
    # Relative to the addends, of the order of 1 over the temperature's square, which cancel in autograd's sums.
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-14 * (1 + abs(expected).max()) / temperature)


def test_how_a_direction_turns_keeps_its_digits_on_the_longest_coordinate():
    """There 1 - u^2 is the others' squares; what the squares of the similarities' slopes lose there is bounded here."""
    embeddings = np.array([[1, 1e-6], [0.6, 0.8], [0.8, -0.6]])
    case = Case("thin", {"embeddings": embeddings, "labels": np.array([0, 0, 1])}, {"temperature": 0.5})
    found = ask(case, reduction="sum", hessian=True).hessian["sum"]["embeddings"][0, 0]
    exact = second_differences(case).sum(axis=0)[0, 0]
    assert abs(found - exact) <= 1e-12 * abs(exact)
