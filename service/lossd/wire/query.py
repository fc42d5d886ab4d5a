"""Options of a call in a query string, for formats without options and for callers who prefer it.

``?reduction=mean,none&delta=0.5``: a value that reads as JSON is that value, several with commas between them and
a name given several times are a list, any other value is text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson

from lossd.errors import invalid, malformed
from lossd.message import Array, Call
from lossd.wire.budget import Budget
from lossd.wire.codec import DecodeLimits
from lossd.wire.numbers import read_array
from lossd.wire.option import checked_option

_MOST_VALUES = 1000
_QUERY = "the query string"


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


class TextValues:
    """Reads the values of one request that are written as text: a word needs no quotes and a list no brackets.

    Each item of such a list takes as long to read as a value, so that they are counted together.

    Args:
        at: Where the values are, for the error.
    """

    def __init__(self, at: str) -> None:
        self._at = at
        self._items = 0

    def read(self, text: str) -> Any:
        """Read one of the values.

        Raises:
            MalformedBody: The lists that have no brackets have too many items.
        """
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass
        if "," not in text:
            return text
        self._items += text.count(",") + 1
        if self._items > _MOST_VALUES:
            raise malformed(self._at, f"at most {_MOST_VALUES} items in lists without brackets", self._items)
        return [_item(part) for part in text.split(",")]


def _item(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text.strip()


def _values(query: bytes) -> dict[str, Any]:
    try:
        text = query.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_VALUES)
    except UnicodeDecodeError:
        raise malformed(_QUERY, "text in UTF-8, percent-encoded", "other bytes") from None
    except ValueError:
        raise malformed(_QUERY, f"at most {_MOST_VALUES} values", "more") from None
    texts = TextValues(_QUERY)
    values: dict[str, list[Any]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(texts.read(value))
    return {name: several if len(several) > 1 else several[0] for name, several in values.items()}


def _text(value: Any) -> str:
    # Text that would read as something else goes in quotes.
    if isinstance(value, str) and "," not in value and _item(value) == value:
        return value
    return orjson.dumps(value).decode()
