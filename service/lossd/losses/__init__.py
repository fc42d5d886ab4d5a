"""The catalogue of losses. A new loss is one declaration in its family's module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from lossd.errors import UnknownLoss
from lossd.losses import classification, embedding, overlap, quantile, regression, sequence
from lossd.losses.alias import NOT_OFFERED
from lossd.losses.spec import Loss

FAMILIES = (regression, classification, quantile, overlap, embedding, sequence)

LOSSES: Mapping[str, Loss] = {
    declared.name: declared
    for family in FAMILIES
    for declared in vars(family).values()
    if isinstance(declared, Loss)
}
_BY_ALIAS = {
    alias.name: declared.known_as(alias) for declared in LOSSES.values() for alias in declared.aliases
}
_BY_ANY_NAME = {**LOSSES, **_BY_ALIAS}
_SUGGESTIONS = 3


def find(name: str) -> Loss:
    """Return the loss with this name; under an alias, as the alias's framework means it.

    Raises:
        UnknownLoss: There is none; the message says what to call instead, or has the nearest names.
    """
    found = _BY_ANY_NAME.get(name)
    if found is not None:
        return found
    if name in NOT_OFFERED:
        raise UnknownLoss(f"no loss is named {name!r}: that name {NOT_OFFERED[name]}")
    near = list(_near(name[:100]))
    hint = f"; did you mean {' or '.join(near)}?" if near else "; GET /v1/losses lists them"
    raise UnknownLoss(f"no loss is named {name[:100]!r}{hint}")


def _near(name: str) -> Iterator[str]:
    """Yield the nearest name of each loss that has one like ``name``, nearest first, in any case of letters."""
    names: dict[str, str] = {}
    for known in _BY_ANY_NAME:  # a loss's own name stands before an alias of the same letters
        names.setdefault(known.casefold(), known)
    seen: set[str] = set()
    for match in get_close_matches(name.casefold(), names, n=len(names)):
        loss = _BY_ANY_NAME[names[match]].name
        if loss not in seen and len(seen) < _SUGGESTIONS:
            seen.add(loss)
            yield names[match]


__all__ = ["FAMILIES", "LOSSES", "find"]
