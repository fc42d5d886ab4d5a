"""Options are bounded in depth and in the number of values, and checking one stops at the bound."""

from __future__ import annotations

import pytest

from lossd.errors import MalformedBody
from lossd.wire.option import MOST_VALUES, checked_option


@pytest.mark.parametrize("value", [1, "word", None, [1, [2]], {"a": {"b": 1}}, {"a": []}, [0] * MOST_VALUES])
def test_options_come_back_as_they_are(value):
    assert checked_option(value, "axis", 2) is value


@pytest.mark.parametrize("value", [[[[]]], {"a": {"b": {}}}, [{"a": [1]}]])
def test_deep_options_are_refused(value):
    with pytest.raises(
        MalformedBody, match="expected fewer levels of nesting, got deeper nesting - at `axis`"
    ):
        checked_option(value, "axis", 2)


@pytest.mark.parametrize("value", [[0] * (MOST_VALUES + 1), [[0] * 1000] * 70, {"a": [[]] * MOST_VALUES}])
def test_options_of_many_values_are_refused(value):
    with pytest.raises(
        MalformedBody, match="expected the name of an array, or an option of at most 65536 values"
    ):
        checked_option(value, "inputs", 3)
