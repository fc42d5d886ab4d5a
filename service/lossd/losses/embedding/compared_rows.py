"""Rows of the matrix of similarities of all pairs of a batch: their losses and slopes in `nt_xent`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lossd.message import Array
from lossd.numerics.pair_cosines import PairCosines
from lossd.numerics.stable import sigmoid, softplus
from lossd.numerics.sums import row_totals


@dataclass(frozen=True, slots=True)
class ComparedRows:
    """Some items compared with all, ``(rows, N)`` each.

    Attributes:
        here: Which items.
        positive: Which of all items have the same label, without the item itself.
        same: The same with it.
        similarity: Cosines over the temperature, less that of the most similar negative.
        negatives: Logarithm of the sum of the negatives' exponentials, ``(rows, 1)``.
    """

    here: slice
    positive: Array
    same: Array
    similarity: Array
    negatives: Array

    @property
    def excess(self) -> Array:
        """How far the negatives together outweigh each item."""
        return self.negatives - self.similarity

    @property
    def value(self) -> Array:
        """The loss of each item."""
        return row_totals(np.where(self.positive, softplus(self.excess), 0))

    def weights(self) -> tuple[Array, Array]:
        """Return the weight of each positive, the slope of its loss, and the probability of each negative."""
        weight = np.where(self.positive, sigmoid(self.excess), 0)
        probability = np.where(self.same, 0, np.exp(self.similarity - self.negatives))
        return weight, probability

    def slope(self, upstream: Array) -> Array:
        """Return the gradient with respect to the similarities."""
        weight, probability = self.weights()
        total = probability * weight.sum(axis=1, keepdims=True) - weight
        weighted: Array = total * upstream[self.here].astype(total.dtype)[:, None]
        return weighted


def compare(cosines: PairCosines, labels: Array, tau: Array, here: slice) -> ComparedRows:
    """Compare some items with all, ``(rows, N)``.

    Args:
        cosines: What the cosines of the batch are computed from.
        labels: ``(N,)``.
        tau: The temperature, a scalar of the cosines' type.
        here: Which items.
    """
    same = labels[here, None] == labels
    positive = same.copy()
    positive.reshape(-1)[here.start :: len(labels) + 1] = False
    # Of the most similar negative it is 0: no loss depends on more than the differences in a row.
    similarity = cosines.rows(here, ~same)
    similarity /= tau
    exponential = np.where(same, -np.inf, similarity)
    np.exp(exponential, out=exponential)
    negatives = np.log(row_totals(exponential)).astype(similarity.dtype)[:, None]
    return ComparedRows(here, positive, same, similarity, negatives)
