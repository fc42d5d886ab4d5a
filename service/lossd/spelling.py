"""Finds the name that a caller may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

_LONGEST = 48  # no name that is known is longer
_SHORTEST = 3  # every name of two letters is one edit from many


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean ...?`` with the known names that are one typing error away; else nothing.

    Case and underscores do not count. The similarity of `difflib` does not serve here: to it ``prediction`` is
    closer to ``reduction`` than ``inptu`` is to ``input``.
    """
    near = names_near(name, known)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def names_near(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that are one typing error away, each once, in their order."""
    if not _SHORTEST <= len(name) <= _LONGEST:
        return []
    bare = _bare(name)
    return [each for each in dict.fromkeys(known) if _is_one_edit(bare, _bare(each))]


def _bare(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")


def _is_one_edit(one: str, other: str) -> bool:
    """Tell whether at most one letter is added, left out or changed, or two neighbours are swapped."""
    if abs(len(one) - len(other)) > 1:
        return False
    one, other = _without_common_start(one, other)
    one, other = _without_common_start(one[::-1], other[::-1])
    return max(len(one), len(other)) <= 1 or (len(one) == 2 and one == other[::-1])


def _without_common_start(one: str, other: str) -> tuple[str, str]:
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    return one[same:], other[same:]
