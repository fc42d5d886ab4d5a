"""The general way: a loss's kernel block by block, with all that a call may ask of it.

The kernel gives each row's value and derivatives; here they are weighed, summed and stored, for every
reduction that was asked for, while the block is in cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from lossd.engine.arrange import Arranged
from lossd.engine.blocks import Checkpoint, cut_blocks, run_blocks
from lossd.engine.check import check_block, check_sums, holds_distributions
from lossd.engine.derivatives import whole_shape
from lossd.engine.layout import Block, Rows, empty_rows
from lossd.engine.modulus import on_modulus
from lossd.engine.plan import Factor, Plan
from lossd.engine.precision import WIDE, Number, is_heavy, trap, wider
from lossd.engine.prepare import Prepared
from lossd.errors import invalid
from lossd.losses.domain import WEIGHT
from lossd.losses.spec import Lazy, Loss, Terms, forced
from lossd.message import Array

# A kernel that reads as the maths holds several results of a block's size at a time, a tuned one few.
_TEMPORARIES = 4

# A derivative that was asked for: what it is of ("gradient", "hessian", "hvp"), reduction, argument.
Wanted = tuple[str, str, str]
# Each reduction's factors on a block's values and on its derivatives.
_Factors = Mapping[str, tuple[Factor, Factor]]


@dataclass(frozen=True, slots=True)
class Result:
    """What the blocks came to.

    Attributes:
        values: Reduction to its undivided sums, or to the value of every row.
        derivatives: Every derivative that was asked for, in the shapes of broadcast arguments.
        distributions: Whether every row of probabilities summed to one.
    """

    values: Mapping[str, Any]
    derivatives: Mapping[Wanted, Array]
    distributions: bool


@dataclass(slots=True)
class _Parts:
    """What one block adds to the sums."""

    values: dict[str, Number] = field(default_factory=dict)
    shared: dict[Wanted, Array] = field(default_factory=dict)
    distributions: bool = True


def run_general(
    loss: Loss,
    prepared: Prepared,
    *,
    threads: int = 1,
    checkpoint: Checkpoint | None = None,
    block_bytes: int,
) -> Result:
    """Run the kernel of ``loss`` over the rows that take part, in a wider type where the call's own overflows."""
    run = partial(_run, loss, threads=threads, checkpoint=checkpoint, block_bytes=block_bytes)
    if loss.mass is not None and loss.mass.of in prepared.plan.gradient:
        # What a weight owes to the denominator is nearly what it adds to the sum, where it outweighs the others.
        prepared = _computed_in(prepared, wider(prepared.arranged.computing, than_double=False))
    computing = prepared.arranged.computing
    if prepared.plan.wide and loss.modulus:
        return run(_widened(_widened(prepared, loss), loss))  # float32 in long double too
    if prepared.plan.wide:
        prepared = _computed_in(prepared, computing := np.dtype(np.float64))
        if not loss.extended:
            return run(prepared)
    try:
        # What underflows of a power of the residual may be scaled up again; the tail of an exponential is only by a
        # heavy weight.
        with trap(underflow=loss.modulus):
            return run(prepared, trap_heavy=not loss.modulus and _kernel_type(loss, prepared) != computing)
    except FloatingPointError:
        return run(_widened(prepared, loss))


def _widened(prepared: Prepared, loss: Loss) -> Prepared:
    """Return a call that is computed in the next wider type, with its sums in the widest."""
    widened = _computed_in(prepared, _kernel_type(loss, prepared))
    return replace(widened, plan=replace(prepared.plan, wide=True))


def _kernel_type(loss: Loss, prepared: Prepared) -> np.dtype[Any]:
    """Return the next wider type that the loss's kernel runs in."""
    return wider(prepared.arranged.computing, than_double=loss.modulus or loss.extended)


def _computed_in(prepared: Prepared, computing: np.dtype[Any]) -> Prepared:
    return replace(prepared, arranged=replace(prepared.arranged, computing=computing))


def _run(
    loss: Loss,
    prepared: Prepared,
    *,
    trap_heavy: bool = False,
    threads: int,
    checkpoint: Checkpoint | None,
    block_bytes: int,
) -> Result:
    arranged, plan = prepared.arranged, prepared.plan
    exact = plan.sum_type
    kernel = on_modulus(loss.kernel) if arranged.computing.kind == "c" else loss.kernel
    arrays, rows = _allocate(loss, arranged, plan)
    kept = {
        name: np.zeros(arranged.count, exact)
        for name, scale in plan.scales.items()
        if name == "none" or plan.weights.axes is not None
    }
    least_rows = loss.least_rows(arranged.sizes) if loss.least_rows else 1
    blocks = cut_blocks(arranged, plan.weights.selected, block_bytes // _TEMPORARIES, least_rows)
    if loss.coupled and blocks:
        whole = plan.weights.selected
        blocks = [slice(0, arranged.count) if whole is None else whole]

    def compute(prepared: Prepared, block: Block, factors: _Factors) -> _Parts:
        parts = _Parts()
        arguments = _read(loss, prepared, block, parts)
        terms = kernel(**arguments, **plan.settings)
        for name, (of_value, of_gradient) in factors.items():
            _add_values(parts, kept, name, terms.value, of_value, block, prepared.plan.sum_type)
            asked = [wanted for wanted in arrays if wanted[1] == name]
            _store(loss, terms, prepared.plan, asked, of_gradient, block, rows, parts, prepared.arranged)
        return parts

    def work(block: Block) -> _Parts:
        factors = {
            name: (_of(scale.value, block), _of(scale.gradient, block)) for name, scale in plan.scales.items()
        }
        if not trap_heavy or not _weighs_heavily(arranged, factors, block):
            return compute(prepared, block, factors)
        try:
            with trap(underflow=True):
                return compute(prepared, block, factors)
        except FloatingPointError:
            return compute(_widened(prepared, loss), block, factors)  # other blocks stay as they are

    results = run_blocks(work, blocks, threads, checkpoint)
    for wanted, array in arrays.items():
        if wanted not in rows:
            for parts in results:
                array += parts.shared[wanted]
    values: dict[str, Any] = dict(kept)
    for name in plan.scales:
        if name not in values:
            values[name] = sum((parts.values[name] for parts in results), exact(0))
    return Result(values, arrays, all(parts.distributions for parts in results))


def _wanted(loss: Loss, arranged: Arranged, plan: Plan) -> list[Wanted]:
    first = next((name for name in loss.gradient if name in arranged.placed), "")
    wanted = [("gradient", reduction, name) for reduction in plan.scales for name in plan.gradient]
    if plan.hessian:
        wanted += [("hessian", reduction, first) for reduction in plan.scales]
    if plan.direction is not None:
        wanted += [("hvp", reduction, first) for reduction in plan.scales]
    return wanted


def _allocate(loss: Loss, arranged: Arranged, plan: Plan) -> tuple[dict[Wanted, Array], dict[Wanted, Rows]]:
    """Make room for every derivative; those with rows also as rows to write to."""
    arrays: dict[Wanted, Array] = {}
    rows: dict[Wanted, Rows] = {}
    zero = plan.weights.selected is not None
    for wanted in _wanted(loss, arranged, plan):
        placed = arranged.placed.get(wanted[2])
        if placed is None or placed.rows is None:
            shape = () if placed is None else placed.array.shape
            arrays[wanted] = np.zeros(shape, plan.sum_type)
            continue
        shape, core = whole_shape(placed, arranged)
        # What something is still to be added to is not rounded to 16 bits before.
        dtype = arranged.computing if placed.spread else arranged.storage
        if loss.mass is not None and wanted[2] == loss.mass.of:
            # What it owes to the denominator is still to be added.
            dtype = np.dtype(plan.sum_type)
        arrays[wanted], rows[wanted] = empty_rows(
            shape, core, dtype, flat_core=placed.role.flat_core, zero=zero
        )
    return arrays, rows


def _read(loss: Loss, prepared: Prepared, block: Block, parts: _Parts) -> dict[str, Array | None]:
    """Return a block of every argument, checked, as the kernel takes them."""
    arranged = prepared.arranged
    arguments: dict[str, Array | None] = dict.fromkeys(a.name for a in loss.arguments)
    for name, placed in arranged.placed.items():
        dtype = arranged.type_of(placed.role)
        if placed.rows is None:
            arguments[name] = np.ascontiguousarray(placed.array, dtype)
            continue
        if name in prepared.checked:
            values = placed.rows.read(block, None)
            check_block(placed, values, block, arranged)
            if holds_distributions(placed):
                parts.distributions &= check_sums(placed, values, block, arranged, prepared.strict)
            arguments[name] = np.ascontiguousarray(values, dtype)
        else:
            arguments[name] = placed.rows.read(block, dtype)
    return arguments


def _weighs_heavily(arranged: Arranged, factors: _Factors, block: Block) -> bool:
    """Return whether the weights of a block, and its factors of each reduction, may bring back what underflows."""
    kind = arranged.computing
    weights = [
        placed.array.astype(kind, copy=False) if placed.rows is None else placed.rows.read(block, kind)
        for placed in arranged.placed.values()
        if placed.role.domain is WEIGHT
    ]
    # Where rows are added up, what a value is multiplied by in the end is the gradient's factor.
    beside = [of_gradient for _, of_gradient in factors.values()]
    beside += [factors["none"][0]] if "none" in factors else []
    return any(is_heavy([*weights, factor], kind) for factor in beside)


def _of(factor: Factor, block: Block) -> Factor:
    return factor[block] if isinstance(factor, np.ndarray) else factor


def _add_values(
    parts: _Parts,
    kept: Mapping[str, Array],
    name: str,
    value: Array,
    factor: Factor,
    block: Block,
    exact: type[Any],
) -> None:
    """Keep a block's values, or add them up in ``exact``."""
    if name in kept:
        kept[name][block] = _weighed(value, factor)
    elif isinstance(factor, np.ndarray):
        parts.values[name] = np.add.reduce(_weighed(value, factor), dtype=exact)
    else:
        parts.values[name] = np.add.reduce(value, dtype=exact) * factor


def _store(
    loss: Loss,
    terms: Terms,
    plan: Plan,
    asked: Sequence[Wanted],
    factor: Factor,
    block: Block,
    rows: Mapping[Wanted, Rows],
    parts: _Parts,
    arranged: Arranged,
) -> None:
    """Scale the derivatives of a block that one reduction asks for, and store or sum them."""
    for wanted in asked:
        kind, _, name = wanted
        lazy = _derivative(loss, terms, kind, name, plan, block, arranged)
        scaled = _contract(loss, plan, lazy, factor, wanted in rows, len(terms.value))
        if wanted in rows:
            rows[wanted].write(block, scaled)
        else:
            parts.shared[wanted] = scaled


def _derivative(
    loss: Loss, terms: Terms, kind: str, name: str, plan: Plan, block: Block, arranged: Arranged
) -> Lazy:
    """Return the derivative that was asked for.

    Raises:
        InvalidCall: The loss does not offer it.
    """
    boosting = plan.boosting
    if kind == "gradient":
        if boosting is None:
            return terms.gradient[name]
        partial = terms.boosting.get(name, terms.gradient[name])
        if boosting.gradient == 1:
            return partial
        return lambda *upstream: forced(partial, *upstream) * boosting.gradient
    if kind == "hessian" and terms.hessian is not None:
        second = terms.hessian
        if boosting is None:
            return second
        return lambda *upstream: boosting.hessian(forced(second, *upstream), terms.weight)
    if kind == "hvp" and plan.direction is not None and plan.direction.rows is not None:
        direction = plan.direction.rows.read(block, arranged.computing)
        if terms.product is not None:
            return terms.product(direction)
        # only where rows and elements stand alone is the diagonal the whole Hessian
        if terms.hessian is not None and not plan.direction.core and not loss.coupled:
            return forced(terms.hessian) * direction
    raise invalid(
        kind,
        f"a loss and arguments that have one, and not {loss.name} of {name}",
        f"a request for the {kind}",
    )


def _contract(loss: Loss, plan: Plan, lazy: Lazy, factor: Factor, by_rows: bool, count: int) -> Array:
    """Multiply each row's derivative by its factor, and sum over the rows where they share the argument."""
    if loss.coupled:
        assert callable(lazy)
        return lazy(np.broadcast_to(np.asarray(factor, np.float64), count))
    slope = forced(lazy)
    scaled: Array
    if by_rows:
        return _weighed(slope, _column(factor, slope, plan.wide))
    exact = np.result_type(slope, plan.sum_type)
    if isinstance(factor, np.ndarray):
        scaled = np.add.reduce(_weighed(slope, _column(factor, slope, plan.wide)), axis=0, dtype=exact)
    else:
        scaled = np.add.reduce(slope, axis=0, dtype=exact) * factor
    return scaled


def _weighed(values: Array, factor: Any) -> Array:
    """Multiply each row by its factor: what has no weight adds nothing, even where it is infinite or NaN."""
    product: Array = values * factor
    if not isinstance(factor, np.ndarray):
        return product if factor else np.zeros_like(product)
    if not np.minimum.reduce(factor, axis=None, initial=1) > 0:
        np.copyto(product, 0, where=factor == 0)
    return product


def _column(factor: Factor, slope: Array, wide: bool) -> Any:
    """Return a factor that multiplies ``(rows, *core)`` in its own type, or in `WIDE`."""
    real = np.dtype(WIDE) if wide else slope.real.dtype
    if isinstance(factor, np.ndarray):
        return factor.astype(real).reshape(-1, *(1,) * (slope.ndim - 1))
    return real.type(factor)
