"""Binds a call's arrays to the patterns of its loss: shapes, dtypes, and each array by rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from lossd.declaration.domain import domain_text
from lossd.declaration.loss import Loss
from lossd.declaration.pattern import Shape
from lossd.declaration.role import Role
from lossd.declaration.signature import Argument
from lossd.engine.dtypes import EXACT, DType, check_dtype, computing_dtype, storage_dtype, takes_complex
from lossd.engine.layout import BroadcastRows, Rows, rows_of
from lossd.engine.lists import Lists, list_rows, of_group, padded_lists
from lossd.engine.request import Request
from lossd.engine.shapes import MatchedArray, flat_forms, forms_of, name_sizes, shape_text
from lossd.errors import invalid
from lossd.message import Array

# Elements of a broadcast array that are copied as a whole, which is faster than block by block.
_MOST_COPIED = 1 << 20


@dataclass(frozen=True, slots=True)
class BoundArray:
    """One of the caller's arrays, bound to its role.

    Attributes:
        argument: What the loss declares.
        role: The form of the argument that was given.
        array: The caller's array.
        core: Which axes of it are the core's.
        rows: The array by rows; None where all rows share it.
        broadcast: The shape it was broadcast to, where that is not its own; the core axes stand last in it.
        starts: Where each row begins in the caller's array, if its rows are concatenated.
    """

    argument: Argument
    role: Role
    array: Array
    core: tuple[int, ...]
    rows: Rows | None
    broadcast: Shape | None = None
    starts: Array | None = None


@dataclass(frozen=True, slots=True)
class Bound:
    """A call's arrays, ready to be cut into blocks.

    Attributes:
        loss: The loss.
        arrays: Argument name to array, in the order of the declaration; absent ones are missing.
        batch: The caller's batch axes; for a loss over a whole batch its items.
        unreduced: The shape of the unreduced loss.
        sizes: Length of every letter in the patterns, and whole settings.
        storage: The type of the answer.
        computing: The type of the arithmetic.
        complex: Names of the arguments whose gradients are complex.
        lists: Lists of unequal length, if there are such.
    """

    loss: Loss
    arrays: Mapping[str, BoundArray]
    batch: Shape
    unreduced: Shape
    sizes: Mapping[str, int]
    storage: DType
    computing: DType
    complex: frozenset[str] = frozenset()
    lists: Lists | None = None

    def dtype_of(self, role: Role) -> DType:
        """Return the type in which a kernel takes an argument."""
        if self.computing.kind == "c" and not takes_complex(self.loss, role):
            return EXACT.get(role.domain.kind, np.dtype(self.computing.char.lower()))
        return EXACT.get(role.domain.kind, self.computing)

    @property
    def placing(self) -> frozenset[str]:
        """Settings and options that say where core axes stand."""
        return frozenset(setting for given in self.arrays.values() for setting in given.role.axes.values())

    @property
    def real(self) -> DType:
        """The type of a loss, which is real where its arguments are complex."""
        return np.dtype(self.storage.char.lower()) if self.storage.kind == "c" else self.storage

    @property
    def count(self) -> int:
        """How many rows there are."""
        return math.prod(self.batch)

    @property
    def value_core(self) -> Shape:
        """The shape of one row's value."""
        return self.unreduced[len(self.batch) :]


def bind(request: Request) -> Bound:
    """Bind the arrays of a request to the declaration of its loss.

    Raises:
        InvalidCall: An array is of the wrong type or shape; the error names it.
    """
    loss, options = request.loss, request.options
    _check_one_of(request)
    given = {loss.by_name[name]: array for name, array in request.arrays.items()}
    storage = storage_dtype(loss, given.values(), options.dtype)
    places = {"axis": options.axis, **request.settings}
    lists = None
    if request.group is not None:
        lists = of_group(request.group, _items(given))
        forms, batch = flat_forms(given, lists.counts)
    else:
        forms, batch = forms_of(given, places, broadcast=options.broadcast)
    for form in forms:
        check_dtype(loss, form.argument, form.role, form.array)
    sizes = {**_whole_settings(request), **name_sizes(forms)}
    if loss.whole_batch:
        sizes["N"] = batch[0]
    if lists is None and loss.ragged:
        lists = padded_lists(request.mask, batch, sizes[loss.ragged])
    if lists is not None:
        sizes[loss.ragged] = int(lists.counts.max(initial=0))
    _check_settings(request, sizes)
    asked = options.dtype is not None
    return Bound(
        loss,
        {f.argument.name: bind_array(f, batch, broadcast=options.broadcast, lists=lists) for f in forms},
        batch,
        _unreduced(loss, batch, sizes),
        sizes,
        storage,
        computing_dtype(storage, given.values()),
        frozenset(
            f.argument.name
            for f in forms
            if takes_complex(loss, f.role) and (f.array.dtype.kind == "c" or asked)
        ),
        lists,
    )


def _items(given: Mapping[Argument, Array]) -> int:
    """Return how many items all lists have, as the first array of items has them."""
    return next(
        (len(a) for argument, a in given.items() if argument.role.forms[0].pattern.ragged and a.ndim), 0
    )


def _check_settings(request: Request, sizes: Mapping[str, int]) -> None:
    """Refuse a whole setting outside its domain, whose ends may be lengths of axes."""
    for name, domain in request.loss.setting_domains.items():
        value = request.settings[name]
        if domain.forbidden(np.asarray(value), sizes) is not None:
            raise invalid(name, domain_text(domain, sizes), value)


def _unreduced(loss: Loss, batch: Shape, sizes: Mapping[str, int]) -> Shape:
    core = loss.value.core_shape(sizes)
    return batch + core if loss.value.batched else core


def _whole_settings(request: Request) -> dict[str, int]:
    return {name: value for name, value in request.settings.items() if type(value) is int}


def _check_one_of(request: Request) -> None:
    """Refuse a call that gives none, or more than one, of alternative arguments."""
    names = request.loss.one_of
    given = [name for name in names if name in request.arrays]
    if names and len(given) != 1:
        raise invalid(" or ".join(names), f"exactly one of {', '.join(names)}", f"{len(given)} of them")


def bind_array(
    form: MatchedArray, batch: Shape, *, broadcast: bool, lists: Lists | None = None
) -> BoundArray:
    """View an array by rows, broadcast to the batch where its role or the caller says so."""
    argument, role, array, core = form
    if role.shared:
        return BoundArray(argument, role, array, core, None)
    if lists is not None and role.pattern.ragged:
        full = batch + tuple(array.shape[axis] for axis in core)
        if not lists.axes or array.shape == full:
            return BoundArray(argument, role, array, core, list_rows(array, lists))
        return BoundArray(
            argument, role, array, core, list_rows(_broadcast(array, full, argument), lists), full
        )
    whole: Shape | None = None
    source, places = array, core
    if role.broadcasts or broadcast:
        lengths = tuple(array.shape[axis] for axis in core)
        full = batch + lengths
        if array.shape != full and (role.broadcasts or not core):
            source, whole = _broadcast(array, full, argument), full
        elif core:
            moved = np.moveaxis(array, core, range(-len(core), 0))
            if moved.shape != full:
                source, whole = _broadcast(moved, full, argument), full
                places = tuple(range(len(batch), len(full)))
    if whole is not None and source.size > _MOST_COPIED and not role.flattened:
        core_last = np.moveaxis(source, places, range(-len(places), 0)) if places else source
        return BoundArray(argument, role, array, core, BroadcastRows(core_last, batch), whole)
    return BoundArray(argument, role, array, core, rows_of(source, places, role.flattened), whole)


def with_last_axis(array: Array, role: Role, shape: Shape) -> Array:
    """Add a last axis of length 1 to an array that lacks the last axis of ``shape``, if its role lets it."""
    return array[..., None] if role.leading and array.ndim == len(shape) - 1 else array


def _broadcast(array: Array, shape: Shape, argument: Argument) -> Array:
    try:
        return np.broadcast_to(with_last_axis(array, argument.role, shape), shape)
    except ValueError:
        expected = f"a shape that broadcasts to {shape_text(shape)}"
        also = f", or {shape_text(shape[:-1])}" if argument.role.leading else ""
        raise invalid(argument.name, expected + also, shape_text(array.shape)) from None


def bind_again(
    bound: Bound, arrays: Mapping[str, Array], *, broadcast: bool, starts: Mapping[str, Array]
) -> Bound:
    """Bind a call's arrays as those of another call of the same shapes and types were bound.

    Args:
        bound: The other call.
        arrays: The arrays.
        broadcast: Whether arrays of unequal shape broadcast.
        starts: Where each row begins, of arrays that the caller sent concatenated.
    """
    rebound = {}
    for name, given in bound.arrays.items():
        form = MatchedArray(given.argument, given.role, arrays[name], given.core)
        found = bind_array(form, bound.batch, broadcast=broadcast)
        rebound[name] = replace(found, starts=starts[name]) if name in starts else found
    return replace(bound, arrays=rebound)
