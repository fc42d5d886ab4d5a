"""The shapes of a call's arrays against the patterns of its loss: which axes are the batch, which the core.

Shapes are strict: arrays that must agree are equal, or the error says which axis of which array
disagrees and what a broadcast would have made of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from lossd.declaration.domain import domain_text
from lossd.declaration.pattern import AXES, Shape
from lossd.declaration.role import Role
from lossd.declaration.signature import Argument
from lossd.engine.dtypes import holds
from lossd.errors import ErrorDetail, InvalidCall, invalid
from lossd.message import Array


class MatchedArray(NamedTuple):
    """An array and the form of its argument that it matches.

    Attributes:
        argument: The argument.
        role: Its form.
        array: The caller's array.
        core: Which axes of it are the core's, in the order of the pattern; several for a flattened axis. The items of
            a whole batch are its rows, and no core axis.
    """

    argument: Argument
    role: Role
    array: Array
    core: tuple[int, ...]

    @property
    def batch(self) -> Shape:
        """The lengths of its other axes."""
        return tuple(size for axis, size in enumerate(self.array.shape) if axis not in self.core)


Places = Mapping[str, Any]  # the setting or option that places core axes, to its value


def forms_of(
    arrays: Mapping[Argument, Array], places: Places, *, broadcast: bool
) -> tuple[list[MatchedArray], Shape]:
    """Choose the form of every array, and return them with the batch that they agree on.

    Args:
        arrays: Argument to array, in the order of the declaration.
        places: What the settings that place core axes are.
        broadcast: Whether batches of unequal shape broadcast.

    Raises:
        InvalidCall: An array has too few axes, or arrays disagree.
    """
    chosen: dict[str, MatchedArray] = {}
    batch: Shape | None = None
    first = ""
    # An argument of one form says what the batch is, by which the others' forms are told apart.
    for argument, array in sorted(arrays.items(), key=lambda each: len(each[0].role.forms)):
        form = _choose(argument, array, batch, places)
        chosen[argument.name] = form
        if form.role.shared or form.role.broadcasts:
            continue
        if batch is None:
            batch, first = form.batch, argument.name
        elif form.batch != batch:
            batch = _agree(form, batch, first, broadcast=broadcast)
    return [chosen[argument.name] for argument in arrays], batch if batch is not None else ()


def flat_forms(arrays: Mapping[Argument, Array], counts: Array) -> tuple[list[MatchedArray], Shape]:
    """Return the forms of arrays whose lists come one after the other, and the batch: one row for each list.

    Raises:
        InvalidCall: An array has another number of items, or of lists.
    """
    forms, batch = [], (len(counts),)
    items = int(counts.sum())
    for argument, array in arrays.items():
        role = argument.role.forms[0]
        core = len(role.pattern.core)
        of_items = bool(role.pattern.ragged)
        if array.ndim != core + (role.pattern.batched and not of_items):
            raise invalid(argument.name, f"one array of all items, {items} of them", shape_text(array.shape))
        if of_items and array.shape[0] != items:
            raise invalid(argument.name, f"{items} items, the sum of group", len(array))
        if role.pattern.batched and not of_items and array.shape[:1] != batch:
            raise invalid(argument.name, f"one for each of the {batch[0]} lists", shape_text(array.shape))
        forms.append(MatchedArray(argument, role, array, tuple(range(array.ndim - core, array.ndim))))
    return forms, batch


def _choose(argument: Argument, array: Array, batch: Shape | None, places: Places) -> MatchedArray:
    """Return the form that has the array's number of axes and kind of values, else the first."""
    forms = argument.role.forms
    role = forms[0]
    if len(forms) > 1:
        axes = 0 if batch is None else len(batch)
        fitting = [f for f in forms if array.ndim == axes * f.pattern.batched + len(f.pattern.core)]
        role = next((form for form in fitting if holds(form, array)), (fitting or forms)[0])
    core = core_axes(role, array.ndim, argument, array.shape, places)
    return MatchedArray(argument, role, array, core[1:] if role.pattern.by_item else core)


def core_axes(role: Role, rank: int, argument: Argument, shape: Shape, places: Places) -> tuple[int, ...]:
    """Return which axes of an array are the core's, in the order of the pattern.

    Raises:
        InvalidCall: It has fewer axes than the pattern, more than one without a batch, or a setting names none of them.
    """
    pattern = role.pattern
    expected = len(pattern.core)
    if role.flattened:
        return chosen_axes(places[role.axes[pattern.letters[0]]], rank, role.axes[pattern.letters[0]])
    if rank < expected or (rank > expected and not pattern.batched):
        raise invalid(argument.name, f"shape {argument.shape}", shape_text(shape))
    if not role.axes:
        return (*range(len(pattern.before)), *range(rank - len(pattern.after), rank))
    placed = {letter: _place(places[setting], rank, setting) for letter, setting in role.axes.items()}
    left = [axis for axis in range(rank) if axis not in placed.values()]
    front = iter(left)
    behind = iter(left[len(left) - sum(d.letter not in placed for d in pattern.after) :])
    return tuple(
        placed[dimension.letter]
        if dimension.letter in placed
        else next(front if place < len(pattern.before) else behind)
        for place, dimension in enumerate(pattern.core)
    )


def _place(axis: int, rank: int, setting: str) -> int:
    """Return the axis that a setting names; 1 is also that of an array which has no other."""
    if -rank <= axis < rank:
        return axis % rank
    if axis == 1:
        return 0
    raise invalid(setting, f"an axis of an array that has {rank}", axis)


def chosen_axes(axis: int | list[int] | None, rank: int, name: str) -> tuple[int, ...]:
    """Return the axes that an option names, in order; all if it is None."""
    if axis is None:
        return tuple(range(rank))
    axes = [axis] if isinstance(axis, int) else axis
    for place in axes:
        if not -rank <= place < rank:
            raise invalid(name, f"axes of an array that has {rank}", place)
    unique = {place % rank for place in axes}
    if len(unique) != len(axes):
        raise invalid(name, "every axis once", axes)
    return tuple(sorted(unique))


def name_sizes(forms: list[MatchedArray]) -> dict[str, int]:
    """Return the length of every letter of the forms' patterns.

    Raises:
        InvalidCall: Two arrays disagree, or a length is less than the letter's least.
    """
    sizes: dict[str, int] = {}
    flattened: tuple[str, Shape, Shape] | None = None
    for form in forms:
        lengths = [form.array.shape[axis] for axis in form.core]
        if form.role.flattened:
            flattened = _same_axes(form, tuple(lengths), flattened)
            lengths = [math.prod(lengths)]
        pattern = form.role.pattern
        for dimension, length in zip(pattern.core[pattern.by_item :], lengths, strict=True):
            _name_size(form, dimension.letter, length - dimension.more, sizes, dimension.more)
    return sizes


def _name_size(form: MatchedArray, letter: str, length: int, sizes: dict[str, int], more: int) -> None:
    name = form.argument.name
    if not letter:
        if length:
            raise invalid(name, f"{more} numbers along an axis", length + more)
        return
    if length < AXES[letter].least:
        raise invalid(name, f"{letter} >= {AXES[letter].least}", length)
    if sizes.setdefault(letter, length) != length:
        if len(form.argument.role.forms) > 1:
            raise invalid(name, _forms_text(form, sizes), shape_text(form.array.shape))
        raise invalid(name, f"{letter} = {sizes[letter] + more} as in the other arrays", length + more)


def _forms_text(form: MatchedArray, sizes: Mapping[str, int]) -> str:
    """Say of every form of an argument what it holds, and of which shape, where lengths are known."""
    told = []
    for role in form.argument.role.forms:
        shape = str(role.pattern) if role.pattern.core else shape_text(form.batch)
        for letter, size in sizes.items():
            shape = re.sub(rf"\b{letter}\b", str(size), shape)
        told.append(f"{domain_text(role.domain, sizes)} of shape {shape}")
    return ", or ".join(told)


def _same_axes(
    form: MatchedArray, lengths: Shape, first: tuple[str, Shape, Shape] | None
) -> tuple[str, Shape, Shape]:
    """Refuse arrays whose lengths differ along axes that a kernel sees as one."""
    if first is None:
        return form.argument.name, form.array.shape, lengths
    if lengths != first[2]:
        expected = f"shape {shape_text(first[1])} as {first[0]} has"
        raise invalid(form.argument.name, expected, shape_text(form.array.shape))
    return first


def _agree(form: MatchedArray, batch: Shape, first: str, *, broadcast: bool) -> Shape:
    """Return the broadcast of a form's batch with that of the arrays before it."""
    own = form.batch
    if broadcast:
        try:
            return np.broadcast_shapes(batch, own)
        except ValueError:
            pass
    raise _disagreement(form.argument.name, own, first, batch, reshapes=not broadcast and not form.core)


def _disagreement(name: str, shape: Shape, first: str, batch: Shape, *, reshapes: bool) -> InvalidCall:
    """Say which axis of which array disagrees, what a broadcast would have produced, and which shape would agree."""
    try:
        made = (
            f"; a broadcast would make it {shape_text(np.broadcast_shapes(batch, shape))} (broadcast: true)"
        )
    except ValueError:
        made = "; they do not broadcast"
    if reshapes and [size for size in shape if size != 1] == [size for size in batch if size != 1]:
        made += f"; to pair the elements, reshape {name} to {shape_text(batch)}"
    if len(shape) != len(batch):
        expected = f"the {len(batch)} batch axes of {first}, {shape_text(batch)}"
        return InvalidCall(errors=[ErrorDetail(name, expected, f"{shape_text(shape)}{made}")])
    axis = next(axis for axis, (a, b) in enumerate(zip(shape, batch, strict=True)) if a != b)
    expected = f"batch shape {shape_text(batch)} as {first} has"
    return InvalidCall(
        errors=[ErrorDetail(name, expected, f"{shape_text(shape)}, which differs on axis {axis}{made}")]
    )


def shape_text(shape: Shape) -> str:
    """Write a shape as Python does."""
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
