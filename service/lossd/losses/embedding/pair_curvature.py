"""The curvature of `nt_xent` that comes of the slopes of all similarities of a batch.

With U the unit vectors, n the norms and c the cosines, s_al moves along x_ad by ``v_l / (tau n_a)``,
``v_l = U_ld - c_al U_ad``. The other part is that s_al curves, by
``((3 U_ad^2 - 1) c_al - 2 U_ad U_ld) / (tau n_a^2)``. With q the weight of a positive j, its curvature
``w = q (1 - q)``, B and W their sums, and p the probability of a negative k, row a, all of which moves, curves by

``sum_j w_j (z - v_j)^2 + B (sum_k p_k v_k^2 - z^2),  z = sum_k p_k v_k``

and any other, of which only the similarity to a moves, by v^2 times w, or B p (1 - p) + W p^2. The variance is taken
about the most similar negative's v, r, so that nothing cancels where its probability rounds to 1: over the others, m
in all, it is ``sum_k p_k v_k^2 - 2 r e - m r^2 - e^2``, ``e = z - r = sum_k p_k v_k - m r``.

Sums of v are those of U_ld less those of c_al U_ad: three products of matrices for all coordinates. Along the longest
coordinate of a vector these may cancel, so there each v is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from lossd.losses.embedding.compared_rows import ComparedRows
from lossd.message import Array
from lossd.numerics.stable import sigmoid


@dataclass(frozen=True, slots=True)
class _Weights:
    """What multiplies the moves v in the curvature of some rows; `_weights_of` says how.

    Attributes:
        curved: w of each positive, ``(rows, N)``.
        others: p of each negative but the most similar, ``(rows, N)``.
        total: W of each row, ``(rows, 1)``.
        top: The places of the most similar negatives.
        as_own: Weights of v^2 in the row of the vector that moves, times upstream, ``(rows, N)``.
        as_other: Weights of v^2 in the rows of others, likewise.
        scale: Upstream, ``(rows, 1)``.
    """

    curved: Array
    others: Array
    total: Array
    top: tuple[Array, Array]
    as_own: Array
    as_other: Array
    scale: Array

    def of_means(self, weighted_moves: Callable[[Array], Array], r: Array) -> Array:
        """Return the own rows' curvature without the sums of v^2; ``weighted_moves`` sums weights times v over l."""
        m, curves = (each.sum(axis=1, keepdims=True) for each in (self.others, self.curved))
        e = weighted_moves(self.others) - m * r
        z = r + e
        of_positives = z * (curves * z - 2 * weighted_moves(self.curved))
        curvature = of_positives - self.total * (e**2 + 2 * r * e + m * r**2)
        scaled: Array = self.scale * curvature
        return scaled


def curvature_of_pairs(unit: Array, rows: Iterable[ComparedRows], upstream: Array) -> Array:
    """Return the diagonal of the Hessian's part of the similarities' slopes, times tau^2 n_a^2, ``(N, D)``."""
    squares, moves = unit**2, _moves_along_longest(unit)
    # Of the weights u_al of v_l^2: sums over l of u U_l^2, of u c U_l, and of u c^2.
    of_squares, of_units, of_cosines = (
        np.zeros_like(unit),
        np.zeros_like(unit),
        np.zeros(len(unit), unit.dtype),
    )
    means, along_longest = np.zeros_like(unit), np.zeros((len(unit), 1), unit.dtype)
    every = slice(0, len(unit))
    for row in rows:
        here, own = row.here, unit[row.here]
        cosine, weights = own @ unit.T, _weights_of(row, upstream)

        def weighted_moves(of: Array, own: Array = own, cosine: Array = cosine) -> Array:
            summed: Array = of @ unit - own * np.vecdot(of, cosine)[:, None]
            return summed

        top, as_own, as_other = weights.top, weights.as_own, weights.as_other
        means[here] = weights.of_means(weighted_moves, unit[top[1]] - own * cosine[top][:, None])
        of_squares[here] += as_own @ squares
        of_squares += as_other.T @ squares[here]
        v, v_of_others = moves(here, every), moves(every, here)
        along_longest[here] += weights.of_means(partial(_sums, v), v[top][:, None]) + _sums(v * v, as_own)
        along_longest += _sums(v_of_others**2, as_other.T)
        as_own, as_other = as_own * cosine, as_other * cosine
        of_units[here] += as_own @ unit
        of_units += as_other.T @ own
        of_cosines[here] += np.vecdot(as_own, cosine)
        of_cosines += (as_other * cosine).sum(axis=0)
    curvature: Array = of_squares - unit * (2 * of_units - unit * of_cosines[:, None]) + means
    if unit.size:
        np.put_along_axis(curvature, _longest(unit), along_longest, axis=1)
    return curvature


def _weights_of(row: ComparedRows, upstream: Array) -> _Weights:
    weight, probability = row.weights()
    curved = weight * sigmoid(-row.excess)
    total, curves = (each.sum(axis=1, keepdims=True) for each in (weight, curved))
    scale = upstream[row.here].astype(curved.dtype)[:, None]
    top = np.arange(len(curved)), probability.argmax(axis=1)
    most = probability[top][:, None]
    probability[top] = 0  # now of all but the most similar
    as_other = curved + probability * (total - (total - curves) * probability)
    as_other[top] = (most * (total * probability.sum(axis=1, keepdims=True) + curves * most))[:, 0]
    as_own = curved + total * probability
    return _Weights(curved, probability, total, top, scale * as_own, scale * as_other, scale)


def _moves_along_longest(unit: Array) -> Callable[[slice, slice], Array]:
    """Return the function that gives the v_l of some items a along the longest coordinate k of each.

    With j the other coordinates, ``U_lk - c_al U_ak = U_lk sum_j U_aj^2 - U_ak sum_j U_aj U_lj``.
    """
    if not unit.size:
        return lambda items, others: np.zeros((len(unit[items]), len(unit[others])), unit.dtype)
    longest, rest = _longest(unit), unit.copy()
    np.put_along_axis(rest, longest, 0, axis=1)
    own, squares = np.take_along_axis(unit, longest, axis=1), np.vecdot(rest, rest)[:, None]

    def moves(items: slice, others: slice) -> Array:
        of_others = unit[others].T[longest[items, 0]]
        moved: Array = of_others * squares[items] - own[items] * (rest[items] @ unit[others].T)
        return moved

    return moves


def _longest(unit: Array) -> Array:
    places: Array = np.abs(unit).argmax(axis=1)[:, None]
    return places


def _sums(values: Array, weights: Array) -> Array:
    sums: Array = np.vecdot(weights, values)[:, None]
    return sums
