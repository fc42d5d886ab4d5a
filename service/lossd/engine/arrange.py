"""This file is how a caller's arrays meet a loss's declaration: shapes, dtypes, layouts.

Shapes are strict: arrays that must agree are equal, or the error says which axis of which array
disagrees and what a broadcast would have made of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from lossd.engine.layout import Rows, rows_of
from lossd.engine.modulus import COMPLEX
from lossd.engine.precision import BFLOAT16
from lossd.errors import Fault, InvalidCall, invalid
from lossd.losses.domain import Domain, Interval, Shape
from lossd.losses.spec import Argument, Loss, Role
from lossd.message import Array

# What each storage type computes in; a sum of bfloat16 numbers in bfloat16 would be noise.
COMPUTES_IN: Mapping[np.dtype[Any], np.dtype[Any]] = {
    BFLOAT16: np.dtype(np.float32),
    np.dtype(np.float16): np.dtype(np.float32),
    np.dtype(np.float32): np.dtype(np.float32),
    np.dtype(np.float64): np.dtype(np.float64),
    np.dtype(np.complex64): np.dtype(np.complex64),
    np.dtype(np.complex128): np.dtype(np.complex128),
}
FLOAT64 = np.dtype(np.float64)
INDEX = np.dtype(np.intp)
# Least lengths of named axes: among no classes none is true.
LEAST: Mapping[str, int] = {"C": 1, "Q": 1}


@dataclass(frozen=True, slots=True)
class Placed:
    """One of the caller's arrays, matched to its role.

    Attributes:
        argument: What the loss declares.
        role: The form of the argument that was given.
        array: The caller's array.
        core: Places of the core axes in it.
        rows: The array by rows; None where all rows share it.
        spread: The shape it was broadcast to, where that is not its own; the core axes stand last in it.
    """

    argument: Argument
    role: Role
    array: Array
    core: tuple[int, ...]
    rows: Rows | None
    spread: Shape | None = None


@dataclass(frozen=True, slots=True)
class Arranged:
    """A call's arrays, ready to be cut into blocks.

    Attributes:
        placed: Argument name to array, in the order of the declaration; absent ones are missing.
        batch: The shape of the unreduced loss.
        sizes: Length of every named axis.
        storage: The type of the answer.
        computing: The type of the arithmetic.
        complex: Names of the arguments whose gradients are complex.
    """

    placed: Mapping[str, Placed]
    batch: Shape
    sizes: Mapping[str, int]
    storage: np.dtype[Any]
    computing: np.dtype[Any]
    complex: frozenset[str] = frozenset()

    def type_of(self, role: Role) -> np.dtype[Any]:
        """Return the type in which a kernel takes an argument."""
        return INDEX if role.domain.integer else self.computing

    @property
    def real(self) -> np.dtype[Any]:
        """The type of a loss, which is real where its arguments are complex."""
        return np.dtype(self.storage.char.lower()) if self.storage.kind == "c" else self.storage

    @property
    def count(self) -> int:
        """How many rows there are."""
        return math.prod(self.batch)


def arrange(loss: Loss, request: Mapping[str, Any]) -> Arranged:
    """Match the arrays of a request to the declaration of ``loss``.

    Raises:
        InvalidCall: An array is of the wrong type or shape; the fault names it.
    """
    given = {a: request[a.name] for a in loss.arguments + loss.vectors if request[a.name] is not None}
    _check_choice(loss, request)
    storage = _storage(loss, given, request["dtype"])
    placed: dict[str, Placed] = {}
    sizes: dict[str, int] = {}
    batch = _batch(loss, given, request)
    _check_rows(loss, given, batch)
    _check_pixels(given, request)
    for argument, array in given.items():
        role = _form(argument, array, batch)
        _check_kind(argument, role, array, loss)
        core = _core_places(role, array, argument.name, request)
        _name_sizes(argument.name, role, [array.shape[place] for place in core], sizes)
        placed[argument.name] = place(argument, role, array, core, batch, request["broadcast"])
    asked = request["dtype"] is not None
    turned = frozenset(a.name for a, array in given.items() if array.dtype.kind == "c" or asked) & COMPLEX
    arranged = Arranged(placed, batch, sizes, storage, _computing(storage, given), turned)
    _check_work(loss, arranged)
    return arranged


def _check_choice(loss: Loss, request: Mapping[str, Any]) -> None:
    """Refuse a call that gives none, or more than one, of alternative arguments."""
    if loss.one_of:
        given = [name for name in loss.one_of if request[name] is not None]
        if len(given) != 1:
            raise invalid(
                " or ".join(loss.one_of), f"exactly one of {', '.join(loss.one_of)}", f"{len(given)} of them"
            )


def _storage(loss: Loss, given: Mapping[Argument, Array], asked: str | None) -> np.dtype[Any]:
    """Return the type of the answer: the one asked for, or what the real arrays promote to."""
    if asked is not None:
        storage = np.dtype(ml_dtypes.bfloat16 if asked == "bfloat16" else asked)
        if storage.kind == "c" and not loss.modulus:
            raise invalid("dtype", f"a real type, for {loss.name} has no meaning for complex numbers", asked)
        if storage.kind != "c" and any(array.dtype.kind == "c" for array in given.values()):
            raise invalid("dtype", "a complex type, as the arrays have", asked)
        return storage
    floats = [array.dtype.newbyteorder("=") for array in given.values() if _is_inexact(array.dtype)]
    if len(set(floats)) == 1:
        return floats[0]
    if not floats:
        return FLOAT64
    # NumPy does not know how bfloat16 promotes; with any other type it is as float32.
    known = [np.dtype(np.float32) if dtype == BFLOAT16 else dtype for dtype in floats]
    return np.result_type(*known)


def _computing(storage: np.dtype[Any], given: Mapping[Argument, Array]) -> np.dtype[Any]:
    """Return the type to compute in: the widest of the answer's and the arrays', so that rounding comes last.

    Whole numbers count as float64 where all arrays hold such; else they are rounded to the others' type.
    """
    floats = [array.dtype.newbyteorder("=") for array in given.values() if _is_inexact(array.dtype)]
    return np.result_type(COMPUTES_IN[storage], *(COMPUTES_IN[dtype] for dtype in floats or [FLOAT64]))


def _is_inexact(dtype: np.dtype[Any]) -> bool:
    """Return whether a type is one that a loss is computed for; extended precision and records are not."""
    return dtype.newbyteorder("=") in COMPUTES_IN


def _batch(loss: Loss, given: Mapping[Argument, Array], request: Mapping[str, Any]) -> Shape:
    """Return the shape of the unreduced loss: the batch axes that the arguments agree on."""
    batch: Shape | None = None
    first = ""
    for argument, array in given.items():
        if argument.role.extent != "rows":
            continue
        if batch is None:
            batch, first = _batch_of(argument.role, array, argument.name, request), argument.name
            continue
        own = _batch_of(_form(argument, array, batch), array, argument.name, request)
        if own == batch:
            continue
        if not request["broadcast"]:
            raise _disagreement(argument.name, own, first, batch, reshapes=own == array.shape)
        try:
            batch = np.broadcast_shapes(batch, own)
        except ValueError:
            raise _disagreement(argument.name, own, first, batch) from None
    return batch if batch is not None else ()


def _check_rows(loss: Loss, given: Mapping[Argument, Array], batch: Shape) -> None:
    """Refuse rows of more or fewer axes than one where they affect each other: they are the items of one set."""
    if loss.coupled and len(batch) != 1:
        argument, array = next(iter(given.items()))
        raise invalid(argument.name, f"shape {argument.role.shape}", _text(array.shape))


def _check_pixels(given: Mapping[Argument, Array], request: Mapping[str, Any]) -> None:
    """Refuse arrays whose lengths differ along the axes that a setting chooses: a kernel sees these as one axis."""
    first: tuple[str, Array, Shape] | None = None
    for argument, array in given.items():
        if not isinstance(argument.role.axes, str):
            continue
        places = _chosen_places(request[argument.role.axes], array.ndim, argument.role.axes)
        lengths = tuple(array.shape[place] for place in places)
        if first is None:
            first = argument.name, array, lengths
        elif lengths != first[2]:
            raise invalid(
                argument.name, f"shape {_text(first[1].shape)} as {first[0]} has", _text(array.shape)
            )


def _form(argument: Argument, array: Array, batch: Shape) -> Role:
    """Return the form of an argument that has the array's number of axes."""
    role = argument.role
    if role.instead is None or array.ndim == len(batch) + len(role.core):
        return role
    return role.instead if array.ndim == len(batch) + len(role.instead.core) else role


def _core_places(role: Role, array: Array, name: str, request: Mapping[str, Any]) -> tuple[int, ...]:
    """Return where the core axes of an array stand."""
    rank = array.ndim
    if isinstance(role.axes, str):
        return _chosen_places(request[role.axes], rank, role.axes)
    if rank < len(role.core):
        raise invalid(name, f"shape {role.shape}", _text(array.shape))
    if role.extent == "shared":
        if rank != len(role.core):
            raise invalid(name, f"shape {role.shape}", _text(array.shape))
        return tuple(range(rank))
    if not role.axes:
        return tuple(range(rank - len(role.core), rank))
    return tuple(place % rank if place < 0 else min(place, rank - 1) for place in role.axes)


def _chosen_places(axis: int | list[int] | None, rank: int, name: str) -> tuple[int, ...]:
    """Return the axes that a setting names, all if it is None."""
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


def _batch_of(role: Role, array: Array, name: str, request: Mapping[str, Any]) -> Shape:
    core = _core_places(role, array, name, request)
    if not core:
        return array.shape
    return tuple(size for place, size in enumerate(array.shape) if place not in core)


def _name_sizes(name: str, role: Role, lengths: list[int], sizes: dict[str, int]) -> None:
    """Record the lengths of an array's core axes, or say which one disagrees."""
    if isinstance(role.axes, str):
        lengths = [math.prod(lengths)]
    for dimension, length in zip(role.core, lengths, strict=True):
        if length < LEAST.get(dimension, 0):
            raise invalid(name, f"{dimension} >= {LEAST[dimension]}", length)
        if sizes.setdefault(dimension, length) != length:
            raise invalid(name, f"{dimension} = {sizes[dimension]} as in the other arrays", length)


def place(
    argument: Argument, role: Role, array: Array, core: tuple[int, ...], batch: Shape, broadcast: bool
) -> Placed:
    """See an array by rows, broadcast to the batch where its role or the caller says so."""
    if role.extent == "shared":
        return Placed(argument, role, array, core, None)
    spread: Shape | None = None
    source, places = array, core
    if role.extent == "broadcast" or broadcast:
        lengths = tuple(array.shape[at] for at in core)
        whole = batch + lengths if core else batch
        if array.shape != whole and (role.extent == "broadcast" or not core):
            source, spread = _spread(array, whole, argument.name), whole
        elif core and broadcast:
            moved = np.moveaxis(array, core, range(-len(core), 0))
            if moved.shape != whole:
                source, spread = _spread(moved, whole, argument.name), whole
                places = tuple(range(len(batch), len(whole)))
    return Placed(argument, role, array, core, rows_of(source, places, role.flat_core), spread)


def _spread(array: Array, shape: Shape, name: str) -> Array:
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise invalid(name, f"a shape that broadcasts to {_text(shape)}", _text(array.shape)) from None


def _check_kind(argument: Argument, role: Role, array: Array, loss: Loss) -> None:
    """Refuse an array whose type cannot hold what the argument means."""
    kind = array.dtype.kind
    if kind in "iu" or (kind == "b" and _is_fraction(role.domain)) or (not array.size and kind in "fb"):
        return
    if role.domain.integer:
        other = f", or {role.instead.domain} of shape {role.instead.shape}" if role.instead else ""
        expected = f"{role.domain} of an integer type (1, not 1.0){other}"
        raise invalid(argument.name, expected, f"{array.dtype} values of shape {_text(array.shape)}")
    if _is_inexact(array.dtype) and (kind != "c" or (loss.modulus and argument.name in COMPLEX)):
        return
    why = f", for {loss.name} has no meaning for complex ones" if kind == "c" and not loss.modulus else ""
    raise invalid(argument.name, f"{argument.domain}{why}", f"{array.dtype} values")


def _is_fraction(domain: Domain) -> bool:
    """Return whether a domain is of real numbers between 0 and 1, which false and true stand for."""
    return isinstance(domain, Interval) and domain.low >= 0 and domain.high <= 1


def real_numbers(array: Array, name: str) -> Array:
    """Return a general array as float64.

    Raises:
        InvalidCall: It holds anything but real numbers.
    """
    if array.dtype.kind not in "iuf" and array.dtype != BFLOAT16:
        raise invalid(name, "real numbers", f"{array.dtype} values")
    return np.ascontiguousarray(array, FLOAT64).reshape(array.shape)


def _check_work(loss: Loss, arranged: Arranged) -> None:
    """Refuse a call whose temporaries would be far larger than its arguments."""
    if loss.work is None:
        return
    work = loss.work(arranged.sizes, arranged.count)
    if work > WORK_LIMIT:
        raise invalid("", f"at most {WORK_LIMIT} intermediate elements, so send smaller batches", work)


WORK_LIMIT = 1 << 27  # elements of temporaries that grow faster than the arguments: 1 GiB of float64


def _disagreement(
    name: str, shape: Shape, first: str, batch: Shape, *, reshapes: bool = False
) -> InvalidCall:
    """Say which axis of which array disagrees, what a broadcast would have produced, and which shape would agree."""
    try:
        made = f"; a broadcast would make it {_text(np.broadcast_shapes(batch, shape))} (broadcast: true)"
    except ValueError:
        made = "; they do not broadcast"
    if reshapes and [size for size in shape if size != 1] == [size for size in batch if size != 1]:
        made += f"; to pair the elements, reshape {name} to {_text(batch)}"
    if len(shape) != len(batch):
        expected = f"the {len(batch)} batch axes of {first}, {_text(batch)}"
        return InvalidCall(faults=[Fault(name, expected, f"{_text(shape)}{made}")])
    axis = next(axis for axis, (a, b) in enumerate(zip(shape, batch, strict=True)) if a != b)
    expected = f"batch shape {_text(batch)} as {first} has"
    return InvalidCall(faults=[Fault(name, expected, f"{_text(shape)}, which differs on axis {axis}{made}")])


def _text(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
