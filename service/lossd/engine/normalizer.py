"""What a mean divides by where that is not the number of values, and how it depends on arguments."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossd.declaration.result import Normalizer
from lossd.engine.bind import Bound
from lossd.message import Array


def has_normalizer(bound: Bound) -> bool:
    """Return whether values of the call's arrays say what its rows add to the mean's denominator."""
    loss = bound.loss
    return loss.normalizer is not None and all(
        name in bound.arrays or not loss.by_name[name].optional for name in loss.normalized_by
    )


def normalizer_of(bound: Bound, rows: Array | None) -> Normalizer | None:
    """Return the normalizer of a call, with whole arrays; rows that take no part may hold anything, and add 0."""
    loss = bound.loss
    assert loss.normalizer is not None
    found = loss.normalizer(**_arguments(bound, rows))
    if found is None or rows is None:
        return found
    return Normalizer(
        _spread(found.value, rows, bound.count),
        {name: _of_rows(vjp, rows, name, bound) for name, vjp in found.gradient.items()},
        _spread(found.scale, rows, bound.count),
    )


def _arguments(bound: Bound, rows: Array | None) -> dict[str, Any]:
    """Return the arguments that the normalizer depends on: ``(rows,)``, or as they are where rows share them."""
    found: dict[str, Any] = {}
    for name in bound.loss.normalized_by:
        given = bound.arrays.get(name)
        if given is None or (
            given.role.pattern.core[given.role.pattern.by_item :] and given.rows is not None
        ):
            found[name] = None
        elif given.rows is None:
            found[name] = given.array
        else:
            whole = given.rows.read(slice(0, bound.count), None)
            found[name] = whole if rows is None else whole[rows]
    return found


def _spread(values: Any, rows: Array, count: int) -> Any:
    """Return values of some rows among 0 for all others."""
    if values is None:
        return None
    whole = np.zeros(count, np.float64)
    whole[rows] = values
    return whole


def _of_rows(vjp: Any, rows: Array, name: str, bound: Bound) -> Any:
    """Return a pullback for all rows from one for some."""

    def pulled(upstream: Array) -> Array:
        found: Array = vjp(upstream[rows])
        given = bound.arrays[name]
        return found if given.rows is None else _spread(found, rows, bound.count)

    return pulled
