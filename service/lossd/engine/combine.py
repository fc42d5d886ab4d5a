"""Puts the parts of a call together: sums of blocks over a binary tree, whoever computed them and in any order.

Parts may come over the network, so nothing that they say of each other is taken for granted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lossd.engine.answer import in_own_type
from lossd.engine.cost import Estimate
from lossd.engine.limits import CostLimits, excesses
from lossd.engine.precision import rounding_to
from lossd.engine.reduce import divide
from lossd.engine.reductions import REDUCTIONS
from lossd.errors import TooExpensive, invalid
from lossd.message import DERIVATIVES, Answer, Branches, Checkpoint, Combined, Part, inner_lists
from lossd.numerics.tree_sum import TreeSum
from lossd.wording import quoted, shown

# Operations that take as long as any request, as to read and add a branch, and as to add a number of it.
_CALL_WORK, _BRANCH_WORK, _NUMBER_WORK = 50_000, 20_000, 4
_LISTED = 10  # names in a message
_WIDEST = np.dtype(np.complex128)

_SAME: Mapping[str, Callable[[Part], Any]] = {
    "loss": lambda part: part.loss,
    "arrays": lambda part: sorted(part.arrays),
    "denominator": lambda part: part.denominator,
    "sums": lambda part: sorted(part.sums),
    "normalizers": lambda part: sorted(part.normalizers),
    "shared": lambda part: sorted(map(".".join, part.shared)),
    "types": lambda part: sorted((name, dtype.name) for name, dtype in part.types.items()),
}
"""Member to what all parts of one call have in common there."""


def combine(
    parts: Sequence[Part], empty: str = "error", *, loss: str = "", checkpoint: Checkpoint | None = None
) -> Combined:
    """Put parts together, in any order.

    Args:
        parts: Parts of one call, whose rows follow one another from the first on.
        empty: What a mean over nothing is: ``nan``, ``zero`` or an error.
        loss: Name of the loss that the parts must be of; any if empty.
        checkpoint: Called between parts, while they are checked and while they are added; what it raises ends the work.

    Raises:
        InvalidCall: The parts are of different calls, miss rows, overlap, or are none; or a mean is over nothing.
    """
    _check_parts(parts, loss, checkpoint)
    first = parts[0]

    def joined(member: str, name: Any) -> Any:
        return _joined([getattr(part, member)[name] for part in parts], checkpoint)

    with np.errstate(all="ignore"):
        denominators = {name: float(joined("normalizers", name)) for name in first.normalizers}
        averages = [name for name in first.sums if REDUCTIONS[name].divisor is not None]
        if (
            first.denominator is None
            and empty == "error"
            and not all(denominators[name] for name in averages)
        ):
            raise invalid(
                "parts", "something to average, or empty: 'nan' or 'zero'", "no element that takes part"
            )
        divisors: dict[str, float] = {
            name: first.denominator if first.denominator is not None else denominators[name]
            for name in averages
        }
        real = rounding_to(first.types[""])
        values = {
            name: real(divide(joined("sums", name), divisors.get(name, 1.0), empty)) for name in first.sums
        }
        shared = {key: in_own_type(joined("shared", key), first.types[key[2]]) for key in first.shared}
    return Combined(
        count=sum(part.count for part in parts),
        selected=any(part.selected for part in parts),
        denominator=next(
            iter(divisors.values()), first.denominator or next(iter(denominators.values()), 0.0)
        ),
        denominators=denominators,
        loss=values,
        shared=shared,
        warnings=tuple(dict.fromkeys(line for part in parts for line in part.warnings)),
    )


def answer_of(combined: Combined) -> Answer:
    """Return what parts come to as the answer of one call, without what belongs to single rows."""
    found: dict[str, Any] = {kind: {} for kind in DERIVATIVES}
    for (kind, reduction, name), array in combined.shared.items():
        found[kind].setdefault(reduction, {})[name] = array
    return Answer(combined.loss, combined.count, combined.denominator, warnings=combined.warnings, **found)


def cost_of(parts: Sequence[Part]) -> Estimate:
    """Return what it costs to put parts together, which are not checked yet."""
    every = [branches for part in parts for branches in _branches_of(part).values()]
    shared, types = (parts[0].shared, parts[0].types) if parts else ({}, {})
    numbers = {key: math.prod(branches.sums.shape[1:]) for key, branches in shared.items()}
    answer = sum(size * types.get(key[2], _WIDEST).itemsize for key, size in numbers.items())
    lists = sum(inner_lists(branches.sums.shape[1:]) for branches in shared.values())
    total = max(
        (numbers[key] * _wide(branches.sums.dtype).itemsize for key, branches in shared.items()), default=0
    )
    summed = sum(branches.sums.size * _wide(branches.sums.dtype).itemsize for branches in every)
    return Estimate(
        rows=len(parts),
        block_rows=1,
        work=_CALL_WORK
        + _BRANCH_WORK * sum(1 + len(branches.level) for branches in every)
        + _NUMBER_WORK * (answer + sum(branches.sums.size for branches in every)),
        workspace=total + summed,
        answer=answer,
        largest="what rows share",
        inner_lists=lists,
    )


def refuse_excess(cost: Estimate, limits: CostLimits) -> None:
    """Refuse parts that would cost more than it may to put them together.

    Raises:
        TooExpensive: The message says what it would cost, and what is allowed.
    """
    for name, needed, allowed in excesses(cost, limits):
        raise TooExpensive(
            f"to put these parts together is too expensive: its {name} would be {needed}, and this server allows "
            f"{allowed}; cut the batch into fewer parts"
        )


def _check_parts(parts: Sequence[Part], loss: str, checkpoint: Checkpoint | None) -> None:
    """Check that parts are of one call, of this loss, and have each row once.

    Raises:
        InvalidCall: They are not; the error names the part.
    """
    if not parts:
        raise invalid("parts", "at least one part", "none")
    if loss and parts[0].loss != loss:
        raise invalid("parts[0].loss", f"{loss}, as in the path", quoted(parts[0].loss))
    _check_names(parts[0])
    _check_same(parts, checkpoint)
    _check_blocks(parts)
    _check_rows(parts)
    every = [_branches_of(part) for part in parts]
    for member in every[0]:
        if checkpoint is not None:
            checkpoint()
        _check_branches(member, [branches[member] for branches in every])


def _check_same(parts: Sequence[Part], checkpoint: Checkpoint | None) -> None:
    """Check that parts agree with the first one in all that parts of one call have in common."""
    common, settings = {member: of(parts[0]) for member, of in _SAME.items()}, parts[0].settings
    for place, part in enumerate(parts):
        if checkpoint is not None:
            checkpoint()
        for member, of in _SAME.items():
            if (found := of(part)) != common[member]:
                expected = f"{_shown(common[member])}, as in parts[0]"
                raise invalid(f"parts[{place}].{member}", expected, _shown(found))
        for name in sorted({*settings, *part.settings}) if part.settings != settings else ():
            one, other = settings.get(name), part.settings.get(name)
            if one != other:
                raise invalid(
                    f"parts[{place}].settings.{name}", f"{shown(one)}, as in parts[0]", shown(other)
                )


def _branches_of(part: Part) -> dict[str, Branches]:
    """Return all branches of a part by their places in its document."""
    shared = {f"shared.{'.'.join(key)}": branches for key, branches in part.shared.items()}
    normalizers = {f"normalizers.{name}": branches for name, branches in part.normalizers.items()}
    return {f"sums.{name}": branches for name, branches in part.sums.items()} | normalizers | shared


def _check_names(part: Part) -> None:
    """Check that a part has what its own names ask for."""
    averaging = [name for name, reduction in REDUCTIONS.items() if reduction.divisor is not None]
    summing = [name for name, reduction in REDUCTIONS.items() if not reduction.keeps_values]
    for member, names, known in (
        ("sums", part.sums, summing),
        ("normalizers", part.normalizers, averaging),
        ("shared", [reduction for _, reduction, _ in part.shared], [*REDUCTIONS]),
    ):
        for name in names:
            if name not in known:
                raise invalid(f"parts[0].{member}", f"reductions out of {', '.join(known)}", quoted(name))
    if part.denominator is None:
        averages = [name for name in part.sums if name in averaging] or [*part.normalizers][:1] or ["mean"]
        for name in averages:
            if name not in part.normalizers:
                raise invalid("parts[0].normalizers", f"that of {name}, or a denominator", "none")
    for name in ("", *[name for _, _, name in part.shared]):
        if name not in part.types:
            raise invalid("parts[0].types", f"a type under the name {quoted(name)}", "none")
    if part.types[""].kind == "c":
        raise invalid("parts[0].types.", "the type of a real loss", part.types[""].name)


def _check_blocks(parts: Sequence[Part]) -> None:
    """Check that the blocks of all parts that have rows are cut alike."""
    cut = [(place, part) for place, part in enumerate(parts) if part.rows_per_block]
    for place, part in cut[1:]:
        first, common = cut[0]
        if part.fused != common.fused:
            expected = (
                f"blocks as in parts[{first}]: where some part masks or ignores rows, every call has"
                ' "selected": true in its `partial`'
            )
            raise invalid(f"parts[{place}].fused", expected, "others")
        if part.rows_per_block != common.rows_per_block:
            expected = f"{common.rows_per_block}, as in parts[{first}]: arrays alike but for their rows"
            raise invalid(f"parts[{place}].rows_per_block", expected, part.rows_per_block)


def _check_rows(parts: Sequence[Part]) -> None:
    """Check that the rows of parts follow one another from 0 on, to the end of the batch if some part says where it is.

    A part without rows stands where it says.
    """
    end, before = 0, ""
    for place, part in sorted(enumerate(parts), key=lambda each: (each[1].first, each[1].rows)):
        if part.first != end:
            raise invalid(f"parts[{place}].first", f"{end}, {before or 'where the batch begins'}", part.first)
        end, before = end + part.rows, f"where parts[{place}] ends"
    telling = [(place, part.of) for place, part in enumerate(parts) if part.of is not None]
    for place, of in telling:
        first, common = telling[0]
        if of != common:
            raise invalid(f"parts[{place}].of", f"{common}, as in parts[{first}]", of)
        if of < end:
            raise invalid(f"parts[{place}].of", f"{end} rows or more, {before}", of)
        if of > end:
            expected = f"all {of} rows of the batch, as parts[{place}].of says"
            raise invalid("parts", expected, f"{end}: the rows from {end} on are missing")


def _check_branches(member: str, every: Sequence[Branches]) -> None:
    """Check that branches are sums of one shape, and of no block twice."""
    shape = every[0].sums.shape[1:]
    for place, branches in enumerate(every):
        found = branches.sums.shape[1:]
        if found != shape:
            raise invalid(
                f"parts[{place}].{member}.sum", f"sums of shape {[*shape]}, as in parts[0]", f"{[*found]}"
            )
    level, number = (np.concatenate([branches[of] for branches in every]) for of in (0, 1))
    owner = np.repeat(np.arange(len(every)), [len(branches.level) for branches in every])
    order = np.argsort(number << level, kind="stable")
    begin, end, owner = (number << level)[order], ((number + 1) << level)[order], owner[order]
    clashes = np.flatnonzero(end[:-1] > begin[1:])
    if clashes.size:
        one, other = sorted(owner[clashes[0] : clashes[0] + 2].tolist())
        raise invalid(f"parts[{other}].{member}", f"no row that is in parts[{one}] too", "some rows twice")


def _wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type that sums of this one are added in."""
    return np.result_type(dtype, np.float64)


def _joined(parts: Sequence[Branches], checkpoint: Checkpoint | None) -> Any:
    """Return the sum of the branches of all parts; 0 if there is none."""
    whole = TreeSum()
    for part in parts:
        if checkpoint is not None:
            checkpoint()
        wide = _wide(part.sums.dtype)
        for level, place, term in zip(part.level.tolist(), part.place.tolist(), part.sums, strict=True):
            whole.add(place, term.astype(wide, copy=False), level)
    total = whole.total()
    return np.zeros(parts[0].sums.shape[1:]) if total is None else total


def _shown(value: Any) -> str:
    """Show what parts have in common, briefly."""
    if isinstance(value, list):
        return ", ".join(str(each) for each in value[:_LISTED]) or "none"
    return "none" if value is None else str(value)
