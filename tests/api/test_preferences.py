"""What an ``Accept`` header means, however long it is."""

from __future__ import annotations

import pytest

from lossd.api.negotiation import CALLS, preferences
from lossd.errors import NotAcceptable

JSON = "application/json"


def test_of_a_long_list_the_first_ranges_count() -> None:
    ranges = preferences(b"text/html," * 100 + b"application/json;q=0.5, */*;q=0" + b", a/b" * 9_000)
    assert len(ranges) == 256
    assert ranges[99:102] == [("text/html", 1.0), (JSON, 0.5), ("*/*", 0.0)]


def test_a_range_behind_too_many_is_not_seen() -> None:
    far, near = b"text/html," * 256 + JSON.encode(), b"text/html," * 255 + JSON.encode()
    assert CALLS.of_answer(near, JSON) is CALLS.of_answer(b"", JSON)
    with pytest.raises(NotAcceptable, match="allows application/json or"):
        CALLS.of_answer(far, JSON)
