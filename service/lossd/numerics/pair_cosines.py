"""Cosines of all pairs of a batch, by how far its vectors are from one line.

With u the unit vectors, s = 1 or -1 for the side of a plane on which each is, and t = s u - m for any one vector m,

``c_ij = s_i s_j (1 + t_i t_j - (|t_i|^2 + |t_j|^2) / 2)``.

With m near the mean of the s u, the t are small where the vectors are close to one line, on one end of it or both. Then
differences of cosines on one side have the errors of the t, where those of the cosines themselves have the errors of 1.
Vectors that are close to no line are all on one side: two would take time and gain no digit. An item at right angles to
all that are like it has cosines of small products, which t would round as parts of 1: there they are ``u_i u_j``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lossd.message import Array
from lossd.numerics.directions import Directions
from lossd.numerics.dual_array import value_of

_RIGHT_ANGLE = 1 / 16  # the largest cosine that counts as one: of a larger one t loses four bits at most


class PairCosines(NamedTuple):
    """What the cosines of a batch are computed from.

    Attributes:
        unit: u, ``(N, D)``.
        side: s, ``(N,)``; 0 of a vector of zeros, whose cosines are 0.
        apart: t, ``(N, D)``.
        half: Half their squares, ``(N,)``.
    """

    unit: Array
    side: Array
    apart: Array
    half: Array

    def rows(self, here: slice, compared: Array) -> Array:
        """Return the cosines of some items with all, each row less its largest of those to be ``compared``.

        Where nothing is to be compared, a row is less some number.

        Args:
            here: Which items.
            compared: A mask, ``(rows, N)``.
        """
        cosines, less = self._less_own(here, compared)
        top = _largest(cosines, compared)
        across = np.flatnonzero(np.abs(value_of(top)[:, 0] + less) < _RIGHT_ANGLE)
        if len(across):
            cosines[across] = self.unit[here][across] @ self.unit.T
            top[across] = _largest(cosines[across], compared[across])
        cosines -= np.where(np.isneginf(top), 0, top)
        return cosines

    def _less_own(self, here: slice, compared: Array) -> tuple[Array, Array]:
        """Return the cosines made of t, each row less a number of its own, and about which ones, ``(rows,)``.

        On the item's own side they are small if any item to be compared is there, and otherwise on the other one.
        """
        cosines: Array = self.apart[here] @ self.apart.T
        cosines -= self.half
        if (self.side == self.side[:1]).all():
            return cosines, 1 - value_of(self.half)[here]
        cosines -= self.half[here, None]
        sides = self.side[here, None] * self.side
        cosines *= sides
        near = (compared & (sides == 1)).any(axis=1)
        less: Array = np.where(near, 1, -np.abs(self.side[here]))
        cosines += sides - less[:, None]
        return cosines, less


def _largest(cosines: Array, compared: Array) -> Array:
    largest: Array = np.where(compared, cosines, -np.inf).max(axis=1, keepdims=True)
    return largest


def pair_cosines(vectors: Directions) -> PairCosines:
    """Take the vectors' sides, and how far each is from the middle of all on one side."""
    side = _sides(vectors)
    turned = vectors.unit * side[:, None]
    apart = turned - _middle(value_of(turned)[side != 0])
    return PairCosines(vectors.unit, side, apart, np.vecdot(apart, apart) / 2)


def _sides(vectors: Directions) -> Array:
    """Return s: the sign of the coordinate that is longest in all together, or 1 if their mean is then short."""
    unit = value_of(vectors.unit)
    one_side: Array = (value_of(vectors.norm)[:, 0] != 0).astype(np.int8)
    if not unit.size:
        return one_side
    longest = int(np.abs(unit).sum(axis=0).argmax())
    side: Array = np.where(unit[:, longest] < 0, -one_side, one_side)
    total = side.astype(unit.dtype) @ unit
    return side if total @ total > (one_side.sum() / 2) ** 2 else one_side


def _middle(unit: Array) -> Array:
    """Return a vector near the mean of unit vectors ``(N, D)``.

    It is rounded to an eighth of their widest difference from the mean or less, so that their differences from it are
    exact for vectors of few digits: those at right angles stay equally far apart.
    """
    if not len(unit):
        return np.zeros(unit.shape[1], unit.dtype)
    mean = unit.sum(axis=0) / len(unit)
    widest = np.abs(unit - mean).max(initial=np.finfo(unit.dtype).eps)
    step = math.ldexp(1, math.frexp(widest)[1] - 4)
    rounded: Array = np.rint(mean / step) * step
    return rounded
