"""Literal inputs and outputs of the frameworks whose names are aliases here; ``data/README.md`` says where from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

LINES: list[dict[str, Any]] = [
    json.loads(line) for line in (Path(__file__).parent / "data" / "aliases.jsonl").read_text().splitlines()
]


class ByDefault(dict[str, dict[str, Any]]):
    """Alias to one of its lines with nothing but arrays."""

    def __missing__(self, name: str) -> dict[str, Any]:
        raise LookupError(
            f"{name}: add a line without options to tests/oracle/data/aliases.jsonl, as README.md says"
        )


BY_DEFAULT = ByDefault((line["name"], line) for line in reversed(LINES) if "options" not in line)


def assert_given(line: dict[str, Any], answer: dict[str, Any]) -> None:
    """Compare an answer's values and derivatives, each by reduction, with those of a line's framework."""
    for kind in {"loss", "gradient", "hessian"} & line.keys():
        found, expected = answer[kind], line[kind]
        assert found.keys() == expected.keys()
        for reduction, value in expected.items():
            assert_close(found[reduction], value, line["rtol"])


def assert_close(found: Any, expected: Any, rtol: float) -> None:
    """Compare an array, or the arrays of several arguments."""
    if not isinstance(expected, dict):
        np.testing.assert_allclose(found, expected, rtol=rtol)
        assert np.shape(found) == np.shape(expected)
        return
    for name, values in expected.items():
        assert_close(found[name], values, rtol)
