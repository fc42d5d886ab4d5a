"""This file is arguments that choose, as the classes of samples: looked at once, before the blocks.

Where all of them choose, a call is as any other of its shapes, and what is known of those holds for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossd.engine.arrange import Arranged
from lossd.errors import invalid
from lossd.losses.domain import Domain, Index
from lossd.losses.spec import Loss
from lossd.message import Array


@dataclass(frozen=True, slots=True)
class Choice:
    """An argument of whole numbers that choose, looked at before the blocks: it is small beside what it chooses from.

    Attributes:
        name: The argument.
        domain: What it may hold.
        sizes: Length of every named dimension.
        ignored: What it holds where a row takes no part, if the domain has that too.
    """

    name: str
    domain: Domain
    sizes: Mapping[str, int]
    ignored: int | None

    def is_made(self, arrays: Mapping[str, Array]) -> bool:
        """Return whether every row chooses."""
        array = arrays[self.name]
        if self.domain.forbidden(array, self.sizes) is not None:
            return False
        return self.ignored is None or not np.count_nonzero(np.equal(array, self.ignored))


def check_ignored(loss: Loss, arranged: Arranged, settings: Mapping[str, Any]) -> None:
    """Refuse an index to ignore where the argument was given in its form without indices.

    Raises:
        InvalidCall: The setting has another value than its default, which would have no effect.
    """
    if loss.ignored is None:
        return
    argument, setting = loss.ignored
    placed = arranged.placed.get(argument)
    default = loss.settings[setting][1]
    if placed is None or placed.role.domain.integer or settings[setting] == default:
        return
    raise invalid(
        setting, f"{default}, its default, as {argument} holds {placed.role.domain}", settings[setting]
    )


def choices_of(loss: Loss, arranged: Arranged, settings: Mapping[str, Any]) -> Iterator[Choice]:
    """Yield the arguments to look at in each call of a kind."""
    for name, placed in arranged.placed.items():
        domain = placed.role.domain
        if isinstance(domain, Index):
            ignored = settings[loss.ignored[1]] if loss.ignored and loss.ignored[0] == name else -1
            possible = 0 <= ignored < arranged.sizes[domain.of]
            yield Choice(name, domain, arranged.sizes, ignored if possible else None)
