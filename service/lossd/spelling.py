"""Finds the name that a caller may have meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

_LONGEST = 48  # no name that is known is longer
_SHORTEST = 3  # every name of two letters is one edit from many

Names = Mapping[str, str]
"""Known names to how they are compared."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean ...?`` with the known names that are one typing error away; else nothing.

    Case and underscores do not count. The similarity of `difflib` does not serve here: to it ``prediction`` is
    closer to ``reduction`` than ``inptu`` is to ``input``.
    """
    return hint_of(names_near(name, names_of(known)))


def hint_of(near: Sequence[str]) -> str:
    """Return ``; did you mean ...?`` with names, if there are any."""
    return f"; did you mean {' or '.join(near)}?" if near else ""


def names_of(known: Iterable[str]) -> Names:
    """Return how known names are compared, each once, in their order; to keep where they are compared often."""
    return {name: _bare(name) for name in known}


def names_near(name: str, known: Names) -> list[str]:
    """Return the known names that are one typing error away, in their order."""
    if not _SHORTEST <= len(name) <= _LONGEST:
        return []
    bare = _bare(name)
    lengths = range(len(bare) - 1, len(bare) + 2)
    return [each for each, other in known.items() if len(other) in lengths and _is_one_edit(bare, other)]


@lru_cache(2048)  # more than there are known names
def _bare(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")


def _is_one_edit(one: str, other: str) -> bool:
    """Tell whether at most one letter is added, left out or changed, or two neighbours are swapped."""
    one, other = _without_common_start(one, other)
    one, other = _without_common_start(one[::-1], other[::-1])
    return max(len(one), len(other)) <= 1 or (len(one) == 2 and one == other[::-1])


def _without_common_start(one: str, other: str) -> tuple[str, str]:
    same = 0
    for letter, letter_of_other in zip(one, other, strict=False):
        if letter != letter_of_other:
            break
        same += 1
    return one[same:], other[same:]
