"""Cases of the losses of triplets and pairs of vectors, as in `cases`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.oracle import formulas_of_sets as formulas
from tests.oracle.case import Case, Drawn
from tests.oracle.record import Comparison, Oracle


def _triplet_margin(rng: np.random.Generator, limits: Any) -> Drawn:
    a, p, n = rng.standard_normal((3, 8, 3)) * np.array([[[1.0]], [[1.2]], [[1.5]]])
    a[0] = p[0] = n[0]  # all distances are eps
    n[1] = a[1] + 1e3
    a[2], p[2], n[2] = a[2] * 1e15, p[2] * 1e15, n[2] * 1e15
    arrays = {"anchor": a, "positive": p, "negative": n}
    for settings in ({}, {"p": 1.0}, {"p": 3.0, "margin": 0.3}, {"swap": True}, {"p": 1.5, "swap": True}):
        yield Case(f"{settings or 'plain'}", arrays, settings)
    yield Case("no eps", {name: array[1:] for name, array in arrays.items()}, {"eps": 0.0, "margin": -0.5})
    yield Case("origin", {name: array[:1] for name, array in arrays.items()}, {"eps": 0.0, "margin": 2.0})
    top, least = float(limits.max), float(limits.smallest_subnormal)
    near = np.array([[1.0, 1e-5, 0.0], [-2.0, 1.0, 0.5], [3.0, 3.0, 1e-4]])
    sizes = {
        "subnormal": least * 64,
        "tiny": float(limits.tiny) * 4,
        "huge": top / 16,
        "overflowing": top / 4,
    }
    for name, size in sizes.items():
        spread = {"anchor": near * size, "positive": -near * size, "negative": near[::-1] * size / 2}
        for p in (1.0, 1.5, 2.0, 3.0, 100.0):
            yield Case(f"{name}, p {p}", spread, {"p": p, "eps": 0.0, "margin": 0.0})
        yield Case(f"{name}, swap", spread, {"eps": 0.0, "margin": 0.0, "swap": True})
    uneven = {
        "anchor": np.array([[top / 8, least, 1.0]]),
        "positive": np.zeros((1, 3)),
        "negative": np.zeros((1, 3)),
    }
    for p in (1.1, 1.5, 2.0):  # the share of the second element is below the type's smallest number
        yield Case(f"uneven, p {p}", uneven, {"p": p, "eps": 0.0})


def _nt_xent(rng: np.random.Generator, limits: Any) -> Drawn:
    x = rng.standard_normal((8, 3))
    x[1] *= 1e6
    x[2] *= 1e-6
    for temperature in (1.0, 0.07):
        settings = {"temperature": temperature}
        yield Case(f"pairs {temperature}", {"embeddings": x, "labels": np.arange(8) % 4}, settings)
        uneven = np.array([0, 0, 0, 1, 1, 2, 0, 5])  # labels 2 and 5 have no positive
        yield Case(f"uneven {temperature}", {"embeddings": x, "labels": uneven}, settings)
    yield Case("no negatives", {"embeddings": x[:3], "labels": np.zeros(3, int)})
    apart = np.array([[1.0, 0.0], [2.0, 1e-3], [-1.0, 0.0], [-3.0, 0.0]])
    yield Case("easy", {"embeddings": apart, "labels": np.array([0, 0, 1, 1])}, {"temperature": 0.05})
    known = np.array([[1.0, 0.0], [2.0, 0.5], [0.0, 1.0], [0.3, 3.0]])
    pairs, top, tiny = np.array([0, 0, 1, 1]), float(limits.max), float(limits.tiny)
    for scale in (top / 4, top**0.5, top**0.4, tiny**0.4, tiny**0.5, tiny, tiny / 8):
        yield Case(f"times {scale:.0e}", {"embeddings": known * scale, "labels": pairs}, {"temperature": 1.0})
    rows = np.array([[top / 4], [tiny * 2], [1.0], [tiny**0.5]])
    for temperature in (0.5, 1e3, 1e10):
        settings = {"temperature": temperature}
        yield Case(f"uneven rows {temperature}", {"embeddings": known * rows, "labels": pairs}, settings)
    close = np.array([0.6, -0.8, 0.3]) + 1e-4 * rng.standard_normal((6, 3))
    for temperature in (0.07, 1.0):
        labels = np.arange(6) % 2
        yield Case(
            f"close {temperature}", {"embeddings": close, "labels": labels}, {"temperature": temperature}
        )
    yield Case("one", {"embeddings": x[:1], "labels": np.zeros(1, int)})


def _cosines(case: Case) -> float:
    """Return the bound of cosines in an exponent: a half unit of each, over the temperature."""
    return 8 * (1 + 0.5 / case.settings.get("temperature", 0.07))


def _shares(case: Case) -> float:
    """Return what shares of negatives, which may be too small for the type, are divided by."""
    return 1 / min(case.settings.get("temperature", 0.07), 1.0) / case.shortest("embeddings")


ORACLES: dict[str, Oracle] = {
    # A power multiplies the rounding of its base.
    "triplet_margin": Oracle(
        formulas.triplet_margin,
        _triplet_margin,
        bound=lambda case: 8 + case.settings.get("p", 2.0),
        calls=25,
        settings={"p": (1.0, 2.0, 2.0, 1.5, 3.0, 10.0)},
        comparisons=(Comparison("margin", beside=("eps",)), Comparison("lead", beside=("eps",))),
        spreads_nan=True,
        limits=(),
    ),
    "nt_xent": Oracle(
        formulas.nt_xent,
        _nt_xent,
        bound=_cosines,
        calls=25,
        settings={"temperature": (1.0, 0.07, 0.5, 10.0, 1e-3, 1e4)},
        factor=_shares,
        sharpness=lambda case: 1 / case.settings["temperature"],
        hessian_cancels=True,  # test_curvature_of_pairs.py counts by how much
        dual_numbers=True,
        spreads_nan=True,
        limits=(),
    ),
}
