"""The two values that cross every layer: what was asked, and what came out.

bytes > codec.decode_call > Call > engine.prepare > engine.compute > Answer > codec.encode_answer > bytes

``engine.evaluate`` is prepare and compute in one; the Open Inference Protocol has ``decode_inference`` and
``encode_inference`` in place of a codec's functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]

DERIVATIVES = ("gradient", "hessian", "hvp")
"""The kinds of derivatives that an answer may hold."""


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


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to.

    Attributes:
        loss: Reduction to value; 0-d unless the reduction leaves axes.
        count: How many elements or samples took part.
        denominator: What the averaging reduction divided by; an array where ``axis`` leaves axes.
        gradient: Reduction to argument to an array of the argument's own shape.
        hessian: Reduction to argument to the diagonal of the Hessian, in the argument's own shape.
        hvp: Reduction to argument to the Hessian times the caller's direction.
        warnings: What the caller should know although the call succeeded.
    """

    loss: Mapping[str, Array]
    count: int
    denominator: float | Array
    gradient: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    hessian: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    hvp: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
