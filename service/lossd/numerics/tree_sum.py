"""Sums whose bits depend on the places of their terms alone, not on who adds which of them, or when.

Terms stand at places 0, 1, 2, ... A term is added to its neighbour, their sum to that of the neighbouring pair, and so
on: a binary tree over the places. So terms may come in parts, in any order, from several machines; what is kept of
n of them that follow one another are about log2(n) sums.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Term = Any  # a number or an array; None at a place that adds nothing
Node = tuple[int, int]  # a level of the tree, and a place on it: 2**level terms from place * 2**level on


class TreeSum:
    """A sum of terms by their places.

    Attributes:
        nodes: The sums of whole branches whose neighbours are still to come.
    """

    def __init__(self) -> None:
        self.nodes: dict[Node, Term] = {}

    def add(self, place: int, term: Term, level: int = 0) -> None:
        """Add the term of a place, or the sum of a branch, each place once."""
        while (level, place ^ 1) in self.nodes:
            term = _added(term, self.nodes.pop((level, place ^ 1)))
            level, place = level + 1, place >> 1
        self.nodes[level, place] = term

    def total(self) -> Term:
        """Return the sum of all terms; None if there is none."""
        branches = dict(self.nodes)
        level = min((level for level, _ in branches), default=0)
        while len(branches) > 1:  # those without a neighbour rise as they are
            found: dict[Node, Term] = {}
            for (of, place), term in branches.items():
                node = (of, place) if of > level else (of + 1, place >> 1)
                found[node] = _added(found.get(node), term)
            branches, level = found, level + 1
        return next(iter(branches.values()), None)


def tree_sum(terms: Iterable[Term], first: int = 0) -> TreeSum:
    """Return the sum of terms that follow one another from place ``first`` on."""
    found = TreeSum()
    for place, term in enumerate(terms, first):
        found.add(place, term)
    return found


def tree_total(terms: Iterable[Term]) -> Term:
    """Return the sum of all terms of a call; None if there is none."""
    level = list(terms)
    while len(level) > 1:
        alone = level[-1:] if len(level) % 2 else []
        level = [*map(_added, level[::2], level[1::2]), *alone]
    return level[0] if level else None


def _added(one: Term, other: Term) -> Term:
    if one is None or other is None:
        return other if one is None else one
    return one + other
