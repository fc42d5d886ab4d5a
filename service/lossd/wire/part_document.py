"""Parts of a call as nested objects of plain values and arrays: what is sent, or kept, to be put together later."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Set
from typing import Any

import ml_dtypes
import numpy as np

from lossd.errors import excerpt, invalid
from lossd.message import DERIVATIVES, Array, Branches, Checkpoint, Combination, DerivativeKey, Part
from lossd.wire.codec import never_end
from lossd.wording import quoted, shown, type_name

Read = Callable[[Any, str], Array]  # turns the value at a place into an array
Split = Callable[[Any, str], Any]  # turns the part at a place into nested objects
_MEMBERS = frozenset(
    (
        *("loss", "first", "rows", "rows_per_block", "settings", "arrays", "fused", "count"),
        *("selected", "denominator", "types", "sums", "normalizers", "shared", "warnings"),
    )
)
_OF = "of"  # a member only of parts whose calls gave it
BRANCHES = frozenset(["sums", "normalizers", "shared"])
"""Members that have branches by name."""

MOST_PARTS = 1 << 11
"""Parts that are put together in one request: as many as the keys of a body in JSON allow."""

_CHOICES = {"empty": ("error", "nan", "zero"), "encoding": ("list", "base64")}
_BRANCH_MEMBERS = frozenset(["level", "place", "sum"])
_DTYPES = {
    np.dtype(kind).name: np.dtype(kind)
    for kind in (np.float16, ml_dtypes.bfloat16, np.float32, np.float64, np.complex64, np.complex128)
}
_HIGHEST = 62  # levels of the tree: more blocks than that has no call
_RUN_BRANCHES = 2  # on each level, of blocks that follow one another
_MOST_SUMS = _RUN_BRANCHES * (_HIGHEST + 1)
_MOST = 2**48  # values or rows of one part: what many parts have together is still a whole number of 64 bits
_LAST_ROW = 2**53 - 1  # of a whole batch, as the option ``partial`` allows
_MOST_NAMES = 256
_FURTHEST = 2**_HIGHEST
_WIDEST = {"f": np.dtype(np.float64), "c": np.dtype(np.complex128)}  # of the wire's types


def to_document(part: Part) -> dict[str, Any]:
    """Return a part as nested mappings; what belongs to its rows alone is left out."""
    return {
        "loss": part.loss,
        "first": part.first,
        "rows": part.rows,
        "rows_per_block": part.rows_per_block,
        "settings": dict(part.settings),
        "arrays": list(part.arrays),
        "fused": part.fused,
        "count": part.count,
        "selected": part.selected,
        "denominator": part.denominator,
        "types": {name: dtype.name for name, dtype in part.types.items()},
        "sums": {name: _written(branches) for name, branches in part.sums.items()},
        "normalizers": {name: _written(branches) for name, branches in part.normalizers.items()},
        "shared": {".".join(key): _written(branches) for key, branches in part.shared.items()},
        "warnings": list(part.warnings),
        **({} if part.of is None else {_OF: part.of}),
    }


def from_document(document: Any, at: str, read: Read) -> Part:
    """Read a part; ``read`` turns the value at a place into an array.

    Raises:
        InvalidCall: It is no part.
    """
    members = _members(document, at, _MEMBERS, {_OF})
    loss, denominator = members["loss"], members["denominator"]
    if type(loss) is not str:
        raise invalid(f"{at}.loss", "the name of a loss", shown(loss))
    if denominator is not None and not (type(denominator) in (int, float) and 0 < denominator < math.inf):
        raise invalid(f"{at}.denominator", "a number > 0 or null", shown(denominator))
    return Part(
        loss=loss,
        first=_whole(members["first"], f"{at}.first", _LAST_ROW),
        rows=_whole(members["rows"], f"{at}.rows"),
        rows_per_block=_whole(members["rows_per_block"], f"{at}.rows_per_block"),
        settings=_settings(members["settings"], f"{at}.settings"),
        arrays=_lines(members["arrays"], f"{at}.arrays"),
        fused=_fact(members["fused"], f"{at}.fused"),
        count=_whole(members["count"], f"{at}.count"),
        selected=_fact(members["selected"], f"{at}.selected"),
        denominator=None if denominator is None else float(denominator),
        sums=_numbers(members["sums"], f"{at}.sums", read),
        normalizers=_numbers(members["normalizers"], f"{at}.normalizers", read),
        shared={
            _key(name, f"{at}.shared"): branches
            for name, branches in _by_name(members["shared"], f"{at}.shared", read).items()
        },
        types=_types(members["types"], f"{at}.types"),
        warnings=_lines(members["warnings"], f"{at}.warnings"),
        of=_whole(members[_OF], f"{at}.of", _LAST_ROW) if _OF in members else None,
    )


def read_combination(
    document: Mapping[str, Any],
    read: Read,
    *,
    split: Split = lambda part, at: part,
    checkpoint: Checkpoint = never_end,
) -> Combination:
    """Read a request to put parts together: ``{"parts": [...], "empty": "nan"}``.

    Args:
        document: The request, whose parts are not split yet.
        read: Turns the value at a place into an array.
        split: Turns the part at a place into nested objects, where it is none yet.
        checkpoint: Called before each part; what it raises ends the reading.

    Raises:
        InvalidCall: It has no parts, one of them is none, or an option is unknown.
    """
    options = {name: value for name, value in document.items() if name != "parts"}
    for name, value in options.items():
        if name not in _CHOICES:
            raise invalid(excerpt(name), f"parts, {' or '.join(_CHOICES)}", quoted(name))
        if value not in _CHOICES[name]:
            raise invalid(name, " or ".join(map(quoted, _CHOICES[name])), shown(value))
    parts = document.get("parts")
    if not isinstance(parts, list):
        raise invalid("parts", "a list of the parts that calls answered", type_name(parts))
    if len(parts) > MOST_PARTS:
        raise invalid("parts", f"at most {MOST_PARTS} parts", len(parts))
    found = []
    for place, part in enumerate(parts):
        checkpoint()
        at = f"parts[{place}]"
        found.append(from_document(split(part, at), at, read))
    return Combination(found, options)


def write_combination(combination: Combination) -> dict[str, Any]:
    """Return a request to put parts together as nested mappings."""
    return {"parts": [to_document(part) for part in combination.parts], **combination.options}


def _members(
    value: Any, at: str, names: frozenset[str], optional: Set[str] = frozenset()
) -> Mapping[str, Any]:
    """Check that a value is an object with these members, and no others but optional ones."""
    found = _object(value, at)
    for name in sorted(names ^ (found.keys() - optional)):
        expected = f"the members {', '.join(sorted(names))}"
        raise invalid(at, expected, f"{'none' if name in names else 'another'} called {quoted(name)}")
    return found


def _object(value: Any, at: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise invalid(at, "an object", type_name(value))
    if len(value) > _MOST_NAMES:
        raise invalid(at, f"at most {_MOST_NAMES} names", len(value))
    return value


def _whole(value: Any, at: str, most: int = _MOST - 1) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise invalid(at, f"a whole number from 0 to {most}", shown(value))
    return value


def _fact(value: Any, at: str) -> bool:
    if type(value) is not bool:
        raise invalid(at, "true or false", shown(value))
    return value


def _lines(value: Any, at: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not {*map(type, value)} <= {str}:
        raise invalid(at, "a list of strings", type_name(value))
    return tuple(value)


def _settings(value: Any, at: str) -> dict[str, Any]:
    """Read settings by name: what one compares, so nothing nested."""
    found = dict(_object(value, at))
    for name, setting in found.items():
        if type(setting) not in (bool, int, float, str):
            raise invalid(f"{at}.{excerpt(name)}", "a number, a boolean or a string", type_name(setting))
    return found


def _types(value: Any, at: str) -> dict[str, np.dtype[Any]]:
    """Read the types of an answer by name."""
    found = {}
    for name, text in _object(value, at).items():
        if type(text) is not str or text not in _DTYPES:
            raise invalid(f"{at}.{name}", f"one of {', '.join(_DTYPES)}", shown(text))
        found[name] = _DTYPES[text]
    return found


def _key(text: str, at: str) -> DerivativeKey:
    kind, _, rest = text.partition(".")
    reduction, _, name = rest.partition(".")
    if kind not in DERIVATIVES or not name:
        raise invalid(
            at, "a kind of derivative, a reduction and a name, as in gradient.mean.weight", quoted(text)
        )
    return kind, reduction, name


def _by_name(value: Any, at: str, read: Read) -> dict[str, Branches]:
    return {name: _read(branches, f"{at}.{name}", read) for name, branches in _object(value, at).items()}


def _numbers(value: Any, at: str, read: Read) -> dict[str, Branches]:
    """Read branches whose sums are numbers, by name."""
    found = _by_name(value, at, read)
    for name, branches in found.items():
        if branches.sums.ndim != 1 or branches.sums.dtype.kind == "c":
            raise invalid(f"{at}.{name}.sum", "a real number for each branch", _described(branches.sums))
    return found


def _read(value: Any, at: str, read: Read) -> Branches:
    """Read the branches of blocks that follow one another, as they were written."""
    members = _members(value, at, _BRANCH_MEMBERS)
    sums = np.asarray(read(members["sum"], f"{at}.sum"))
    if not sums.ndim or sums.dtype.kind == "b":
        raise invalid(f"{at}.sum", "a list of numbers", _described(sums))
    few = f"at most {_RUN_BRANCHES} branches of each level, as rows that follow one another have"
    if len(sums) > _MOST_SUMS:
        raise invalid(f"{at}.level", few, f"{len(sums)} branches")
    level = _places(members, "level", at, read, sums.shape[:1])
    place = _places(members, "place", at, read, sums.shape[:1])
    wrong = np.flatnonzero((level > _HIGHEST) | (place >= 1 << np.maximum(_HIGHEST - level, 0)))
    if wrong.size:
        expected = f"branches of blocks below 2**{_HIGHEST}"
        raise invalid(f"{at}.place[{wrong[0]}]", expected, f"one of level {level[wrong[0]]}")
    if len(level) and np.bincount(level).max() > _RUN_BRANCHES:
        raise invalid(f"{at}.level", few, "more")
    return Branches(level, place, sums)


def _places(members: Mapping[str, Any], name: str, at: str, read: Read, shape: tuple[int, ...]) -> Array:
    """Read the levels or the places of branches."""
    found = np.asarray(read(members[name], f"{at}.{name}"))
    if found.shape != shape or (found.size and found.dtype.kind not in "iu"):
        raise invalid(f"{at}.{name}", f"whole numbers of shape {[*shape]}, as the sums", _described(found))
    wrong = np.flatnonzero((found < 0) | (found >= _FURTHEST))
    if wrong.size:
        raise invalid(f"{at}.{name}[{wrong[0]}]", "a whole number from 0 to 2**62", found[wrong[0]])
    return found.astype(np.int64)


def _described(array: Array) -> str:
    return f"{array.dtype.name} of shape {[*array.shape]}"


def _written(branches: Branches) -> dict[str, Any]:
    sums = branches.sums
    widest = _WIDEST.get(sums.dtype.kind, sums.dtype)
    if sums.dtype.itemsize > widest.itemsize:  # of a part that left the range of its own type
        sums = sums.astype(widest)
    return {"level": branches.level, "place": branches.place, "sum": sums}
