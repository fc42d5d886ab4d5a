"""Reads the answer to a check of a gradient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from lossd.errors import MalformedBody
from lossd.message import Deviation, GradientCheck


def read_check(document: Any) -> GradientCheck:
    """Read the answer to a check; fields of a newer server are left out.

    Raises:
        MalformedBody: It is something else.
    """
    try:
        names = {each.name for each in fields(GradientCheck)}
        known = {name: value for name, value in document.items() if name in names}
        known["largest"] = None if known["largest"] is None else _deviation(known["largest"])
        known["by_argument"] = {name: _deviation(each) for name, each in known["by_argument"].items()}
        known["kinks"] = tuple(known["kinks"])
        return GradientCheck(**known)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise MalformedBody("expected a check of a gradient, got another document") from None


def _deviation(entry: Mapping[str, Any]) -> Deviation:
    numbers = {name: float(entry[name]) for name in ("analytic", "numerical", "deviation")}  # "NaN" too
    return Deviation(at=str(entry["at"]), **numbers)
