"""The inputs on which every loss is compared with its oracle: of every size, saturated and masked.

A case is arrays with one row per first index, and settings. Arrays are drawn for a type, so that "huge" and
"tiny" reach that type's ends, and cast to it: oracle and kernel see the same numbers. Each `cases_of_*.py` has the
functions that draw them, and ends with the table of its losses' oracles.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.oracle.case import Case
from tests.oracle.records import ORACLES


def draw_cases(name: str, dtype: Any) -> list[Case]:
    """Return the cases of a loss, their real arrays cast to ``dtype``."""
    draw = ORACLES[name].cases
    rng = np.random.default_rng(sum(map(ord, name)))
    with np.errstate(over="ignore", under="ignore"):
        return [
            case._replace(arrays={key: _cast(array, dtype) for key, array in case.arrays.items()})
            for case in draw(rng, np.finfo(dtype))
        ]


def _cast(array: Any, dtype: Any) -> Any:
    array = np.asarray(array)
    return array.astype(dtype) if array.dtype.kind == "f" else array
