"""Ranges in the catalogue are checked where a plain value is given; whatever else is given, the server decides."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lossd.api.catalogue import describe
from lossd.client.ranges import allows
from lossd.losses import LOSSES


@pytest.mark.parametrize(
    ("loss", "setting", "allowed", "refused"),
    [
        ("huber", "delta", [1, 0.5], [0, -1, -0.5, math.nan, math.inf, "1", True]),
        ("cross_entropy", "label_smoothing", [0, 1, 0.5], [-0.1, 1.1]),
        ("sinkhorn", "iterations", [1, 10_000], [0, 1.5, 10_001]),
        ("triplet_margin", "swap", [True, False], [1, "yes"]),
        ("triplet_margin_with_distance", "distance", ["cosine"], ["cosinus", 1]),
    ],
)
def test_a_setting_has_its_range(loss: str, setting: str, allowed: list[Any], refused: list[Any]) -> None:
    schema = describe(LOSSES[loss]).settings[setting]
    assert all(allows(schema, value) for value in allowed)
    assert not any(allows(schema, value) for value in refused)


@pytest.mark.parametrize("schema", [None, 3, [], {}, {"type": "new"}, {"anyOf": [{}]}])
def test_a_schema_that_is_not_known_allows_all(schema: Any) -> None:
    assert allows(schema, -1)


def test_what_is_no_plain_value_is_for_the_server_to_judge() -> None:
    schema = describe(LOSSES["huber"]).settings["delta"]
    assert allows(schema, [1.0])
    assert allows(schema, None)
