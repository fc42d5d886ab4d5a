"""The inputs of losses of margins between classes, of vectors and of boxes, as in `cases.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from tests.oracle.case import Case

Drawn = Iterator[Case]


def _multi_margin(rng: np.random.Generator, limits: Any) -> Drawn:
    x = np.concatenate([rng.standard_normal((6, 4)), rng.integers(-2, 3, (6, 4)) / 2])
    t, weight = rng.integers(0, 4, 12), np.array([0.5, 0.0, 2.0, -1.0])
    huge, tiny = float(limits.max) / 8, float(limits.tiny)
    for p in (1, 2):
        for margin in (1.0, 0.0, 0.5, -0.25):
            settings = {"p": p, "margin": margin}
            name = "kink" if margin in (1.0, 0.5, 0.0) else "plain"
            yield Case(f"{name} {settings}", {"input": x, "target": t}, settings)
        yield Case(f"plain, weighted {p}", {"input": x[:6], "target": t[:6], "weight": weight}, {"p": p})
        yield Case(f"one class {p}", {"input": x[:, :1], "target": np.zeros(12, int)}, {"p": p})
        for size in (huge, huge**0.5, tiny**0.5, tiny):
            arrays = {"input": x * size, "target": t}
            yield Case(f"kink, times {size:.0e}, {p}", arrays, {"p": p, "margin": 0.0})


def _multilabel_margin(rng: np.random.Generator, limits: Any) -> Drawn:
    x = np.concatenate([rng.standard_normal((6, 5)), rng.integers(-4, 5, (6, 5)) / 2])
    order = rng.permuted(np.broadcast_to(np.arange(5), (12, 5)), axis=1)
    listed = np.where(np.arange(5) < rng.integers(0, 6, (12, 1)), order, -1)
    yield Case("plain", {"input": x[:6], "target": listed[:6]})
    yield Case("kink", {"input": x, "target": listed})
    twice = np.array([[0, 0, -1, 3, 3], [1, 2, 1, -1, 0], [4, 4, 4, 4, 4], [-1, 0, 1, 2, 3]])
    yield Case("listed twice, and behind the end", {"input": x[:4], "target": twice})
    huge = float(limits.max) / 32
    for size in (huge, huge**0.5, 1e8, float(limits.tiny)):
        yield Case(f"kink, times {size:.0e}", {"input": x[:6] * size, "target": listed[:6]})
    # Far from 0, and close to one another: differences are exact.
    close = 2.0 ** (limits.nmant - 3) + x[6:]
    yield Case("kink, close together", {"input": close, "target": listed[6:]})
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


def _vectors(rng: np.random.Generator, limits: Any) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield pairs of vectors at all angles and of all lengths."""
    x, y = rng.standard_normal((2, 6, 3))
    yield "plain", x, y
    # Closer ones are ill-conditioned: test_close_vectors.py.
    off = rng.uniform(0.2, 0.5, (6, 3)) * rng.choice([-1, 1], (6, 3))
    yield "close", x, x * (1 + off)
    yield "opposite", x, -2 * x * (1 + off)
    top, tiny = float(limits.max) / 4, float(limits.tiny)
    for size in (top, top**0.5, tiny**0.5, tiny, tiny / 8):
        yield f"times {size:.0e}", np.sign(x) * size, y * size
    axes = np.array([[1.0, 0, 0], [1, 1e-12, 0], [1, 1e-20, 0], [0, 1, 0], [0, 0, 2], [-1, 1e-9, 0]])
    yield "kink, along axes", axes, axes[::-1].copy()
    yield "kink, the same", x, x
    yield "kink, zeros", x * (np.arange(6) > 2)[:, None], y * (np.arange(6) % 2)[:, None]


def _cosine_embedding(rng: np.random.Generator, limits: Any) -> Drawn:
    for name, x, y in _vectors(rng, limits):
        for target in (1.0, -1.0):
            for margin in (0.0, 0.5, -0.25):
                arrays = {"input1": x, "input2": y, "target": np.full(6, target)}
                yield Case(f"{name}, {target}", arrays, {"margin": margin})


def _triplet_margin_with_distance(rng: np.random.Generator, limits: Any) -> Drawn:
    for name, x, y in _vectors(rng, limits):
        for distance in ("euclidean", "cosine", "squared", "manhattan"):
            arrays = {"anchor": x, "positive": y, "negative": y[::-1] / 2}
            if distance == "squared" and float(np.abs(x).max()) > float(limits.max) ** 0.5:
                continue
            for swap in (False, True):
                settings = {"distance": distance, "swap": swap, "eps": 0.0 if "times" in name else 1e-6}
                kink = "" if name.startswith("kink") else "kink, " if swap or distance == "manhattan" else ""
                yield Case(f"{kink}{name}, {distance}, swap {swap}", arrays, settings)


def _giou(rng: np.random.Generator, limits: Any) -> Drawn:
    def boxes(centre: Any, size: Any) -> np.ndarray:
        return np.concatenate([centre - size / 2, centre + size / 2], axis=1)

    one = boxes(rng.standard_normal((8, 2)), rng.uniform(0.5, 3, (8, 2)))
    two = boxes(rng.standard_normal((8, 2)) * 2, rng.uniform(0.5, 3, (8, 2)))
    for eps in (1e-7, 0.0, 0.5):
        yield Case(f"plain {eps}", {"boxes1": one, "boxes2": two}, {"eps": eps})
    near = one + rng.standard_normal((8, 4)) * 1e-5
    yield Case("all but equal", {"boxes1": one, "boxes2": near})
    yield Case("kink, equal", {"boxes1": one, "boxes2": one}, {"eps": 0.0})
    grid = np.sort(rng.integers(0, 4, (12, 2, 2)), axis=2).transpose(0, 2, 1).reshape(12, 4).astype(float)
    yield Case("kink, on a grid", {"boxes1": grid, "boxes2": grid[::-1].copy()}, {"eps": 0.25})
    for size in (float(limits.max) / 64, float(limits.tiny) * 2**10):
        yield Case(f"times {size:.0e}", {"boxes1": one * size, "boxes2": two * size}, {"eps": 0.0})
    yield Case("far apart", {"boxes1": one, "boxes2": two + 1e3})


def _arcface(rng: np.random.Generator, limits: Any) -> Drawn:
    labels = np.array([0, 1, 2, 0, 1, 2])
    for name, x, y in _vectors(rng, limits):
        for margin, scale in ((0.5, 8.0), (0.0, 1.0), (2.5, 2.0)):
            arrays = {"embeddings": x, "labels": labels, "prototypes": y[:3]}
            yield Case(f"{name} {margin}", arrays, {"margin": margin, "scale": scale})
    one = {"embeddings": rng.standard_normal((3, 2)), "labels": np.zeros(3, int)}
    yield Case("one class", {**one, "prototypes": rng.standard_normal((1, 2))})


def _supcon(rng: np.random.Generator, limits: Any) -> Drawn:
    labels = np.array([0, 0, 1, 0, 1, 2])
    for name, x, _ in _vectors(rng, limits):
        for temperature in (1.0, 0.1):
            yield Case(
                f"{name} {temperature}", {"embeddings": x, "labels": labels}, {"temperature": temperature}
            )
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
    yield Case("kink, constant", {"z1": x * np.array([0, 1, 1]) + 0.1, "z2": y})
    yield Case("one item", {"z1": x[:1], "z2": y[:1]})


CASES: Mapping[str, Callable[..., Drawn]] = {
    "multi_margin": _multi_margin,
    "multilabel_margin": _multilabel_margin,
    "multilabel_soft_margin": _multilabel_soft_margin,
    "cosine_embedding": _cosine_embedding,
    "triplet_margin_with_distance": _triplet_margin_with_distance,
    "giou": _giou,
    "arcface": _arcface,
    "supcon": _supcon,
    "barlow_twins": _barlow_twins,
}
