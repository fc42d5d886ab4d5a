"""This file is what is worked out of a call before its blocks: what is asked, of which arrays, and how to go about it.

Most calls of a training loop have the shapes, types and options of the one before. What follows from
these alone is worked out once and kept; only what the arrays' values decide is worked out for each call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from lossd.engine.arrange import Arranged, arrange, place, real_numbers
from lossd.engine.check import CheckedNames, check_finite, check_shared, names_to_check
from lossd.engine.choices import Choice, check_ignored, choices_of
from lossd.engine.plan import Plan, has_mass, make_plan, select_rows
from lossd.engine.recipe import Recipe, make_recipe
from lossd.engine.request import read_request
from lossd.errors import InvalidCall, invalid
from lossd.losses.domain import Shape
from lossd.losses.spec import GENERAL_ARRAYS, Loss
from lossd.message import Array, Call

# An option's value as a key: equal values of different types, as 1 and True, are different calls.
_Key = tuple[type, Any]
_Option = tuple[str, type, Any]
_Form = tuple[str, Shape, np.dtype[Any]]
# Types of options that are kept, and how many options and items of a list: a caller must not fill the memory.
# Nor can text do so: what is kept has passed the checks, so it is a name that the loss knows.
_PLAIN = frozenset([bool, int, float, str, type(None)])
_LONGEST = 32


class _Unkept(Exception):
    """An option is not of a kind that is kept."""


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
class _Kind:
    """What calls of the same shapes, types and options have in common; the arrays in it hold nothing.

    Attributes:
        request: Every setting and option.
        arranged: The arrays.
        checked: Arguments whose values the blocks check.
        prepared: All that there is to know, unless the values decide that.
        choices: Arguments to look at before it is used.
    """

    request: Mapping[str, Any]
    arranged: Arranged
    checked: CheckedNames
    prepared: Prepared | None = None
    choices: tuple[Choice, ...] = ()


def prepare(loss: Loss, call: Call, block_bytes: int) -> Prepared:
    """Work out what a call asks.

    Raises:
        InvalidCall: An array, a setting or an option is not what the loss means.
    """
    arrays = call.arrays if loss.prepare is None else _as_declared(loss, call)
    try:
        kind = _known_kind(loss, _forms(arrays), _keys(call.options), block_bytes)
    except (InvalidCall, _Unkept):  # faults are to show the call's own values
        kind = _kind(loss, {**read_request(loss, call), **arrays}, block_bytes)
    prepared = kind.prepared
    if prepared is None or not all(choice.is_made(arrays) for choice in kind.choices):
        return _by_values(loss, kind, arrays, block_bytes)
    if prepared.recipe is not None:
        return prepared
    arranged = _with_arrays(kind, arrays)
    check_shared(arranged, prepared.checked)
    return replace(prepared, arranged=arranged)


def _as_declared(loss: Loss, call: Call) -> Mapping[str, Array]:
    """Return the arrays in the shapes that the loss declares."""
    assert loss.prepare is not None
    request = read_request(loss, call)
    return {**call.arrays, **loss.prepare(request, {name: request[name] for name in loss.settings})}


@lru_cache(maxsize=1024)
def _known_kind(
    loss: Loss, forms: tuple[_Form, ...], options: tuple[_Option, ...], block_bytes: int
) -> _Kind:
    empty = {name: np.broadcast_to(np.zeros((), dtype), shape) for name, shape, dtype in forms}
    request = read_request(loss, Call(empty, {name: _value((kind, key)) for name, kind, key in options}))
    return _kind(loss, request, block_bytes)


def _kind(loss: Loss, request: Mapping[str, Any], block_bytes: int) -> _Kind:
    """Work out all that does not depend on values."""
    arranged = arrange(loss, request)
    check_ignored(loss, arranged, request)
    checked = names_to_check(arranged, request["check_target"])
    if _plan_reads_values(loss, request, arranged):
        return _Kind(request, arranged, checked)
    plan = make_plan(loss, request, arranged, None)
    if not _is_small(plan):
        return _Kind(request, arranged, checked)
    choices = tuple(choices_of(loss, arranged, plan.settings))
    chosen = {choice.name for choice in choices}
    unchosen = tuple(name for name in checked if name not in chosen)
    prepared = _prepared(loss, request, arranged, plan, unchosen, block_bytes)
    return _Kind(request, arranged, checked, prepared, choices)


def _plan_reads_values(loss: Loss, request: Mapping[str, Any], arranged: Arranged) -> bool:
    return (
        loss.mean_scale is not None
        or has_mass(loss, arranged)
        or request["check_finite"]
        or any(request[name] is not None for name in GENERAL_ARRAYS)
    )


def _by_values(loss: Loss, kind: _Kind, arrays: Mapping[str, Array], block_bytes: int) -> Prepared:
    """Work out what depends on the call's values."""
    request = {**kind.request, **arrays}
    if request["check_finite"]:
        check_finite(arrays)
    arranged = _with_arrays(kind, arrays)
    check_shared(arranged, kind.checked)
    plan = make_plan(loss, request, arranged, select_rows(loss, request, arranged))
    plan = _directed(loss, request, arranged, plan)
    return _prepared(loss, request, arranged, plan, kind.checked, block_bytes)


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


def _with_arrays(kind: _Kind, arrays: Mapping[str, Array]) -> Arranged:
    """Put a call's arrays where those of its kind hold nothing."""
    arranged, broadcast = kind.arranged, kind.request["broadcast"]
    placed = {
        name: place(known.argument, known.role, arrays[name], known.core, arranged.batch, broadcast)
        for name, known in arranged.placed.items()
    }
    return replace(arranged, placed=placed)


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


def _is_small(plan: Plan) -> bool:
    """Return whether no factor is an array, as long as the call's own: those are not kept."""
    factors = [(scale.value, scale.divisor, scale.gradient) for scale in plan.scales.values()]
    return not any(isinstance(factor, np.ndarray) for of_scale in factors for factor in of_scale)


def _forms(arrays: Mapping[str, Array]) -> tuple[_Form, ...]:
    return tuple([(name, array.shape, array.dtype) for name, array in arrays.items()])


def _keys(options: Mapping[str, Any]) -> tuple[_Option, ...]:
    if len(options) > _LONGEST:
        raise _Unkept
    return tuple([(name, *_key(value)) for name, value in options.items()])


def _key(value: Any) -> _Key:
    kind = value.__class__
    if kind is list:
        if len(value) > _LONGEST:
            raise _Unkept
        return kind, tuple(map(_key, value))
    if kind not in _PLAIN:
        raise _Unkept
    return kind, value


def _value(key: _Key) -> Any:
    kind, value = key
    return list(map(_value, value)) if kind is list else value
