"""The catalogue of losses. A new loss is one declaration in its family's module."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from lossd.errors import UnknownLoss
from lossd.losses import classification, embedding, overlap, quantile, regression, sequence
from lossd.losses.spec import Loss

FAMILIES = (regression, classification, quantile, overlap, embedding, sequence)

LOSSES: Mapping[str, Loss] = {
    declared.name: declared
    for family in FAMILIES
    for declared in vars(family).values()
    if isinstance(declared, Loss)
}
_BY_ANY_NAME = {name: declared for declared in LOSSES.values() for name in (declared.name, *declared.aliases)}


def find(name: str) -> Loss:
    """Return the loss with this name or alias.

    Raises:
        UnknownLoss: There is none; the message has the nearest names.
    """
    try:
        return _BY_ANY_NAME[name]
    except KeyError:
        near = get_close_matches(name[:100], _BY_ANY_NAME, n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else "; GET /v1/losses lists them"
        raise UnknownLoss(f"no loss is named {name[:100]!r}{hint}") from None


__all__ = ["FAMILIES", "LOSSES", "find"]
