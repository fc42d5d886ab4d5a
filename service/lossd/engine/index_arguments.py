"""Arguments of indices, such as the classes of samples, checked as a whole before the blocks.

Where every row has an index that is valid and not ignored, the plan that is kept for calls of these shapes holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from lossd.declaration.domain import Domain
from lossd.declaration.index_domain import Index
from lossd.engine.bind import Bound
from lossd.engine.request import Request
from lossd.errors import invalid
from lossd.message import Array


@dataclass(frozen=True, slots=True)
class IndexArgument:
    """An argument of indices; it is small beside what they select from.

    Attributes:
        name: The argument.
        domain: The values that it may hold.
        sizes: Length of every letter in the patterns.
        ignored: The index that leaves a row out, if the domain has it too.
    """

    name: str
    domain: Domain
    sizes: Mapping[str, int]
    ignored: int | None

    def valid(self, arrays: Mapping[str, Array]) -> bool:
        """Return whether every row has a valid index that is not ignored."""
        array = arrays[self.name]
        if self.domain.forbidden(array, self.sizes) is not None:
            return False
        return self.ignored is None or not np.count_nonzero(np.equal(array, self.ignored))


def check_ignored(request: Request, bound: Bound) -> None:
    """Refuse an index to ignore where the argument was given in its form without indices.

    Raises:
        InvalidCall: The setting has another value than its default, which would have no effect.
    """
    loss = bound.loss
    if loss.ignored is None:
        return
    argument, setting = loss.ignored
    given = bound.arrays.get(argument)
    default = loss.settings[setting][1]
    if given is None or given.role.domain.kind == "whole" or request.settings[setting] == default:
        return
    expected = f"{default}, its default, as {argument} holds {given.role.domain}"
    raise invalid(setting, expected, request.settings[setting])


def index_arguments(request: Request, bound: Bound) -> Iterator[IndexArgument]:
    """Yield the arguments of indices."""
    for name, given in bound.arrays.items():
        domain = given.role.domain
        if isinstance(domain, Index) and given.role.lengths is None:
            ignored = request.settings[given.role.ignored] if given.role.ignored else -1
            possible = 0 <= ignored < bound.sizes[domain.of]
            yield IndexArgument(name, domain, bound.sizes, ignored if possible else None)
