"""What a call costs, known from its shapes and its loss's declaration before anything is allocated."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lossd.declaration.pattern import AXES, Shape, Sizes, parse
from lossd.engine.bind import Bound
from lossd.engine.dual_products import products_by_dual_numbers
from lossd.engine.lists import lengths_of, power_of_two
from lossd.engine.normalizer import has_normalizer
from lossd.engine.precision import wider
from lossd.engine.reductions import REDUCTIONS, normalise_axes
from lossd.engine.request import Request
from lossd.engine.wanted import Wanted
from lossd.message import inner_lists
from lossd.numerics.tiles import TILE_ELEMENTS

TEMPORARIES = 4
"""Results of a block's size that a kernel which reads as the maths holds at a time; a fused one holds few."""

# Elements on which a NumPy call takes longer than to make it.
_STEP_ELEMENTS = 1 << 10
# Elements of a block of a recursion, whose steps are worth it: 32 MiB.
_BLOCK_ELEMENTS = 1 << 22
# What factors and derivatives that change a denominator take in long double, for each value: weights may
# be so heavy that only their values tell.
_EXTENDED_ARRAYS, _EXTENDED_DERIVATIVE_ARRAYS = 2, 4
_EXTENDED_BYTES = 16
# What is known of a list: its count, its place, its rank among those of other lengths.
_LIST_ARRAYS = 6
# Elements of the tiles that a kernel holds at the same time, where they do not cover all of its batch.
_TILES = 10 * TILE_ELEMENTS
# Operations on each element of the value, and of each derivative.
_VALUE_WORK, _DERIVATIVE_WORK = 8, 4
# What a product with the Hessian by dual numbers takes, in calls of the kernel.
_DUAL = 8
# What of a kernel's memory it takes too, and what a mean's normalizer takes for each value, in float64.
_DUAL_ARRAYS, _NORMALIZER_ARRAYS = 4, 4
# Arrays of what a reduction leaves, besides its sum and its divisor; and operations on each of their elements.
_REDUCED_ARRAYS, _REDUCED_WORK = 3, 10
# Multiplications in a product of matrices that take as long as an operation: 25 to 80 were measured for a nanosecond,
# and a product is taken once for the values, where other operations count several times.
_PRODUCTS_AT_ONCE = 100
# Operations that take as long as a call into NumPy, a block's share of the engine, and the engine's part of any call.
_STEP_WORK, _BLOCK_WORK, _CALL_WORK = 2_000, 100_000, 50_000
OPERATIONS_PER_SECOND = 1e9
# Bytes of the numbers that the speed of a fused kernel is stated for: of wider ones a register and a cache hold fewer.
_FUSED_ITEMSIZE = 4


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a call costs.

    Attributes:
        rows: How many rows a kernel sees.
        block_rows: How many of them at a time.
        work: Elementary operations on numbers.
        workspace: Bytes at the peak, beside the call's own arrays and its answer.
        answer: Bytes of the arrays of its answer.
        largest: Its longest axis, for messages.
        speed: How many operations are done in the time of one, as by a fused kernel.
        inner_lists: Lists inside the outermost ones, where the arrays of the answer are written as nested lists.
    """

    rows: int
    block_rows: int
    work: int
    workspace: int
    answer: int
    largest: str
    speed: float = 1.0
    inner_lists: int = 0

    @property
    def seconds(self) -> float:
        """About how long it takes with one thread, until its answer is written."""
        return self.work / self.speed / OPERATIONS_PER_SECOND


def estimate(request: Request, bound: Bound, wanted: Wanted, block_rows: int) -> Estimate:
    """Estimate a call's cost from its shapes and the declaration of its loss.

    Args:
        request: The validated call.
        bound: Its arrays.
        wanted: What it asks for.
        block_rows: How many rows a kernel sees at a time.
    """
    return Estimate(
        bound.count,
        block_rows,
        _work(bound, wanted, request.settings, block_rows, _reduced_values(request, bound)),
        _workspace(request, bound, wanted, block_rows),
        _answer(request, bound, wanted),
        _largest_axis(bound),
        bound.loss.cost.speed,
        _inner_lists(request, bound, wanted),
    )


def fused_speed(stated: float, bound: Bound, wanted: Wanted) -> float:
    """Return how many operations a fused kernel does in the time of one: it computes derivatives with the values.

    Args:
        stated: Its speed over values in float32.
        bound: The call's arrays.
        wanted: What it asks for.
    """
    return stated * _FUSED_ITEMSIZE / bound.computing.itemsize * _passes(wanted) / _VALUE_WORK


def elements(patterns: str, sizes: Sizes) -> int:
    """Return the number of elements of a sum of patterns, such as ``(N, N) + (6, N, D)`` or ``(rank|L, L)``."""
    return sum(
        math.prod(_length(axis, sizes) for axis in text.strip("()").split(","))
        for text in patterns.split(" + ")
    )


def _length(axis: str, sizes: Sizes) -> int:
    """Return the length of an axis of a cost's pattern: a whole setting, a letter, a number, or the least of these."""
    names = axis.strip().split("|")
    return min(sizes[name] if name in sizes else parse(f"({name})").core_shape(sizes)[0] for name in names)


def min_block_rows(bound: Bound) -> int:
    """Return how many rows make each step of a recursion worth a NumPy call, if there is memory for them."""
    cost = bound.loss.cost
    steps = elements(cost.steps, bound.sizes)
    if steps <= 1:
        return 1
    row = max(elements(cost.workspace, bound.sizes), 1)
    stepped = max(elements(cost.stepped, bound.sizes), 1) if cost.stepped else row
    worth = -(-_STEP_ELEMENTS * steps // stepped)
    return power_of_two(max(min(2 * worth, _BLOCK_ELEMENTS // row), 1))


def _work(bound: Bound, wanted: Wanted, settings: Mapping[str, Any], block_rows: int, reduced: int) -> int:
    """Return the operations of a call; an axis of length 0 costs what one of length 1 does."""
    cost, passes = bound.loss.cost, _passes(wanted)
    product = _DUAL * (_VALUE_WORK + _DERIVATIVE_WORK)
    total = _CALL_WORK + _REDUCED_WORK * reduced * len(wanted.reductions)
    for sizes, rows, of_block in _parts(bound, block_rows):
        lengths = {name: max(size, 1) for name, size in sizes.items()}
        row = elements(cost.work, lengths) if cost.work else _product_of_axes(bound, lengths)
        row += elements(cost.products, lengths) // _PRODUCTS_AT_ONCE if cost.products else 0
        products = products_by_dual_numbers(bound, wanted, settings, sizes) * max(len(wanted.reductions), 1)
        of_steps = elements(cost.steps, lengths) * _STEP_WORK + _BLOCK_WORK
        total += rows * row * (passes + products * product)
        total += -(-rows // of_block) * of_steps * (1 + products * _DUAL)
    return total


def _passes(wanted: Wanted) -> int:
    """Return the operations on each element of the values and of all derivatives together."""
    return _VALUE_WORK + _DERIVATIVE_WORK * len(wanted.all) * len(wanted.reductions)


def _parts(bound: Bound, block_rows: int) -> Iterator[tuple[Sizes, int, int]]:
    """Yield the lengths of the letters, the number of rows that have them, and how many of these make a block."""
    if bound.loss.whole_batch:
        yield bound.sizes, 1, 1
    elif bound.lists is None:
        yield bound.sizes, max(bound.count, 1), block_rows
    else:
        for length, few, alike in lengths_of(bound.lists, block_rows):
            yield {**bound.sizes, bound.loss.ragged: length}, len(alike), few


def _product_of_axes(bound: Bound, sizes: Sizes) -> int:
    """Return the product of all axes that the arguments have, each as often as one of them has it."""
    often: dict[str, int] = {}
    for given in bound.arrays.values():
        letters = given.role.pattern.letters
        often |= {letter: max(often.get(letter, 0), letters.count(letter)) for letter in letters}
    return math.prod(sizes[letter] ** count for letter, count in often.items())


def _workspace(request: Request, bound: Bound, wanted: Wanted, block_rows: int) -> int:
    """Return the bytes that kernel and engine hold at their peak."""
    parts = _parts(bound, block_rows)
    kernel = max((min(rows, few) * _row_workspace(bound, sizes) for sizes, rows, few in parts), default=0)
    kernel *= bound.computing.itemsize
    if products_by_dual_numbers(bound, wanted, request.settings, bound.sizes):
        kernel *= _DUAL_ARRAYS
    values = math.prod(bound.unreduced)
    over_axes = request.options.axis is not None  # what keeps its values has them in the answer
    kept = sum(over_axes and not REDUCTIONS[name].keeps_values for name in wanted.reductions)
    general = sum(a is not None for a in (request.mask, request.sample_weight, request.upstream))
    engine = _EXTENDED_BYTES * values * kept  # as where values leave the range of float64
    engine += 8 * values * (2 * general + _NORMALIZER_ARRAYS * has_normalizer(bound))
    engine += 8 * (_reduced_values(request, bound) - 1) * (_REDUCED_ARRAYS + 2 * len(wanted.reductions))
    return (
        kernel
        + engine
        + _extended_bytes(request, bound, wanted)
        + _list_bytes(bound)
        + _broadcast_bytes(bound, wanted)
    )


def _extended_bytes(request: Request, bound: Bound, wanted: Wanted) -> int:
    """Return the bytes that weights take where they are heavy, and the call is computed in long double."""
    if request.sample_weight is None and not has_normalizer(bound):
        return 0
    dividing = len(set(wanted.gradient) & set(bound.loss.normalized_by)) * len(wanted.reductions)
    arrays = _EXTENDED_ARRAYS + _EXTENDED_DERIVATIVE_ARRAYS * dividing
    return _EXTENDED_BYTES * math.prod(bound.unreduced) * arrays


def _list_bytes(bound: Bound) -> int:
    """Return the bytes that say where lists of unequal length are, and their items."""
    return 0 if bound.lists is None else 8 * (_LIST_ARRAYS * bound.count + bound.lists.places.size)


def _row_workspace(bound: Bound, sizes: Sizes) -> int:
    """Return the elements that a kernel holds for a row, or for a whole batch."""
    cost = bound.loss.cost
    tiled = min(elements(cost.tile, sizes) * bound.count, _TILES) if cost.tile else 0
    if cost.workspace or tiled:
        return tiled + (elements(cost.workspace, sizes) if cost.workspace else 0)
    of_row = sum(
        math.prod(g.role.pattern.core_shape(sizes)) for g in bound.arrays.values() if not g.role.shared
    )
    return TEMPORARIES * (of_row + math.prod(bound.value_core))


def _broadcast_bytes(bound: Bound, wanted: Wanted) -> int:
    """Return the bytes of derivatives in the shape of a broadcast, which are summed at the end."""
    total = 0
    for _, name in wanted.all:
        given = bound.arrays.get(name)
        if given is not None and given.broadcast is not None:
            total += math.prod(given.broadcast) * wider(bound.computing).itemsize * len(wanted.reductions)
    return total


def _answer(request: Request, bound: Bound, wanted: Wanted) -> int:
    """Return the bytes of a call's answer; its denominator, too, where that is an array of float64."""
    itemsize = bound.storage.itemsize
    values, reduced = math.prod(bound.unreduced), _reduced_values(request, bound)
    denominators = 8 * reduced if _reduced_shape(request, bound) else 0
    results = sum(values if REDUCTIONS[name].keeps_values else reduced for name in wanted.reductions)
    derivatives = sum(bound.arrays[name].array.size if name in bound.arrays else 1 for _, name in wanted.all)
    return itemsize * (results + derivatives * len(wanted.reductions)) + denominators


def _inner_lists(request: Request, bound: Bound, wanted: Wanted) -> int:
    """Return how many lists the arrays of an answer have in others, as nested lists; its denominator, too."""
    reduced = _reduced_shape(request, bound)
    results = inner_lists(reduced) + sum(
        inner_lists(bound.unreduced if REDUCTIONS[name].keeps_values else reduced)
        for name in wanted.reductions
    )
    arrays = [bound.arrays[name].array for _, name in wanted.all if name in bound.arrays]
    return results + sum(inner_lists(array.shape) for array in arrays) * len(wanted.reductions)


def _reduced_values(request: Request, bound: Bound) -> int:
    """Return how many numbers a reduction leaves: over an axis of length 0 more than there are values."""
    return math.prod(_reduced_shape(request, bound))


def _reduced_shape(request: Request, bound: Bound) -> Shape:
    """Return the axes that a reduction leaves."""
    if request.options.axis is None or "axis" in bound.placing:
        return ()
    rank = len(bound.unreduced)
    lost = normalise_axes(request.options.axis, rank) or ()
    return tuple(bound.unreduced[axis] for axis in range(rank) if axis not in lost)


def _largest_axis(bound: Bound) -> str:
    """Name the longest axis of a call: one of the batch, or a letter of the patterns."""
    batch = () if bound.loss.whole_batch else bound.batch
    axes = {f"axis {axis} of the batch ({length})": length for axis, length in enumerate(batch)}
    letters = {letter: size for letter, size in bound.sizes.items() if letter in AXES}
    axes |= {f"{letter}, the {AXES[letter].meaning} ({size})": size for letter, size in letters.items()}
    return max(axes, key=lambda name: axes[name], default="it")
