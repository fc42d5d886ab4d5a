"""This file is what is worked out of a call before its blocks: what is asked, of which arrays, and how to go about it.

Most calls of a training loop have the shapes, types and options of the one before. What follows from
these alone is worked out once and kept; a call whose values matter too is worked out by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from lossd.engine.arrange import Arranged, arrange, place, real_numbers
from lossd.engine.check import CheckedNames, check_finite, check_shared, names_to_check
from lossd.engine.plan import Plan, make_plan, select_rows
from lossd.engine.recipe import Recipe, make_recipe
from lossd.engine.request import read_request
from lossd.errors import InvalidCall, invalid
from lossd.losses.domain import Domain, Index, Shape
from lossd.losses.spec import GENERAL_ARRAYS, Loss
from lossd.message import Array, Call

# Options that read the arrays' values before the plan is made.
_READS_VALUES = frozenset(["check_finite", *GENERAL_ARRAYS])
# An option's value as a key: equal values of different types, as 1 and True, are different calls.
_Key = tuple[type, Any]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call, ready to be computed.

    Attributes:
        arranged: Its arrays.
        plan: What to compute.
        checked: Arguments whose values the blocks check.
        strict: Whether probabilities must sum to one.
        empty: What comes of a mean over nothing.
        recipe: How the tuned kernel does it, if it can.
    """

    arranged: Arranged
    plan: Plan
    checked: CheckedNames
    strict: bool
    empty: str
    recipe: Recipe | None


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


@dataclass(frozen=True, slots=True)
class _Kind:
    """What calls of the same shapes, types and options have in common; their arrays are missing."""

    prepared: Prepared
    choices: tuple[Choice, ...]
    broadcast: bool


def prepare(loss: Loss, call: Call, block_bytes: int) -> Prepared:
    """Work out what a call asks.

    Raises:
        InvalidCall: An array, a setting or an option is not what the loss means.
    """
    return _of_known_kind(loss, call, block_bytes) or _by_itself(loss, call, block_bytes)


def _by_itself(loss: Loss, call: Call, block_bytes: int) -> Prepared:
    """Work out a call that nothing is known of."""
    request = read_request(loss, call)
    if loss.prepare is not None:
        request = {**request, **loss.prepare(request, {name: request[name] for name in loss.settings})}
    if request["check_finite"]:
        check_finite(call.arrays)
    arranged = arrange(loss, request)
    checked = names_to_check(arranged, request["check_target"])
    check_shared(arranged, checked)
    plan = make_plan(loss, request, arranged, select_rows(loss, request, arranged))
    return _prepared(loss, request, arranged, _directed(loss, request, arranged, plan), checked, block_bytes)


def _prepared(
    loss: Loss,
    request: Mapping[str, Any],
    arranged: Arranged,
    plan: Plan,
    checked: CheckedNames,
    block_bytes: int,
) -> Prepared:
    recipe = make_recipe(loss, arranged, plan, checked, block_bytes)
    return Prepared(arranged, plan, checked, request["check_target"] == "strict", request["empty"], recipe)


def _directed(loss: Loss, request: Mapping[str, Any], arranged: Arranged, plan: Plan) -> Plan:
    """Place the direction that the Hessian is to be multiplied with."""
    if request["hvp"] is None:
        return plan
    direction = real_numbers(request["hvp"], "hvp")
    placed = next(arranged.placed[name] for name in loss.gradient if name in arranged.placed)
    if direction.shape != placed.array.shape:
        raise invalid("hvp", f"the shape of {placed.argument.name}, {placed.array.shape}", direction.shape)
    spread = placed.spread is not None
    return replace(
        plan,
        direction=place(placed.argument, placed.role, direction, placed.core, arranged.batch, spread),
    )


def _of_known_kind(loss: Loss, call: Call, block_bytes: int) -> Prepared | None:
    """Take what is known of the call's kind; None where its values matter too, or where it is wrong."""
    arrays, options = call.arrays, call.options
    if loss.prepare is not None or loss.mean_scale is not None:
        return None
    if not _READS_VALUES.isdisjoint(arrays) or not _READS_VALUES.isdisjoint(options):
        return None
    try:
        kind = _kind(
            loss,
            tuple([(name, array.shape, array.dtype) for name, array in arrays.items()]),
            tuple([(name, *_key(value)) for name, value in options.items()]),
            block_bytes,
        )
    except (InvalidCall, TypeError):  # told with the call's own values; or an option without a hash
        return None
    if kind is None:
        return None
    for choice in kind.choices:
        if not choice.is_made(arrays):
            return None
    prepared = kind.prepared
    if prepared.recipe is not None:
        return prepared
    arranged = _with_arrays(prepared.arranged, arrays, kind.broadcast)
    check_shared(arranged, prepared.checked)
    return replace(prepared, arranged=arranged)


def _with_arrays(arranged: Arranged, arrays: Mapping[str, Array], broadcast: bool) -> Arranged:
    """Put a call's arrays where those of its kind are missing."""
    placed = {
        name: place(known.argument, known.role, arrays[name], known.core, arranged.batch, broadcast)
        for name, known in arranged.placed.items()
    }
    return replace(arranged, placed=placed)


@lru_cache(maxsize=1024)
def _kind(
    loss: Loss,
    arrays: tuple[tuple[str, Shape, np.dtype[Any]], ...],
    options: tuple[tuple[str, type, Any], ...],
    block_bytes: int,
) -> _Kind | None:
    """Work out arrays of the right shapes that hold nothing; None where what they hold matters."""
    empty = {name: np.broadcast_to(np.zeros((), dtype), shape) for name, shape, dtype in arrays}
    request = read_request(loss, Call(empty, {name: _value((kind, key)) for name, kind, key in options}))
    arranged = arrange(loss, request)
    plan = make_plan(loss, request, arranged, None)
    if plan.weights.mass is not None or not _is_small(plan):
        return None
    choices = tuple(_choices(loss, arranged, plan.settings))
    chosen = {choice.name for choice in choices}
    checked = tuple(n for n in names_to_check(arranged, request["check_target"]) if n not in chosen)
    return _Kind(
        _prepared(loss, request, arranged, plan, checked, block_bytes), choices, request["broadcast"]
    )


def _is_small(plan: Plan) -> bool:
    """Return whether no factor is an array, as long as the call's own: those are not kept."""
    factors = [(scale.value, scale.divisor, scale.gradient) for scale in plan.scales.values()]
    return all(isinstance(factor, float) for of_scale in factors for factor in of_scale)


def _key(value: Any) -> _Key:
    kind = value.__class__
    return (kind, tuple(map(_key, value))) if kind is list else (kind, value)


def _value(key: _Key) -> Any:
    kind, value = key
    return list(map(_value, value)) if kind is list else value


def _choices(loss: Loss, arranged: Arranged, settings: Mapping[str, Any]) -> Iterator[Choice]:
    """Yield the arguments to look at in each call of a kind."""
    for name, placed in arranged.placed.items():
        domain = placed.role.domain
        if isinstance(domain, Index):
            ignored = settings[loss.ignored[1]] if loss.ignored and loss.ignored[0] == name else -1
            possible = 0 <= ignored < arranged.sizes[domain.of]
            yield Choice(name, domain, arranged.sizes, ignored if possible else None)
