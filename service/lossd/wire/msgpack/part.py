"""Splits a part in MessagePack as far as the arrays of its branches."""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from lossd.wire.budget import Budget
from lossd.wire.msgpack.document import members, nested, option
from lossd.wire.msgpack.headers import is_map, stated_length
from lossd.wire.part_document import BRANCHES


def split_part(raw: Raw, at: str, budget: Budget) -> Any:
    """Split a part as far as its branches, whose arrays are not read yet.

    Raises:
        MalformedBody: A map in it is none of MessagePack, or an option is long or deep.
        BodyTooLarge: It has more branches, or more values beside them, than the budget.
    """
    if not is_map(raw):
        return option(raw, at, 1, budget)
    return {
        name: _split_branches(item, f"{at}.{name[:40]}", budget)
        if name in BRANCHES
        else option(item, f"{at}.{name[:40]}", 2, budget)
        for name, item in members(raw, at).items()
    }


def _split_branches(raw: Raw, at: str, budget: Budget) -> Any:
    """Split branches by name into the members of each."""
    if not is_map(raw):
        return option(raw, at, 1, budget)
    budget.take_branches(stated_length(raw), at)
    return {
        name: nested(item, f"{at}.{name[:40]}", 1)
        if is_map(item)
        else option(item, f"{at}.{name[:40]}", 1, budget)
        for name, item in members(raw, at).items()
    }
