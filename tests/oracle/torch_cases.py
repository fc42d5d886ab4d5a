"""Random calls of every loss that PyTorch has, with its argument names, options and shapes.

`DRAWS` draws a call; `GRADIENTS` says which arguments PyTorch differentiates: it refuses weights that enter
through its own kernels. A draw is of float64 numbers that float32 holds too, so both types see the same call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

Rng = np.random.Generator
Shape = tuple[int, ...]


class Drawn(NamedTuple):
    """Arrays and settings under PyTorch's names."""

    arrays: dict[str, np.ndarray]
    settings: Mapping[str, Any] = MappingProxyType({})


def some(rng: Rng, probability: float = 0.5) -> bool:
    return bool(rng.random() < probability)


def _shape(rng: Rng, most: int = 3) -> Shape:
    return tuple(int(n) for n in rng.integers(1, 6, rng.integers(0, most + 1)))


def _normal(rng: Rng, shape: Shape) -> np.ndarray:
    return np.asarray(rng.standard_normal(shape) * 10 ** rng.uniform(-2, 2)).astype(np.float32).astype(float)


def _uniform(rng: Rng, shape: Shape, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    return np.asarray(rng.uniform(low, high, shape)).astype(np.float32).astype(float)


def _number(rng: Rng, low: float, high: float) -> float:
    return float(np.float32(rng.uniform(low, high)))


def _broadcastable(rng: Rng, shape: Shape) -> Shape:
    """Return a shape that broadcasts to ``shape``: fewer leading axes, ones among the others."""
    kept = shape[int(rng.integers(0, len(shape) + 1)) :]
    return tuple(1 if some(rng, 0.3) else n for n in kept)


def _residual(rng: Rng, weighable: bool) -> dict[str, np.ndarray]:
    shape = _shape(rng)
    arrays = {"input": _normal(rng, shape), "target": _normal(rng, shape)}
    arrays["target"] = np.where(rng.random(shape) < 0.1, arrays["input"], arrays["target"])  # kinks
    return {**arrays, "weight": _uniform(rng, shape, 0.1, 3)} if weighable and some(rng) else arrays


def _mse(rng: Rng) -> Drawn:
    return Drawn(_residual(rng, weighable=True))


def _huber(rng: Rng) -> Drawn:
    return Drawn(_residual(rng, weighable=True), {"delta": _number(rng, 0.01, 3)} if some(rng, 0.7) else {})


def _smooth_l1(rng: Rng) -> Drawn:
    beta = 0.0 if some(rng, 0.1) else _number(rng, 0.01, 3)
    return Drawn(_residual(rng, weighable=False), {"beta": beta} if some(rng, 0.7) else {})


def _class_shape(rng: Rng) -> tuple[Shape, Shape]:
    """Return the shapes of inputs and of labels: (C), (N, C) or (N, C, d1, ..., dK)."""
    classes, rank = int(rng.integers(1, 7)), int(rng.integers(0, 4))
    batch = tuple(int(n) for n in rng.integers(1, 5, rank))
    return ((classes,) if not rank else (batch[0], classes, *batch[1:])), batch


def _labelled(rng: Rng, values: Callable[[Rng, Shape], np.ndarray]) -> Drawn:
    shape, batch = _class_shape(rng)
    classes = shape[0] if len(shape) == 1 else shape[1]
    target, settings = np.asarray(rng.integers(0, classes, batch)), {}
    if some(rng, 0.4) and batch:
        settings["ignore_index"] = int(rng.choice([-100, -1, 0, 255]))
        target = np.where(rng.random(batch) < 0.3, settings["ignore_index"], target)
        target.flat[0] = classes - 1  # one takes part, unless it is the only class
    arrays = {"input": values(rng, shape), "target": target}
    return Drawn(arrays | _class_weight(rng, classes), settings)


def _class_weight(rng: Rng, classes: int) -> dict[str, np.ndarray]:
    return {"weight": _uniform(rng, (classes,), 0.1, 2)} if some(rng) else {}


def _cross_entropy(rng: Rng) -> Drawn:
    smoothing = {"label_smoothing": _number(rng, 0, 1)} if some(rng) else {}
    if some(rng, 0.6):
        drawn = _labelled(rng, _normal)
        return drawn._replace(settings={**drawn.settings, **smoothing})
    shape, _ = _class_shape(rng)
    classes = shape[0] if len(shape) == 1 else shape[1]
    probabilities = _uniform(rng, shape)
    if some(rng, 0.7):
        probabilities = probabilities / probabilities.sum(axis=min(1, len(shape) - 1), keepdims=True)
    arrays = {"input": _normal(rng, shape), "target": probabilities.astype(np.float32).astype(float)}
    return Drawn(arrays | _class_weight(rng, classes), smoothing)


def _nll(rng: Rng) -> Drawn:
    return _labelled(rng, _normal)


def _bce(rng: Rng) -> Drawn:
    shape = _shape(rng)
    arrays = {"input": _uniform(rng, shape), "target": _uniform(rng, shape)}
    if some(rng, 0.3):
        arrays["target"] = np.asarray(np.round(arrays["target"]))
    return Drawn(arrays | _factor(rng, shape, "weight"))


def _bce_with_logits(rng: Rng) -> Drawn:
    drawn, shape = _bce(rng), _shape(rng)
    shape = drawn.arrays["input"].shape
    return Drawn(drawn.arrays | {"input": _normal(rng, shape)} | _factor(rng, shape, "pos_weight"))


def _factor(rng: Rng, shape: Shape, name: str) -> dict[str, np.ndarray]:
    return {name: _uniform(rng, _broadcastable(rng, shape), 0.1, 3)} if some(rng, 0.4) else {}


def _signs(rng: Rng, shape: Shape) -> np.ndarray:
    return np.asarray(rng.choice([-1.0, 1.0], shape))


def _soft_margin(rng: Rng) -> Drawn:
    shape = _shape(rng)
    return Drawn({"input": _normal(rng, shape), "target": _signs(rng, shape)})


def _hinge_embedding(rng: Rng) -> Drawn:
    drawn, margin = _soft_margin(rng), _number(rng, -1, 3)
    x = drawn.arrays["input"]
    drawn.arrays["input"] = np.where(rng.random(x.shape) < 0.1, margin, x)  # kinks
    return drawn._replace(settings={"margin": margin} if some(rng, 0.7) else {})


def _margin_ranking(rng: Rng) -> Drawn:
    arrays = _residual(rng, weighable=False)
    scores = {"input1": arrays["input"], "input2": arrays["target"]}
    settings = {"margin": _number(rng, -1, 3)} if some(rng) else {}
    return Drawn({**scores, "target": _signs(rng, scores["input1"].shape)}, settings)


def _poisson_nll(rng: Rng) -> Drawn:
    shape, log_input, full = _shape(rng), some(rng), some(rng)
    x = _uniform(rng, shape, -3, 3) if log_input else _uniform(rng, shape, 0.1, 9)
    # Where a count is 0 its gradient is nan there if full: test_torch_edges.py.
    counts = np.asarray(rng.poisson(2, shape) + float(full))
    settings = {"log_input": log_input, "full": full, "eps": float(rng.choice([1e-8, 0.25]))}
    return Drawn({"input": x, "target": counts}, settings)


def _gaussian_nll(rng: Rng) -> Drawn:
    shape = _shape(rng)
    variances = (*shape[:-1], 1) if some(rng, 0.3) and shape else shape
    arrays = {"input": _uniform(rng, shape, -3, 3), "target": _uniform(rng, shape, -3, 3)}
    arrays["var"] = _uniform(rng, variances, 0.1, 3)
    return Drawn(arrays, {"full": some(rng), "eps": float(rng.choice([1e-6, 0.5]))} if some(rng) else {})


def _kl_div(rng: Rng) -> Drawn:
    shape, log_target = _shape(rng), some(rng)
    target = _uniform(rng, shape, -5, 0) if log_target else _uniform(rng, shape, 0.01, 1)
    return Drawn({"input": _uniform(rng, shape, -5, 0), "target": target}, {"log_target": log_target})


def _triplet_margin(rng: Rng) -> Drawn:
    shape = (*_shape(rng, 2), int(rng.integers(1, 6)))
    arrays = {name: _normal(rng, shape) for name in ("anchor", "positive", "negative")}
    settings = {"margin": _number(rng, 0.1, 3), "eps": float(rng.choice([1e-6, 1e-2])), "swap": some(rng)}
    return Drawn(arrays, settings | {"p": float(rng.choice([1.0, 2.0, 3.0, 1.5]))} if some(rng) else settings)


def _ctc(rng: Rng) -> Drawn:
    steps, samples, classes = (int(n) for n in rng.integers([2, 1, 2], [12, 4, 6]))
    blank, longest = int(rng.integers(0, classes)), int(rng.integers(1, 6))
    symbols = [c for c in range(classes) if c != blank]
    lengths = rng.integers(0, longest + 1, samples)
    targets = rng.choice(symbols, (samples, longest))
    if some(rng, 0.3):
        targets = np.concatenate([row[:n] for row, n in zip(targets, lengths, strict=True)])
    arrays = {"logits": _uniform(rng, (steps, samples, classes), -4, 4), "targets": targets}
    arrays |= {"input_lengths": rng.integers(1, steps + 1, samples), "target_lengths": lengths}
    return Drawn(arrays, {"blank": blank, "zero_infinity": True})


def _multi_margin(rng: Rng) -> Drawn:
    (rows, classes), lone = rng.integers(1, 7, 2).tolist(), some(rng, 0.1)
    shape = (classes,) if lone else (rows, classes)
    # Halves: many scores are at the margin.
    halves = np.asarray(rng.integers(-4, 5, shape) / 2)
    arrays = {"input": halves if some(rng, 0.3) else _normal(rng, shape)}
    arrays["target"] = np.asarray(rng.integers(0, classes, shape[:-1]))
    settings = {"p": int(rng.integers(1, 3)), "margin": float(rng.choice([1.0, 0.5, -0.5]))}
    return Drawn(arrays | _class_weight(rng, classes), settings if some(rng, 0.7) else {})


def _multilabel_margin(rng: Rng) -> Drawn:
    (rows, classes), lone = rng.integers(1, 9, 2).tolist(), some(rng, 0.1)
    shape = (classes,) if lone else (rows, classes)
    halves = np.asarray(rng.integers(-4, 5, shape) / 2)
    listed = rng.integers(0, classes, shape)
    if some(rng, 0.7):
        listed = rng.permuted(np.broadcast_to(np.arange(classes), shape), axis=-1)
    listed = np.where(np.arange(classes) == rng.integers(0, classes + 1, (*shape[:-1], 1)), -1, listed)
    return Drawn({"input": halves if some(rng, 0.3) else _normal(rng, shape), "target": listed})


def _multilabel_soft_margin(rng: Rng) -> Drawn:
    shape = (*_shape(rng, 2), int(rng.integers(1, 6)))
    arrays = {"input": _normal(rng, shape), "target": _uniform(rng, shape)}
    return Drawn(arrays | _class_weight(rng, shape[-1]))


def _long_vectors(rng: Rng, shape: Shape, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Draw vectors so long that what PyTorch adds to their squares is lost."""
    return {name: np.float32(rng.standard_normal(shape) * 1e4 + 1e3).astype(float) for name in names}


def _cosine_embedding(rng: Rng) -> Drawn:
    rows, size = rng.integers(1, 7, 2).tolist()
    shape = (size,) if some(rng, 0.1) else (rows, size)
    arrays = _long_vectors(rng, shape, ("input1", "input2"))
    arrays["target"] = np.asarray(rng.choice([-1, 1], shape[:-1]))
    return Drawn(arrays, {"margin": _number(rng, -0.5, 0.9)} if some(rng) else {})


def _triplet_margin_with_distance(rng: Rng) -> Drawn:
    drawn = _triplet_margin(rng)
    settings = {"margin": drawn.settings["margin"], "swap": drawn.settings["swap"]}
    distance = str(rng.choice(["euclidean", "cosine", "squared", "manhattan"]))
    names = ("anchor", "positive", "negative")
    arrays = drawn.arrays
    if distance == "cosine":
        arrays = _long_vectors(rng, arrays["anchor"].shape, names)
    return Drawn(arrays, settings | {"distance": distance} if some(rng, 0.8) else settings)


DRAWS: Mapping[str, Callable[[Rng], Drawn]] = {
    "mse": _mse,
    "l1": _mse,
    "huber": _huber,
    "smooth_l1": _smooth_l1,
    "cross_entropy": _cross_entropy,
    "nll": _nll,
    "bce": _bce,
    "bce_with_logits": _bce_with_logits,
    "soft_margin": _soft_margin,
    "hinge_embedding": _hinge_embedding,
    "margin_ranking": _margin_ranking,
    "poisson_nll": _poisson_nll,
    "gaussian_nll": _gaussian_nll,
    "kl_div": _kl_div,
    "triplet_margin": _triplet_margin,
    "ctc": _ctc,
    "multi_margin": _multi_margin,
    "multilabel_margin": _multilabel_margin,
    "multilabel_soft_margin": _multilabel_soft_margin,
    "cosine_embedding": _cosine_embedding,
    "triplet_margin_with_distance": _triplet_margin_with_distance,
}


_REFUSED: Mapping[str, set[str]] = {
    "bce": {"weight"},
    "bce_with_logits": {"weight", "pos_weight"},
    "nll": {"weight"},
    "multi_margin": {"weight"},
    "soft_margin": {"target"},
}


def differentiable(name: str, arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Return the arguments that PyTorch differentiates in this call."""
    refused = _REFUSED.get(name, set())
    if name == "cross_entropy" and arrays["target"].dtype.kind == "i":
        refused = {"weight"}
    return [key for key, array in arrays.items() if array.dtype.kind == "f" and key not in refused]
