"""This file is the numerically stable primitives, each with its identity, range and source.

The plain forms overflow or lose every digit in the tails, which is where losses are small and training
is nearly done.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lossd.message import Array


class Softmax(NamedTuple):
    """The softmax of rows of logits ``(rows, C)``, with exact tails.

    Attributes:
        log: Logarithms of the probabilities.
        probability: The probabilities s.
        complement: 1 - s, exact also where s rounds to 1.
    """

    log: Array
    probability: Array
    complement: Array


def softmax(logits: Array) -> Softmax:
    """Return the softmax of each row.

    With m the row's maximum and o the sum of ``exp(x_c - m)`` over all classes but one at the maximum,
    ``log s_c = x_c - m - log1p(o)``. Where s rounds to 1, o is what is left of the loss: adding it to the
    maximum's own 1 would lose it. Range: all finite logits, -inf for classes ruled out, +inf for one that is certain.
    """
    rows = np.arange(len(logits))
    top = logits.argmax(axis=1)
    shifted = logits - logits[rows, top][:, None]
    shifted[rows, top] = 0  # also where it is infinity less itself
    exponential = np.exp(shifted)
    exponential[rows, top] = 0
    others = exponential.sum(axis=1)
    exponential[rows, top] = 1
    probability = exponential / (1 + others)[:, None]
    complement = 1 - probability
    complement[rows, top] = others / (1 + others)
    return Softmax(shifted - np.log1p(others)[:, None], probability, complement)


def softplus(values: Array) -> Array:
    """Return ``log(1 + exp(x))`` as ``max(x, 0) + log1p(exp(-|x|))``: no overflow, exact for all x."""
    return np.maximum(values, 0) + np.log1p(np.exp(-np.abs(values)))


def sigmoid(values: Array) -> Array:
    """Return ``1 / (1 + exp(-x))`` from ``exp(-|x|)``: no overflow, exact for all x, also where s is tiny."""
    small = np.exp(-np.abs(values))
    whole: Array = np.where(values >= 0, 1, small) / (1 + small)
    return whole


def times(factor: Array | float, value: Array) -> Array:
    """Return the product in which 0 times anything is 0: what has no weight adds nothing, whatever it holds."""
    product: Array = factor * value
    if np.isnan(product).any():
        product[np.broadcast_to(np.equal(factor, 0), product.shape)] = 0
    return product
