"""What the engine is measured on: every loss that PyTorch has too, and the sizes it is given.

Both sides draw their arrays here, from the same seed, and take them under the same names: the names of
lossd's arguments are PyTorch's. Nothing here imports either of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
Draw = Callable[[np.random.Generator, Shape, Any], dict[str, Array]]

SIZES = (10, 100, 1_000, 10_000, 100_000, 1_000_000, 16_000_000)
DTYPES = ("float32", "float64")
THREADS = (1, 2)
CLASSES = 10
WIDTH = 100
CROSS_ENTROPY_SHAPES: tuple[Shape, ...] = ((8, 3), (1024, 10), (1024, 100), (1024, 1000), (256, 50257))
# Frames, samples and classes, by their product.
CTC_SHAPES: Mapping[int, Shape] = {
    10: (5, 1, 2),
    100: (10, 1, 10),
    1_000: (10, 5, 20),
    10_000: (50, 10, 20),
    100_000: (100, 20, 50),
    1_000_000: (200, 50, 100),
    16_000_000: (500, 64, 500),
}


@dataclass(frozen=True, slots=True)
class Subject:
    """One loss that both sides compute.

    Attributes:
        torch: Its function in ``torch.nn.functional``.
        draw: Draws its arrays, the first of them in the case's shape.
        shape: From a number of elements to the shape of the first array.
        gradient: The arrays that it is differentiated with respect to.
        limit: The one NumPy call that the loss cannot do without; none where no single call stands for it.
    """

    torch: str
    draw: Draw
    shape: Callable[[int], Shape] = lambda size: (size,)
    gradient: tuple[str, ...] = ("input",)
    limit: str | None = "subtract"


@dataclass(frozen=True, slots=True)
class Case:
    """One row: a loss, the shape of its first array, a type, and how many threads may work."""

    loss: str
    shape: Shape
    dtype: str
    threads: int

    @property
    def size(self) -> int:
        """How many elements the first array has."""
        return prod(self.shape)

    def arrays(self) -> dict[str, Array]:
        """Draw the arrays, the same ones in every process."""
        return SUBJECTS[self.loss].draw(np.random.default_rng(0), self.shape, np.dtype(self.dtype))


def cases_of_sizes(
    sizes: tuple[int, ...], dtypes: tuple[str, ...], threads: tuple[int, ...]
) -> Iterator[Case]:
    """List every loss at every size."""
    for loss, subject in SUBJECTS.items():
        for count in threads:
            for dtype in dtypes:
                yield from (Case(loss, subject.shape(size), dtype, count) for size in sizes)


def cases_of_shapes(
    shapes: tuple[Shape, ...], dtypes: tuple[str, ...], threads: tuple[int, ...]
) -> Iterator[Case]:
    """List cross entropy at every shape."""
    for count in threads:
        for dtype in dtypes:
            yield from (Case("cross_entropy", shape, dtype, count) for shape in shapes)


def _reals(rng: np.random.Generator, shape: Shape, dtype: Any) -> dict[str, Array]:
    return {name: rng.standard_normal(shape, dtype) for name in ("input", "target")}


def _logits_and_labels(rng: np.random.Generator, shape: Shape, dtype: Any) -> dict[str, Array]:
    return {"input": rng.standard_normal(shape, dtype), "target": rng.integers(0, 2, shape).astype(dtype)}


def _probabilities_and_labels(rng: np.random.Generator, shape: Shape, dtype: Any) -> dict[str, Array]:
    drawn = _logits_and_labels(rng, shape, dtype)
    return {**drawn, "input": 1 / (1 + np.exp(-drawn["input"]))}


def _scores_and_signs(rng: np.random.Generator, shape: Shape, dtype: Any) -> dict[str, Array]:
    return {"input": rng.standard_normal(shape, dtype), "target": _signs(rng, shape, dtype)}


def _pairs_of_scores(rng: np.random.Generator, shape: Shape, dtype: Any) -> dict[str, Array]:
    scores = {name: rng.standard_normal(shape, dtype) for name in ("input1", "input2")}
    return {**scores, "target": _signs(rng, shape, dtype)}


def _signs(rng: np.random.Generator, shape: Shape, dtype: Any) -> Array:
    signs: Array = (2 * rng.integers(0, 2, shape) - 1).astype(dtype)
    return signs


def _logarithms_and_counts(rng: np.random.Generator, shape: Shape, dtype: Any) -> dict[str, Array]:
    return {"input": rng.standard_normal(shape, dtype), "target": rng.poisson(2, shape).astype(dtype)}


def _reals_and_variances(rng: np.random.Generator, shape: Shape, dtype: Any) -> dict[str, Array]:
    return {**_reals(rng, shape, dtype), "var": np.exp(rng.standard_normal(shape, dtype))}


def _log_probabilities_and_probabilities(
    rng: np.random.Generator, shape: Shape, dtype: Any
) -> dict[str, Array]:
    logits = {name: _log_softmax(rng.standard_normal(shape, dtype)) for name in ("input", "target")}
    return {**logits, "target": np.exp(logits["target"])}


def _logits_and_classes(rng: np.random.Generator, shape: Shape, dtype: Any) -> dict[str, Array]:
    return {"input": rng.standard_normal(shape, dtype), "target": rng.integers(0, shape[1], shape[0])}


def _log_probabilities_and_classes(rng: np.random.Generator, shape: Shape, dtype: Any) -> dict[str, Array]:
    drawn = _logits_and_classes(rng, shape, dtype)
    return {**drawn, "input": _log_softmax(drawn["input"])}


def _triplets(rng: np.random.Generator, shape: Shape, dtype: Any) -> dict[str, Array]:
    return {name: rng.standard_normal(shape, dtype) for name in ("anchor", "positive", "negative")}


def _lists_of_classes(rng: np.random.Generator, shape: Shape, dtype: Any) -> dict[str, Array]:
    """Draw up to half of the classes as true ones."""
    rows, classes = shape
    order = rng.permuted(np.broadcast_to(np.arange(classes), shape), axis=1)
    listed = np.arange(classes) < rng.integers(1, classes // 2 + 2, (rows, 1))
    return {"input": rng.standard_normal(shape, dtype), "target": np.where(listed, order, -1)}


def _pairs_and_signs(rng: np.random.Generator, shape: Shape, dtype: Any) -> dict[str, Array]:
    vectors = {name: rng.standard_normal(shape, dtype) for name in ("input1", "input2")}
    return {**vectors, "target": rng.choice([-1, 1], shape[0]).astype(dtype)}


def _frames_and_labels(rng: np.random.Generator, shape: Shape, dtype: Any) -> dict[str, Array]:
    steps, samples, classes = shape
    length = max(1, steps // 5)
    return {
        "log_probs": _log_softmax(rng.standard_normal(shape, dtype)),
        "targets": rng.integers(1, classes, (samples, length)),
        "input_lengths": np.full(samples, steps),
        "target_lengths": np.full(samples, length),
    }


def _log_softmax(logits: Array) -> Array:
    log_probabilities: Array = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return log_probabilities


def _by_classes(size: int) -> Shape:
    return (-(-size // CLASSES), CLASSES)


def _by_width(size: int) -> Shape:
    width = min(size, WIDTH)
    return (-(-size // width), width)


def _ctc_shape(size: int) -> Shape:
    nearest = min(CTC_SHAPES, key=lambda known: abs(np.log(known / size)))
    return CTC_SHAPES[nearest]


SUBJECTS: Mapping[str, Subject] = {
    "mse": Subject("mse_loss", _reals),
    "l1": Subject("l1_loss", _reals),
    "huber": Subject("huber_loss", _reals),
    "smooth_l1": Subject("smooth_l1_loss", _reals),
    "bce": Subject("binary_cross_entropy", _probabilities_and_labels),
    "bce_with_logits": Subject("binary_cross_entropy_with_logits", _logits_and_labels),
    "soft_margin": Subject("soft_margin_loss", _scores_and_signs, limit="exp"),
    "hinge_embedding": Subject("hinge_embedding_loss", _scores_and_signs),
    "margin_ranking": Subject(
        "margin_ranking_loss", _pairs_of_scores, gradient=("input1", "input2"), limit=None
    ),
    "poisson_nll": Subject("poisson_nll_loss", _logarithms_and_counts, limit="exp"),
    "gaussian_nll": Subject("gaussian_nll_loss", _reals_and_variances, gradient=("input", "var")),
    "kl_div": Subject("kl_div", _log_probabilities_and_probabilities, _by_classes, limit=None),
    "cross_entropy": Subject("cross_entropy", _logits_and_classes, _by_classes, limit="exp"),
    "nll": Subject("nll_loss", _log_probabilities_and_classes, _by_classes, limit=None),
    "triplet_margin": Subject(
        "triplet_margin_loss", _triplets, _by_width, gradient=("anchor", "positive", "negative"), limit=None
    ),
    "triplet_margin_with_distance": Subject(
        "triplet_margin_with_distance_loss",
        _triplets,
        _by_width,
        gradient=("anchor", "positive", "negative"),
        limit=None,
    ),
    "cosine_embedding": Subject(
        "cosine_embedding_loss", _pairs_and_signs, _by_width, gradient=("input1", "input2"), limit=None
    ),
    "multi_margin": Subject("multi_margin_loss", _logits_and_classes, _by_classes, limit=None),
    "multilabel_margin": Subject("multilabel_margin_loss", _lists_of_classes, _by_classes, limit=None),
    "multilabel_soft_margin": Subject(
        "multilabel_soft_margin_loss", _logits_and_labels, _by_classes, limit="subtract"
    ),
    "ctc": Subject("ctc_loss", _frames_and_labels, _ctc_shape, gradient=("log_probs",), limit=None),
}
