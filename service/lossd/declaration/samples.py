"""Typical inputs for any loss, drawn from its declaration alone.

Tests, benchmarks and documentation take theirs from here, so a loss has all three the moment it
is declared. Samples lie away from the edges of their domains, where derivatives are defined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import inf
from typing import Any, Literal, get_args, get_origin

import numpy as np
from pydantic.fields import FieldInfo

from lossd.declaration.domain import Interval
from lossd.declaration.loss import Loss
from lossd.declaration.pattern import AXES, Shape, Sizes
from lossd.declaration.role import Role
from lossd.declaration.signature import PLACING
from lossd.message import Array, Call

# Lengths of the named dimensions: unequal, so that two of them cannot be taken for one another.
SIZES: Sizes = {letter: axis.sample for letter, axis in AXES.items() if letter != "N"}


@dataclass(frozen=True, eq=False)
class CallForm:
    """One way to call a loss: which of its arguments are given, each in which of its forms.

    Attributes:
        name: The arguments that tell this form from the others, for people.
        roles: Argument to the role it is given in.
    """

    name: str
    roles: Mapping[str, Role]


def forms(loss: Loss) -> tuple[CallForm, ...]:
    """Return every way to call ``loss``: each alternative, each form, without and with what is optional."""
    every = loss.arguments
    alternatives: Sequence[str] = loss.one_of or ("",)
    optional = {a.name for a in every if a.optional} - set(loss.one_of)
    found = []
    for chosen, extra in product(alternatives, (set(), optional) if optional else (set(),)):
        left_out = (set(loss.one_of) | optional) - {chosen} - extra
        given = [a for a in every if a.name not in left_out]
        for roles in product(*(a.role.forms for a in given)):
            marks = [
                f"{a.name} by {', '.join(r.pattern.letters)}"
                for a, r in zip(given, roles, strict=True)
                if r is not a.role.forms[0]
            ]
            named = {a.name: role for a, role in zip(given, roles, strict=True)}
            found.append(
                CallForm(" + ".join(filter(None, [chosen, *marks, *sorted(extra)])) or "plain", named)
            )
    return tuple(found)


def sample_call(
    loss: Loss,
    rng: np.random.Generator,
    *,
    form: CallForm | None = None,
    batch: Shape = (6,),
    sizes: Sizes = SIZES,
    dtype: Any = np.float64,
    draw_settings: bool = False,
) -> Call:
    """Draw a call of ``loss``.

    Args:
        loss: What to call.
        rng: Where the numbers come from.
        form: How to call it; in the first of its `forms` if absent.
        batch: Shape of the unreduced loss.
        sizes: Lengths of the named dimensions.
        dtype: Type of the real arrays.
        draw_settings: Whether settings are drawn too, instead of left at their defaults.
    """
    roles = (form or forms(loss)[0]).roles
    typical = _typical_settings(loss)
    names = {**sizes, "N": batch[0] if batch else 1, **_whole_settings(loss), **typical}
    arrays = {name: _draw(role, rng, batch, names, dtype) for name, role in roles.items()}
    for constraint in loss.constraints:
        if all(name in arrays for name in constraint.arguments):
            constraint.repair(arrays)
    options: dict[str, Any] = {
        setting: -1 for role in roles.values() if role.flattened for setting in role.axes.values()
    }
    if draw_settings:
        drawn = {
            name: _draw_setting(*field, rng) for name, field in loss.settings.items() if name not in PLACING
        }
        options = {**drawn, **options}
    return Call(arrays, {**typical, **options})


def _whole_settings(loss: Loss) -> dict[str, int]:
    return {name: default for name, (_, default) in loss.settings.items() if type(default) is int}


def _typical_settings(loss: Loss) -> dict[str, int]:
    """Return whole settings whose type gives an example, as one whose default takes long does."""
    found = {name: FieldInfo.from_annotation(hint).examples for name, (hint, _) in loss.settings.items()}
    return {name: examples[0] for name, examples in found.items() if examples}


def core_places(role: Role, rank: int) -> tuple[int, ...]:
    """Return where the core axes stand in an array of ``rank`` axes that was drawn for ``role``."""
    pattern = role.pattern
    if role.flattened:
        return (rank - 1,)
    if role.axes:
        return (min(role.default_axis, rank - 1) % rank,)
    return (*range(len(pattern.before)), *range(rank - len(pattern.after), rank))


def _draw(role: Role, rng: np.random.Generator, batch: Shape, sizes: Sizes, dtype: Any) -> Array:
    """Draw an array for a role, its core axes where the role wants them."""
    core = role.pattern.core_shape(sizes)
    shape = batch + core if role.pattern.batched else core
    values = np.asarray(role.domain.sample(rng, shape, sizes))
    if role.pattern.batched and core:
        last = range(len(batch), len(shape))
        values = np.ascontiguousarray(np.moveaxis(values, last, core_places(role, len(shape))))
    return values.astype(dtype) if role.domain.kind == "real" else values


def _draw_setting(hint: Any, default: Any, rng: np.random.Generator) -> Any:
    """Draw a setting other than its default: a number within its bounds, the other of two truths, or another choice."""
    field = FieldInfo.from_annotation(hint)
    if get_origin(field.annotation) is Literal:
        others = [choice for choice in get_args(field.annotation) if choice != default]
        return others[rng.integers(len(others))]
    if field.annotation is bool:
        return not default
    if field.examples:
        return field.examples[0]
    if field.annotation is not float:
        return default
    bounds = Interval(_bound(field, "gt", "ge", -inf), _bound(field, "lt", "le", inf))
    return default + rng.uniform(0, 0.5) if bounds.unbounded else float(bounds.sample(rng, (), {}))


def _bound(field: FieldInfo, strict: str, closed: str, absent: float) -> float:
    """Return a bound that pydantic's metadata states."""
    stated = (
        getattr(mark, name) for mark in field.metadata for name in (strict, closed) if hasattr(mark, name)
    )
    return float(next(stated, absent))
