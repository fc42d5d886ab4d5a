"""The curvature of losses over classes in exact arithmetic: diagonals and products, tails included.

An exact result is the tuple of its addends, as in the oracles; a product with the Hessian is linear in the direction,
so its addends are those of each element's part.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossd.engine import evaluate
from lossd.losses import LOSSES
from lossd.message import Call
from tests.oracle.cases import draw_cases
from tests.oracle.exact import MP, Addends, Number, numbers, times, worst
from tests.oracle.formulas import _sigmoid, _softmax
from tests.oracle.records import ORACLES
from tests.oracle.truth import SHARED

Curvature = tuple[Any, Any]  # of a row: the diagonal, and the product with a direction


def cross_entropy(
    v: list[Number],
    *,
    input: list[Number],
    target: Any,
    weight: list[Number] | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Curvature:
    """With Q the sum of w q: the diagonal is Q s (1 - s), the product Q s_c ((1 - s_c) v_c - sum of s_j v_j)."""
    classes = range(len(input))
    if target == ignore_index:
        nothing = [(MP.mpf(0),) for _ in classes]
        return nothing, nothing
    probabilities = target if isinstance(target, list) else [MP.mpf(c == target) for c in classes]
    eps, w = MP.mpf(label_smoothing), weight or [MP.mpf(1) for _ in classes]
    a = [times(times(1 - eps, probabilities[c]) + eps / len(input), w[c]) for c in classes]
    _, s, rest = _softmax(input)
    diagonal = [tuple(part * s[c] * rest[c] for part in a) for c in classes]
    product = [
        tuple(part * s[c] * (rest[c] * v[c] if j == c else -s[j] * v[j]) for part in a for j in classes)
        for c in classes
    ]
    return diagonal, product


def bce(v: Number, *, input: Number, target: Number, weight: Number | None = None) -> Curvature:
    """The gradient is (x - t) / max(x (1 - x), 1e-12)."""
    if input * (1 - input) < MP.mpf(1e-12):
        return _alone(v, (1 / MP.mpf(1e-12),), weight)
    return _alone(v, (_over_square(target, input), _over_square(1 - target, 1 - input)), weight)


def bce_with_logits(
    v: Number,
    *,
    input: Number,
    target: Number,
    weight: Number | None = None,
    pos_weight: Number | None = None,
) -> Curvature:
    positive = target if pos_weight is None else times(target, pos_weight)
    spread = _sigmoid(input) * _sigmoid(-input)
    return _alone(v, (positive * spread, (1 - target) * spread), weight)


def _alone(v: Number, diagonal: Addends, weight: Number | None) -> Curvature:
    """Return the curvature of a row of one element."""
    if weight is not None:
        diagonal = tuple(times(weight, addend) for addend in diagonal)
    return diagonal, tuple(addend * v for addend in diagonal)


def _over_square(weight: Number, value: Number) -> Number:
    return times(weight, MP.inf if value == 0 else 1 / (value * value))


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("oracle", [cross_entropy, bce, bce_with_logits], ids=lambda oracle: oracle.__name__)
def test_diagonals_and_products_are_exact(oracle, dtype):
    name = oracle.__name__
    rng = np.random.default_rng(3)
    for case in draw_cases(name, dtype):
        if any(np.isinf(array).any() for key, array in case.arrays.items() if key.endswith("weight")):
            continue  # infinite on both sides of a difference
        x = case.arrays["input"]
        direction = (np.round(rng.standard_normal(x.shape) * 8) / 8 + 1 / 64).astype(dtype)
        asked = {**case.settings, "reduction": "none", "hessian": True}
        answer = evaluate(LOSSES[name], Call({**case.arrays, "hvp": direction}, asked))
        exact = {key: numbers(array) for key, array in case.arrays.items()}
        shared = SHARED.get(name, set())
        rows = [
            oracle(v, **{key: a if key in shared else a[i] for key, a in exact.items()}, **case.settings)
            for i, v in enumerate(numbers(direction))
        ]
        for place, (kind, found) in enumerate({"hessian": answer.hessian, "hvp": answer.hvp}.items()):
            error, _, shown = worst(found["none"]["input"], [row[place] for row in rows])
            assert error <= ORACLES[name].ulps(case) + 2, f"{name}, {case.name}, {kind}: {shown}"


def test_a_direction_along_the_certain_class_keeps_its_digits():
    call = Call(
        {"input": np.array([[40.0, 0.0]]), "target": np.array([0]), "hvp": np.array([[1.0, 0.0]])},
        {"reduction": "none"},
    )
    found = evaluate(LOSSES["cross_entropy"], call).hvp["none"]["input"]
    np.testing.assert_allclose(
        found, [[4.248354255291589e-18, -4.248354255291589e-18]], rtol=1e-15
    )  # exp(-40)
