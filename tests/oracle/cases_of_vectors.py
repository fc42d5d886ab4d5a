"""The inputs of losses of margins between classes, of vectors and of boxes, as in `cases.py`."""

from __future__ import annotations

from collections.abc import Iterator
from math import pi
from typing import Any, NamedTuple

import numpy as np

from tests.oracle import formulas_of_labels as labels
from tests.oracle import formulas_of_vectors as formulas
from tests.oracle.case import Case, Drawn
from tests.oracle.exact import MP, Number, numbers
from tests.oracle.profiles import scaled_columns
from tests.oracle.record import Comparison, Oracle


def _multi_margin(rng: np.random.Generator, limits: Any) -> Drawn:
    x = np.concatenate([rng.standard_normal((6, 4)), rng.integers(-2, 3, (6, 4)) / 2])
    t, weight = rng.integers(0, 4, 12), np.array([0.5, 0.0, 2.0, -1.0])
    huge, tiny = float(limits.max) / 8, float(limits.tiny)
    for p in (1, 2):
        for margin in (1.0, 0.0, 0.5, -0.25):
            settings = {"p": p, "margin": margin}
            halves = margin in (1.0, 0.5, 0.0)
            yield Case(f"{settings}", {"input": x, "target": t}, settings, kink=halves)
        yield Case(f"plain, weighted {p}", {"input": x[:6], "target": t[:6], "weight": weight}, {"p": p})
        yield Case(f"one class {p}", {"input": x[:, :1], "target": np.zeros(12, int)}, {"p": p})
        for size in (huge, huge**0.5, tiny**0.5, tiny):
            arrays = {"input": x * size, "target": t}
            yield Case(f"times {size:.0e}, {p}", arrays, {"p": p, "margin": 0.0}, kink=True)


def _multilabel_margin(rng: np.random.Generator, limits: Any) -> Drawn:
    x = np.concatenate([rng.standard_normal((6, 5)), rng.integers(-4, 5, (6, 5)) / 2])
    order = rng.permuted(np.broadcast_to(np.arange(5), (12, 5)), axis=1)
    listed = np.where(np.arange(5) < rng.integers(0, 6, (12, 1)), order, -1)
    yield Case("plain", {"input": x[:6], "target": listed[:6]})
    yield Case("halves", {"input": x, "target": listed}, kink=True)
    twice = np.array([[0, 0, -1, 3, 3], [1, 2, 1, -1, 0], [4, 4, 4, 4, 4], [-1, 0, 1, 2, 3]])
    yield Case("listed twice, and behind the end", {"input": x[:4], "target": twice})
    huge = float(limits.max) / 32
    for size in (huge, huge**0.5, 1e8, float(limits.tiny)):
        yield Case(f"times {size:.0e}", {"input": x[:6] * size, "target": listed[:6]}, kink=True)
    # Far from 0, and close to one another: differences are exact.
    close = 2.0 ** (limits.nmant - 3) + x[6:]
    yield Case("close together", {"input": close, "target": listed[6:]}, kink=True)
    yield Case("one class", {"input": x[:, :1], "target": np.minimum(listed[:, :1], 0)})


def _multilabel_soft_margin(rng: np.random.Generator, limits: Any) -> Drawn:
    x = np.concatenate([rng.standard_normal((5, 3)) * 3, rng.uniform(-110, 110, (6, 3))])
    weight = np.array([0.5, 0.0, 2.0])
    for name, t in {"soft": rng.uniform(0.1, 0.9, x.shape), "hard": rng.integers(0, 2, x.shape)}.items():
        t = t.astype(float)
        yield Case(name, {"input": x, "target": t})
        yield Case(f"{name}, weighted", {"input": x, "target": t, "weight": weight})
    far = np.array([[float(limits.max), float(limits.min), 0.0], [np.inf, -np.inf, 1.0]])
    for t in ([[1, 0, 1.0]] * 2, [[0, 0, 1.0], [1, 0, 1.0]]):
        yield Case("far", {"input": far, "target": np.array(t)})


class Vectors(NamedTuple):
    """Pairs of vectors, whether they lie at a kink, and how much fewer digits than they have their angles have."""

    name: str
    x: np.ndarray
    y: np.ndarray
    kink: bool = False
    factor: float = 1.0
    eps: float = 1e-6


def _vectors(rng: np.random.Generator, limits: Any) -> Iterator[Vectors]:
    """Yield pairs of vectors at all angles and of all lengths."""
    x, y = rng.standard_normal((2, 6, 3))
    yield Vectors("plain", x, y)
    # Closer ones are ill-conditioned: test_close_vectors.py.
    off = rng.uniform(0.2, 0.5, (6, 3)) * rng.choice([-1, 1], (6, 3))
    yield Vectors("close", x, x * (1 + off), factor=4)
    yield Vectors("opposite", x, -2 * x * (1 + off))
    top, tiny = float(limits.max) / 4, float(limits.tiny)
    for size in (top, top**0.5, tiny**0.5, tiny, tiny / 8):
        yield Vectors(f"times {size:.0e}", np.sign(x) * size, y * size, eps=0.0)
    axes = np.array([[1.0, 0, 0], [1, 1e-12, 0], [1, 1e-20, 0], [0, 1, 0], [0, 0, 2], [-1, 1e-9, 0]])
    yield Vectors("along axes", axes, axes[::-1].copy(), kink=True)
    yield Vectors("the same", x, x, kink=True)
    zeros = x * (np.arange(6) > 2)[:, None], y * (np.arange(6) % 2)[:, None]
    yield Vectors("zeros", *zeros, kink=True)


def _cosine_embedding(rng: np.random.Generator, limits: Any) -> Drawn:
    for given in _vectors(rng, limits):
        for target in (1.0, -1.0):
            for margin in (0.0, 0.5, -0.25):
                arrays = {"input1": given.x, "input2": given.y, "target": np.full(6, target)}
                settings = {"margin": margin}
                yield Case(f"{given.name}, {target}", arrays, settings, given.kink, given.factor)


def _inverse_lengths(case: Case) -> Number:
    """Return what slopes of a cosine are multiplied by: one over the length of a vector."""
    if case.settings.get("distance") != "cosine":
        return MP.mpf(1)
    return 1 / min(case.shortest(name) for name in ("anchor", "positive", "negative"))


def _triplet_margin_with_distance(rng: np.random.Generator, limits: Any) -> Drawn:
    for name, x, y, kink, factor, eps in _vectors(rng, limits):
        for distance in ("euclidean", "cosine", "squared", "manhattan"):
            arrays = {"anchor": x, "positive": y, "negative": y[::-1] / 2}
            if distance == "squared" and float(np.abs(x).max()) > float(limits.max) ** 0.5:
                continue
            for swap in (False, True):
                settings = {"distance": distance, "swap": swap, "eps": eps}
                tied = kink or swap or distance == "manhattan"
                yield Case(f"{name}, {distance}, swap {swap}", arrays, settings, tied, factor)


def _giou(rng: np.random.Generator, limits: Any) -> Drawn:
    def boxes(centre: Any, size: Any) -> np.ndarray:
        return np.concatenate([centre - size / 2, centre + size / 2], axis=1)

    one = boxes(rng.standard_normal((8, 2)), rng.uniform(0.5, 3, (8, 2)))
    two = boxes(rng.standard_normal((8, 2)) * 2, rng.uniform(0.5, 3, (8, 2)))
    for eps in (1e-7, 0.0, 0.5):
        yield Case(f"plain {eps}", {"boxes1": one, "boxes2": two}, {"eps": eps})
    near = one + rng.standard_normal((8, 4)) * 1e-5
    yield Case("all but equal", {"boxes1": one, "boxes2": near})
    yield Case("equal", {"boxes1": one, "boxes2": one}, {"eps": 0.0}, kink=True)
    grid = np.sort(rng.integers(0, 4, (12, 2, 2)), axis=2).transpose(0, 2, 1).reshape(12, 4).astype(float)
    yield Case("on a grid", {"boxes1": grid, "boxes2": grid[::-1].copy()}, {"eps": 0.25}, kink=True)
    for size in (float(limits.max) / 64, float(limits.tiny) * 2**10):
        yield Case(f"times {size:.0e}", {"boxes1": one * size, "boxes2": two * size}, {"eps": 0.0})
    yield Case("far apart", {"boxes1": one, "boxes2": two + 1e3})


def _sides_differ(case: Case) -> bool:
    """Return whether sides of two boxes along an axis differ by a factor of 2^53, of either box in a row."""
    with np.errstate(over="ignore"):
        one, two = (case.arrays[name][:, 2:] - case.arrays[name][:, :2] for name in ("boxes1", "boxes2"))
    lesser, longer = np.minimum(one, two), np.maximum(one, two)
    return bool(((lesser > 0) & (longer / 2.0**53 >= lesser)).any())


def _arcface(rng: np.random.Generator, limits: Any) -> Drawn:
    labels = np.array([0, 1, 2, 0, 1, 2])
    for given in _vectors(rng, limits):
        for margin, scale in ((0.5, 8.0), (0.0, 1.0), (2.5, 2.0)):
            arrays = {"embeddings": given.x, "labels": labels, "prototypes": given.y[:3]}
            settings = {"margin": margin, "scale": scale}
            yield Case(f"{given.name} {margin}", arrays, settings, given.kink)
    one = {"embeddings": rng.standard_normal((3, 2)), "labels": np.zeros(3, int)}
    yield Case("one class", {**one, "prototypes": rng.standard_normal((1, 2))})


def _supcon(rng: np.random.Generator, limits: Any) -> Drawn:
    labels = np.array([0, 0, 1, 0, 1, 2])
    for given in _vectors(rng, limits):
        for temperature in (1.0, 0.1):
            arrays = {"embeddings": given.x, "labels": labels}
            yield Case(f"{given.name} {temperature}", arrays, {"temperature": temperature}, given.kink)
    x = rng.standard_normal((5, 3))
    yield Case("one label", {"embeddings": x, "labels": np.zeros(5, int)})
    yield Case("no positives", {"embeddings": x, "labels": np.arange(5)})
    easy = np.array([[1.0, 0], [3, 1e-4], [-1, 0], [-2, 1e-3]])
    yield Case("easy", {"embeddings": easy, "labels": np.array([0, 0, 1, 1])}, {"temperature": 0.05})
    yield Case("one", {"embeddings": x[:1], "labels": np.zeros(1, int)})


def _barlow_twins(rng: np.random.Generator, limits: Any) -> Drawn:
    x, y = rng.standard_normal((2, 6, 3))
    sizes = np.array([float(limits.max) / 64, 1.0, float(limits.tiny) * 64])
    for lambd in (0.0051, 1.0, 0.0):
        yield Case(f"plain {lambd}", {"z1": x, "z2": y}, {"lambd": lambd})
        yield Case(f"alike {lambd}", {"z1": x, "z2": 3 * x + y - 2}, {"lambd": lambd})
    yield Case("of all sizes", {"z1": x * sizes, "z2": y * sizes[::-1]})
    yield Case("far from 0", {"z1": x + 8, "z2": y - 32})
    yield Case("constant", {"z1": x * np.array([0, 1, 1]) + 0.1, "z2": y}, kink=True)
    yield Case("one item", {"z1": x[:1], "z2": y[:1]})


def _cosines(case: Case) -> float:
    """Return the bound of cosines in an exponent: a half unit of each, over the temperature."""
    return 10 * (1 + 0.5 / case.settings.get("temperature", 0.1))


def _shares(case: Case) -> float:
    """Return what shares of negatives, which may be too small for the type, are divided by."""
    return 1 / min(case.settings.get("temperature", 0.1), 1.0) / case.shortest("embeddings")


def _turns_of_short_vectors(case: Case) -> Number:
    """Return what coordinates too small for the type are multiplied with: the scale over a length and an angle."""
    vectors, prototypes, labels = (numbers(case.arrays[k]) for k in ("embeddings", "prototypes", "labels"))
    sines = [formulas.sine_between(x, prototypes[t]) for x, t in zip(vectors, labels, strict=True)]
    least = min((sine for sine in sines if sine), default=MP.mpf(1))
    return case.settings.get("scale", 64.0) / case.shortest("embeddings", "prototypes") / least


def _is_half_a_turn(case: Case) -> bool:
    """Return whether vectors of one number have a margin of pi, of which float64 lacks 1e-16."""
    return case.settings.get("margin") == pi and case.arrays["embeddings"].shape[1] == 1


MARGIN = (Comparison("margin"),)
ORACLES: dict[str, Oracle] = {
    "multi_margin": Oracle(labels.multi_margin, _multi_margin, bound=4, comparisons=MARGIN),
    "multilabel_margin": Oracle(labels.multilabel_margin, _multilabel_margin, bound=4),
    "multilabel_soft_margin": Oracle(
        labels.multilabel_soft_margin, _multilabel_soft_margin, bound=4, calls=20
    ),
    "cosine_embedding": Oracle(
        formulas.cosine_embedding,
        _cosine_embedding,
        bound=8,
        calls=20,
        factor=lambda case: 1 / case.shortest("input1", "input2"),
        comparisons=MARGIN,
        dual_numbers=True,
        spreads_nan=True,
        limits=(),
    ),
    "triplet_margin_with_distance": Oracle(
        formulas.triplet_margin_with_distance,
        _triplet_margin_with_distance,
        bound=8,
        calls=20,
        factor=_inverse_lengths,
        comparisons=(Comparison("margin", beside=("eps",)), Comparison("lead", beside=("eps",))),
        dual_numbers=True,
        spreads_nan=True,
        limits=(),
    ),
    "giou": Oracle(
        formulas.giou,
        _giou,
        bound=24,
        calls=20,
        factor=lambda case: 1 / case.shortest("boxes1", "boxes2"),
        second_swamped=_sides_differ,
        dual_numbers=True,
        spreads_nan=True,
    ),
    "arcface": Oracle(
        formulas.arcface,
        _arcface,
        bound=lambda case: 8 * (1 + case.settings.get("scale", 64.0)),
        calls=20,
        factor=_turns_of_short_vectors,
        swamped=_is_half_a_turn,
        dual_numbers=True,
        spreads_nan=True,
        limits=(),
    ),
    "supcon": Oracle(
        formulas.supcon,
        _supcon,
        bound=_cosines,
        calls=20,
        settings={"temperature": (1.0, 0.07, 0.5, 10.0, 1e-3, 1e4)},
        factor=_shares,
        second_factor=lambda case: _shares(case) ** 2,
        sharpness=lambda case: 1 / case.settings["temperature"],
        hessian_cancels=True,
        dual_numbers=True,
        spreads_nan=True,
        limits=(),
    ),
    "barlow_twins": Oracle(
        formulas.barlow_twins,
        _barlow_twins,
        bound=32,
        calls=20,
        rows=(1, 2, 4, 3, 5),
        profile=scaled_columns,
        dual_numbers=True,
        spreads_nan=True,
        limits=(),
    ),
}
