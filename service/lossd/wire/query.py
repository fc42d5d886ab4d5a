"""Options of a call in a query string, for formats without options and for callers who prefer it.

``?reduction=mean,none&delta=0.5``: a value that reads as JSON is that value, several with commas between them and
a name given several times are a list, any other value is text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson

from lossd.errors import MalformedBody, invalid, malformed
from lossd.message import Array, Call
from lossd.wire.budget import Budget
from lossd.wire.codec import DecodeLimits
from lossd.wire.numbers import read_array
from lossd.wire.option import checked_option

_MOST_PAIRS = 1000


def with_query(call: Call, query: bytes, array_names: frozenset[str], limits: DecodeLimits) -> Call:
    """Add what a query string says to a call; a name in ``array_names`` is an array there, too.

    Raises:
        MalformedBody: The query is not text in UTF-8, has too many values, or one that nests too deeply.
        InvalidCall: A name is in the body as well, or a name in ``array_names`` does not hold an array.
        BodyTooLarge: The arrays of the query exceed ``limits.max_elements``.
    """
    budget = Budget(limits)
    arrays: dict[str, Array] = dict(call.arrays)
    options: dict[str, Any] = dict(call.options)
    for name, value in _values(query).items():
        if name in arrays or name in options:
            raise invalid(name[:80], "a value in the body or in the query string", "both")
        if name in array_names:
            arrays[name] = read_array(value, name, budget)
        else:
            options[name] = checked_option(value, name, limits.max_depth)
    return Call(arrays, options, call.owned)


def to_query(options: Mapping[str, Any]) -> str:
    """Write options as a query string that reads back as they are."""
    return urlencode([(name, _text(value)) for name, value in options.items()])


def read_text_value(text: str) -> Any:
    """Read a value that is written as text, in which a word needs no quotes and a list no brackets."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return [_item(part) for part in text.split(",")] if 0 < text.count(",") < _MOST_PAIRS else text


def _item(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text.strip()


def _values(query: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_PAIRS
        )
    except UnicodeDecodeError:
        raise malformed("the query string", "text in UTF-8, percent-encoded", "other bytes") from None
    except ValueError:
        raise _too_many() from None
    values: dict[str, list[Any]] = {}
    items = 0
    for name, text in pairs:
        value = read_text_value(text)
        values.setdefault(name, []).append(value)
        items += len(value) if type(value) is list and not text.startswith("[") else 0
        if items > _MOST_PAIRS:  # each of which took as long as a value
            raise _too_many()
    return {name: several if len(several) > 1 else several[0] for name, several in values.items()}


def _too_many() -> MalformedBody:
    return malformed("the query string", f"at most {_MOST_PAIRS} values", "more")


def _text(value: Any) -> str:
    # Text that would read as something else goes in quotes.
    if isinstance(value, str) and read_text_value(value) == value:
        return value
    return orjson.dumps(value).decode()
