"""Cases of the losses over the classes of a row, as in `cases`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.oracle import formulas
from tests.oracle.case import Case, Drawn
from tests.oracle.record import Oracle


def _logits(rng: np.random.Generator, limits: Any) -> np.ndarray:
    """Return rows of logits: ordinary, easy, hopeless, huge, tied, with classes ruled out."""
    far = float(limits.max) / 4
    inf = np.inf
    special = [
        [20, 0, 0, 0], [40, 0, -1, 3], [0, 40, 0, -5], [90, 0, 0, -80], [700, 0, 1, 2], [0, 0, 0, 0],
        [1e4, 1e4, -1e4, 0], [far, 0, -far, 1], [-far, -far, -far, -far], [1e-30, 0, -1e-30, 0],
        [-inf, 0, 1, 2], [0, -inf, -inf, -inf], [-inf, 30, -inf, 0], [1e3, -1e3, 1e3, 0],
    ]  # fmt: skip
    grid = np.round(rng.standard_normal((10, 4)) * 32) / 8  # differences are exact, so the tails are too
    return np.concatenate([grid, special])


def _cross_entropy(rng: np.random.Generator, limits: Any) -> Drawn:
    x = _logits(rng, limits)
    best, worst = x.argmax(1), np.where(np.isinf(x), np.inf, x).argmin(1)
    weight = np.array([0.5, 0.0, 2.0, 1.0])
    yield Case("easy", {"input": x, "target": best})
    yield Case("hard", {"input": x, "target": worst})
    yield Case("weighted", {"input": x, "target": best, "weight": weight})
    ignored = np.where(np.arange(len(x)) % 3 == 0, 2, worst)
    yield Case("ignored", {"input": x, "target": ignored, "weight": weight}, {"ignore_index": 2})
    finite = x[np.isfinite(x).all(1)]
    for eps in (0.1, 1.0):
        arrays = {"input": finite, "target": finite.argmin(1), "weight": weight}
        yield Case(f"smoothed {eps}", arrays, {"label_smoothing": eps})
    probabilities = rng.dirichlet(np.ones(4), len(x)) * ~np.isinf(x)
    yield Case("probabilities", {"input": x, "target": probabilities / probabilities.sum(1, keepdims=True)})
    certain = np.eye(4)[best]
    yield Case("certain class probabilities", {"input": x, "target": certain, "weight": weight})
    soft = rng.dirichlet(np.ones(4), len(finite))
    yield Case(
        "smoothed class probabilities",
        {"input": finite, "target": soft, "weight": weight},
        {"label_smoothing": 0.3},
    )
    yield from _cross_entropy_at_the_edges(rng, limits)


def _cross_entropy_at_the_edges(rng: np.random.Generator, limits: Any) -> Drawn:
    """Draw logits off the grid, whose differences are rounded, and all that a row, a weight or a setting may be."""
    rough = rng.standard_normal((9, 3)) * np.array([[0.01], [3], [60], [600], [1], [1], [1], [1], [1e-30]])
    rough[4:8, 0] += [20, 80, 300, -300]
    hard, soft = rng.integers(0, 3, 9), rng.dirichlet(np.ones(3), 9)
    yield Case("off the grid", {"input": rough, "target": hard})
    yield Case("off the grid by probabilities", {"input": rough, "target": soft})
    least, most = float(limits.smallest_subnormal), float(limits.max)
    soft[:3] = [[1, 0, least], [0, 1 - float(limits.eps), float(limits.eps)], [0.5, 0.5, 0]]
    for eps in (1e-300, 1e-40, 1e-20, 1e-9, 1e-3, 0.5, 1.0):
        weight = np.array([0.7, 0.0, 2.0])
        settings = {"label_smoothing": eps}
        yield Case(f"smoothed off the grid {eps}", {"input": rough, "target": hard}, settings)
        arrays = {"input": rough, "target": soft, "weight": weight}
        yield Case(f"smoothed off the grid {eps}, all at once", arrays, settings)
    masked = np.where(rng.uniform(size=rough.shape) < 0.3, -np.inf, rough)
    yield Case("smoothed and ruled out", {"input": masked, "target": hard}, {"label_smoothing": 1e-300})
    for name, weight in {
        "subnormal": [least, 5 * least, 1.0], "huge": [most / 1e4, 1.0, 0.0], "negative": [-1.0, 2.0, 0.5],
    }.items():  # fmt: skip
        arrays = {"input": rough[:2], "target": hard[:2], "weight": np.array(weight)}
        yield Case(f"{name} weights", arrays)
        yield Case(f"{name} weights, smoothed", arrays, {"label_smoothing": 1e-3})
    for unused in (np.nan, np.inf, -np.inf):
        weight, rows = np.array([unused, 2.0, 0.0]), np.concatenate([rough, [[-np.inf, 1, np.inf]]])
        absent = 1 + np.arange(10) % 2
        yield Case(f"weight {unused} of an absent class", {"input": rows, "target": absent, "weight": weight})
        likely = np.eye(3)[absent] * 0.5
        yield Case(f"weight {unused} of no one", {"input": rows[:3], "target": likely[:3], "weight": weight})
    yield Case(
        "one class", {"input": np.array([[3.0], [-40], [most], [np.inf], [0]]), "target": np.zeros(5, int)}
    )
    far = np.array([[most, -most / 4], [most, most], [-most, 0], [-most, most / 2], [least, -least]])
    yield Case("as far as numbers go", {"input": far, "target": np.array([0, 1, 1, 1, 0])})
    inf, nan = np.inf, np.nan
    mixed = np.array(
        [[inf, 0], [0, inf], [inf, inf], [-inf, -inf], [nan, 0], [0, nan], [inf, nan], [nan, nan], [0, -inf]]
    )
    for true in (0, 1):
        yield Case(f"not finite {true}", {"input": mixed, "target": np.full(9, true)})
    yield Case("not finite, one class", {"input": mixed[4:, :1][[0, 2, 3]], "target": np.zeros(3, int)})
    yield Case("no class possible", {"input": np.full((2, 1), -inf), "target": np.zeros(2, int)})


def _nll(rng: np.random.Generator, limits: Any) -> Drawn:
    x = np.log(rng.dirichlet(np.ones(3), 12))
    x[3], x[4, 0], x[5] = [-1e-30, -np.inf, -80.0], -np.inf, [float(limits.min) / 8, -1.0, 0.0]
    target = rng.integers(0, 3, 12)
    target[3:6] = 0, 1, 0
    yield Case("plain", {"input": x, "target": target})
    yield Case("certain", {"input": x[4:5], "target": target[4:5] * 0})
    weight = np.array([0.25, 3.0, 1.0])
    yield Case("weighted", {"input": x, "target": target, "weight": weight})
    yield Case("ignored", {"input": x, "target": target, "weight": weight}, {"ignore_index": 1})
    least, most, inf = float(limits.smallest_subnormal), float(limits.max), np.inf
    values = np.array(
        [[least, -least, 0.0], [-0.0, 1e8, -1e8], [most, -most, 1], [inf, -inf, np.nan], [-3, 2, 1e-30]]
    )
    for true in range(3):
        given = {"input": values, "target": np.full(5, true)}
        yield Case(f"of any value {true}", given)
        for factor in (0.0, least, 1e30 * least, most / 1e4, inf, np.nan):
            weight = np.full(3, np.nan)
            weight[true] = factor  # of the only class that is used
            few = 2 if factor > 1e30 else 5  # infinities of both signs would leave no sum
            arrays = {"input": values[:few], "target": given["target"][:few], "weight": weight}
            yield Case(f"of any value {true} and weight {factor}", arrays)
    yield Case("one class", {"input": values[:, :1], "target": np.zeros(5, int)})


def _rounded_logits(case: Case) -> float:
    """Return the bound of a softmax: beyond the range of the exponential, differences of logits are rounded."""
    largest = case.largest("input")
    return 6 + 0.5 * min(largest, 800) * (largest > 40)


ORACLES: dict[str, Oracle] = {
    "cross_entropy": Oracle(
        formulas.cross_entropy, _cross_entropy, bound=_rounded_logits, calls=20, spreads_nan=True
    ),
    "nll": Oracle(formulas.nll, _nll, bound=2),
}
