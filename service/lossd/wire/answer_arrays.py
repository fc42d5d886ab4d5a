"""An answer as arrays with dotted names (``loss.mean``, ``gradient.mean.input``), for formats of arrays alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from lossd.errors import malformed
from lossd.message import DERIVATIVES, Answer, Array
from lossd.wire.answer_document import checked_denominator, checked_warnings


def to_arrays(answer: Answer) -> dict[str, Array]:
    """Name every array of an answer; ``count`` is an int64 and ``denominator`` float64."""
    arrays = {f"loss.{reduction}": np.asarray(value) for reduction, value in answer.loss.items()}
    for derivative in DERIVATIVES:
        for reduction, by_name in getattr(answer, derivative).items():
            for name, value in by_name.items():
                arrays[f"{derivative}.{reduction}.{name}"] = np.asarray(value)
    arrays["count"] = np.array(answer.count, np.int64)
    arrays["denominator"] = np.asarray(answer.denominator, np.float64)
    return arrays


def from_arrays(arrays: Mapping[str, Array], warnings: str | bytes) -> Answer:
    """Read an answer; ``warnings`` is a JSON list of strings, or empty.

    Raises:
        MalformedBody: A name is unknown or missing, or does not hold what an answer has there.
    """
    parts: dict[str, Any] = {part: {} for part in ("loss", *DERIVATIVES)}
    for at, array in arrays.items():
        part, *path = at.split(".", 2)
        if part == "loss" and len(path) == 1:
            parts[part][path[0]] = array
        elif part in DERIVATIVES and len(path) == 2:
            parts[part].setdefault(path[0], {})[path[1]] = array
        elif at not in ("count", "denominator"):
            raise malformed(at[:80], "loss.<reduction>, gradient.<reduction>.<argument> ...", "another name")
    return Answer(
        count=_count(arrays),
        denominator=checked_denominator(_required(arrays, "denominator")),
        warnings=_warnings(warnings),
        **parts,
    )


def _required(arrays: Mapping[str, Array], name: str) -> Array:
    if name not in arrays:
        raise malformed(name, "an array", "none")
    return arrays[name]


def _count(arrays: Mapping[str, Array]) -> int:
    count = _required(arrays, "count")
    if count.ndim or count.dtype.kind not in "iu":
        raise malformed("count", "one integer", f"{count.dtype.name} of shape {list(count.shape)}")
    return int(count)


def _warnings(text: str | bytes) -> tuple[str, ...]:
    if not text:
        return ()
    try:
        return checked_warnings(orjson.loads(text))
    except orjson.JSONDecodeError:
        raise malformed("warnings", "a JSON list of strings", "no JSON") from None
