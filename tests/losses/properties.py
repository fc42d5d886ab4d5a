"""The table of all properties: `test_properties` checks each case, `test_harness` that each can fail."""

from __future__ import annotations

from tests.losses import derivatives, layouts, numbers, reductions, selection

PROPERTIES = (
    derivatives.PROPERTIES
    + reductions.PROPERTIES
    + selection.PROPERTIES
    + layouts.PROPERTIES
    + numbers.PROPERTIES
)
