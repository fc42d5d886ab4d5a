"""Ways to draw an array of random numbers: of any size, tied, nearly 0 or 1, or far apart."""

from __future__ import annotations

from typing import Any

import numpy as np


def ordinary(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw normal numbers of one moderate scale."""
    return np.asarray(rng.standard_normal(shape) * rng.choice([0.1, 1, 3, 30]))


def one_long(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw vectors of which the first coordinate makes nearly all: their directions are nearly alike or opposite."""
    vectors = rng.integers(-4, 5, shape) / 2 if rng.random() < 0.3 else rng.standard_normal(shape)
    thin = 10.0 ** rng.uniform(-0.3 * np.finfo(dtype).precision, -1)
    return np.asarray(vectors * np.where(np.arange(shape[-1] if shape else 1) == 0, 1, thin)).reshape(shape)


def near_axes(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw vectors of which each lies next to an axis, on either side: their cosines are nearly 0, 1 or -1."""
    vectors = one_long(rng, shape, dtype)
    return np.asarray(rng.permuted(vectors, axis=-1) if shape else vectors)


def tied(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw halves: sums and differences are exact, and many are equal."""
    return np.asarray(rng.integers(-4, 5, shape) / 2)


def any_size(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw every magnitude that the type has, zero too."""
    limits = np.finfo(dtype)
    low, high = np.log2(float(limits.smallest_subnormal)), np.log2(float(limits.max))
    size = np.exp2(rng.uniform(low, high, shape))
    return np.asarray(size * rng.choice([-1, 1, 1, 0], shape, p=[0.45, 0.25, 0.25, 0.05]))


def one_scale(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw normal numbers of one scale, which may be any."""
    return np.asarray(rng.standard_normal(shape) * abs(any_size(rng, (), dtype)))


def scaled_rows(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw vectors of any length: cosines do not depend on it, but have the errors of the longest coordinate."""
    vectors = rng.integers(-3, 4, shape) if rng.random() < 0.3 else rng.standard_normal(shape)
    return np.asarray(vectors * any_size(rng, shape[:1], dtype)[:, None])


def scaled_columns(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw dimensions of any scale: correlations do not depend on it, but have the errors of the farthest item."""
    items = rng.integers(-3, 4, shape) if rng.random() < 0.3 else rng.standard_normal(shape)
    return np.asarray(items * any_size(rng, shape[1:], dtype))


def far_logits(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw what an exponential over- or underflows at."""
    return np.asarray(rng.uniform(-800, 800, shape) * rng.choice([0.02, 0.1, 0.2, 1]))


def mixed(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw each number by a profile of its own."""
    ways = np.stack([way(rng, shape, dtype) for way in (ordinary, tied, any_size, far_logits)])
    chosen = rng.integers(0, len(ways), shape)
    return np.asarray(np.take_along_axis(ways, chosen[None], axis=0)[0])


def fractions(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw numbers in [0, 1]: both ends, next to both ends, of any size, and in between."""
    eps = float(np.finfo(dtype).eps)
    ways = np.stack(
        [
            rng.uniform(0, 1, shape),
            rng.integers(0, 2, shape).astype(float),
            np.minimum(abs(any_size(rng, shape, dtype)), 1),
            1 - eps * rng.integers(0, 9, shape) / 2,
            np.exp2(-rng.uniform(0, 60, shape)),
            1 - np.exp2(-rng.uniform(0, 60, shape)),
        ]
    )
    chosen = (
        rng.integers(0, len(ways), shape) if rng.random() < 0.5 else np.full(shape, rng.integers(len(ways)))
    )
    return np.asarray(np.take_along_axis(ways, chosen[None], axis=0)[0])


def weights(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw factors: ordinary ones, none, tiny and huge ones."""
    usual = rng.uniform(0, 3, shape) * rng.choice([0, 1, 1], shape)
    return usual if rng.random() < 0.8 else np.asarray(np.exp2(rng.uniform(-60, 60, shape)))


def signed_weights(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw factors of which the largest may be negative, and outweigh the others."""
    found = weights(rng, shape, dtype)
    if found.size and rng.random() < 0.2:
        found.reshape(-1)[found.argmax()] *= -np.exp2(rng.integers(0, 40))
    return found


def distributions(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Draw probabilities of all classes, the last axis: soft, nearly certain, and certain ones."""
    soft = rng.dirichlet(np.full(shape[-1], rng.choice([0.05, 0.5, 5.0])), shape[:-1])
    certain = np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
    return np.asarray(soft if rng.random() < 0.7 else certain)
