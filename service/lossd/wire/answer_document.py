"""An answer as one nested object: the form that JSON and MessagePack share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lossd.errors import InvalidCall, MalformedBody, malformed
from lossd.message import DERIVATIVES, Answer, Array
from lossd.wire import part_document
from lossd.wording import type_name


def to_document(answer: Answer) -> dict[str, Any]:
    """Return an answer as nested mappings, its values unchanged."""
    document: dict[str, Any] = {"loss": answer.loss}
    for derivative in DERIVATIVES:
        if by_reduction := getattr(answer, derivative):
            document[derivative] = by_reduction
    document["count"] = answer.count
    document["denominator"] = answer.denominator
    if answer.warnings:
        document["warnings"] = answer.warnings
    if answer.part is not None:
        document["part"] = part_document.to_document(answer.part)
    return document


def from_document(document: Mapping[str, Any], read: Callable[[Any, str], Array]) -> Answer:
    """Read an answer; ``read`` turns the value at a place into an array.

    Raises:
        MalformedBody: It is not an answer.
    """
    try:
        return _answer(document, read)
    except InvalidCall as error:
        raise MalformedBody(errors=error.errors) from None


def _answer(document: Mapping[str, Any], read: Callable[[Any, str], Array]) -> Answer:
    derivatives: dict[str, Any] = {
        derivative: {
            reduction: {
                name: read(value, f"{derivative}.{reduction}.{name}")
                for name, value in _object(by_name, f"{derivative}.{reduction}").items()
            }
            for reduction, by_name in _object(document.get(derivative, {}), derivative).items()
        }
        for derivative in DERIVATIVES
    }
    loss, part = _object(document.get("loss"), "loss"), document.get("part")
    return Answer(
        loss={reduction: read(value, f"loss.{reduction}") for reduction, value in loss.items()},
        count=_count(document.get("count")),
        denominator=checked_denominator(read(document.get("denominator"), "denominator")),
        warnings=checked_warnings(document.get("warnings", [])),
        part=None if part is None else part_document.from_document(part, "part", read),
        **derivatives,
    )


def checked_denominator(value: Array) -> float | Array:
    """Check that a denominator is real; one of no dimensions is a float."""
    if value.dtype.kind in "bc":
        raise malformed("denominator", "real numbers", value.dtype.name)
    return value if value.ndim else float(value)


def checked_warnings(value: Any) -> tuple[str, ...]:
    """Check that ``value`` is a list of strings."""
    if type(value) is not list or not all(type(line) is str for line in value):
        raise malformed("warnings", "a list of strings", type_name(value))
    return tuple(value)


def _object(value: Any, at: str) -> Mapping[str, Any]:
    if type(value) is not dict:
        raise malformed(at, "an object", type_name(value))
    return value


def _count(value: Any) -> int:
    if type(value) is not int:
        raise malformed("count", "an integer", type_name(value))
    return value
