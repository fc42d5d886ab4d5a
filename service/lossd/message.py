"""The values that cross every layer: what was asked, and what came out.

bytes > codec.decode_call > Call > engine.prepare > engine.compute > Answer > codec.encode_answer > bytes

``engine.evaluate`` is prepare and compute in one; the Open Inference Protocol has ``decode_inference`` and
``encode_inference`` in place of a codec's functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

Checkpoint = Callable[[], None]
"""Called between the steps of a long work; what it raises ends the work."""

DERIVATIVES = ("gradient", "hessian", "hvp")
"""The kinds of derivatives that an answer may hold."""

_NONE: Mapping[str, Any] = {}


def inner_lists(shape: Sequence[int]) -> int:
    """Return how many lists lie inside the outermost one of an array written as nested lists."""
    count, lists = 0, 1
    for length in shape[:-1]:
        lists *= length
        count += lists
    return count


@dataclass(frozen=True, slots=True)
class Call:
    """One request to evaluate a loss, whatever bytes it came as.

    Attributes:
        arrays: Every array of the request under its own name: the loss's arguments, and the general arrays
            (``sample_weight``, ``mask``, ``upstream`` ...).
        options: Everything else under its own name: the loss's scalar settings and the general
            options (``reduction``, ``gradient``, ``axis`` ...), not yet validated.
        owned: Whether the arrays' memory belongs to this call alone, so that a gradient may take the
            place of the argument it is of.
    """

    arrays: Mapping[str, Array]
    options: Mapping[str, Any] = field(default_factory=dict)
    owned: bool = False


class Answer(NamedTuple):
    """What a call came to.

    Attributes:
        loss: Reduction to value; 0-d unless the reduction leaves axes.
        count: How many elements or samples took part.
        denominator: What the averaging reduction divided by; an array where ``axis`` leaves axes.
        gradient: Reduction to argument to an array of the argument's own shape.
        hessian: Reduction to argument to the diagonal of the Hessian, in the argument's own shape.
        hvp: Reduction to argument to the Hessian times the caller's direction.
        warnings: What the caller should know although the call succeeded.
        part: What the rows add to the answer of a larger call, where this is a part of one.
    """

    loss: Mapping[str, Array]
    count: int  # type: ignore[assignment]  # in place of the method of tuples, which nobody needs
    denominator: float | Array
    gradient: Mapping[str, Mapping[str, Array]] = _NONE
    hessian: Mapping[str, Mapping[str, Array]] = _NONE
    hvp: Mapping[str, Mapping[str, Array]] = _NONE
    warnings: tuple[str, ...] = ()
    part: Part | None = None


DerivativeKey = tuple[str, str, str]
"""A derivative: its kind, the reduction, the argument or setting."""


class Branches(NamedTuple):
    """Sums of whole branches of the binary tree over the blocks of all rows.

    Attributes:
        level: Level of each branch, ``(n,)``: it has the sum of 2**level blocks.
        place: Place of each on its level, ``(n,)``: its first block is number place * 2**level.
        sums: The sums, ``(n, ...)``; of a part that was sent, in the type that it has on the wire.
    """

    level: Array
    place: Array
    sums: Array


class Partial(NamedTuple):
    """Which part of a larger call a call is.

    Attributes:
        first: Where it begins along the first axis of the whole batch.
        selected: Whether some values of the whole batch take no part, masked or ignored.
        of: How many entries the whole batch has along that axis; None where the caller does not say.
    """

    first: int
    selected: bool = False
    of: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What some rows add to the answer of all, and what is theirs alone.

    Attributes:
        loss: Name of the loss.
        first: Where it begins along the first axis of the whole batch.
        rows: How many entries it has along that axis.
        rows_per_block: At multiples of what the whole batch may be cut; 0 where the part has no rows.
        settings: Setting of the loss to its value, defaults included.
        arrays: Names of the arrays that were given, without the mask, which a part may lack.
        fused: Whether a fused kernel summed it, which cuts other blocks.
        count: How many values take part.
        selected: Whether some values take no part.
        denominator: What averages divide by, if the caller gave it.
        sums: Reduction to its undivided sum.
        normalizers: Averaging reduction to what the rows add to its own denominator.
        shared: Kind, reduction and name to the derivative of something that all rows share, in float64.
        types: Name to the type of the answer's derivatives; that of its values under the empty name.
        warnings: What the caller should know although the call succeeded.
        values: Every value of these rows, where it is asked for.
        derivatives: Kind, reduction and name to a derivative by rows.
        of: How many entries the whole batch has along the first axis; None where the call did not say.
    """

    loss: str
    first: int
    rows: int
    rows_per_block: int
    settings: Mapping[str, Any]
    arrays: tuple[str, ...]
    fused: bool
    count: int
    selected: bool
    denominator: float | None
    sums: Mapping[str, Branches]
    normalizers: Mapping[str, Branches]
    shared: Mapping[DerivativeKey, Branches]
    types: Mapping[str, np.dtype[Any]]
    warnings: tuple[str, ...] = ()
    values: Array | None = None
    derivatives: Mapping[DerivativeKey, Array] = field(default_factory=dict)
    of: int | None = None


@dataclass(frozen=True, slots=True)
class Combination:
    """One request to put parts together.

    Attributes:
        parts: The parts, in any order.
        options: ``empty`` and ``encoding``, as in a call.
    """

    parts: Sequence[Part]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Combined:
    """What parts come to.

    Attributes:
        count: How many values take part.
        selected: Whether some values take no part.
        denominator: What the averaging reduction divides by.
        denominators: Averaging reduction to its own denominator.
        loss: Reduction to its value.
        shared: Kind, reduction and name to the derivative of something that all rows share.
        warnings: What the caller should know although the call succeeded.
    """

    count: int
    selected: bool
    denominator: float
    denominators: Mapping[str, float]
    loss: Mapping[str, Any]
    shared: Mapping[DerivativeKey, Array]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Deviation:
    """One number's derivative by the service and by differences of the loss.

    Attributes:
        at: The number, such as ``input[3]``.
        analytic: The gradient that the service returns.
        numerical: That of central differences over falling steps, extrapolated to a step of 0, in float64.
        deviation: The difference of the two, over the largest number of that gradient; where the gradient is all
            zeros, over the loss divided by the largest number of the argument.
    """

    at: str
    analytic: float
    numerical: float
    deviation: float


@dataclass(frozen=True, slots=True)
class GradientCheck:
    """What a check of a gradient came to.

    Attributes:
        reduction: The reduction whose gradient was checked.
        elements: How many numbers were moved.
        evaluations: How often the loss was evaluated.
        largest: The largest deviation; None if nothing could be compared.
        by_argument: Argument or setting to its largest deviation.
        kinks: Places at which the loss has a kink, the first twenty: no gradient is compared there.
        kink_count: How many there are.
        unmoved: How many numbers could not be moved to both sides.
        undecided: How many numbers' differences are less exact than their deviation: a kink or a border is too near.
    """

    reduction: str
    elements: int
    evaluations: int
    largest: Deviation | None
    by_argument: Mapping[str, Deviation] = field(default_factory=dict)
    kinks: tuple[str, ...] = ()
    kink_count: int = 0
    unmoved: int = 0
    undecided: int = 0
