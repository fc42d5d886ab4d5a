"""The table of all properties: `test_properties` checks each on every case, `test_harness` that it can fail."""

from __future__ import annotations

from tests.losses import derivatives, layouts, reductions, selection

PROPERTIES = derivatives.PROPERTIES + reductions.PROPERTIES + selection.PROPERTIES + layouts.PROPERTIES
