"""Lays out an entry of the catalogue as text: one page for the command line and for the Python client."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

_TYPES = {
    "number": "number",
    "integer": "whole number",
    "boolean": "`true`, `false`",
    "string": "name",
    "object": "object",
    "null": "",
}
_BOUNDS = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}


def loss_page(entry: Mapping[str, Any]) -> str:
    """Lay one entry out as text.

    Args:
        entry: An entry as ``GET /v1/losses/NAME`` has it; members that another version lacks are left out.
    """
    example = entry.get("example") or {}
    parts = [
        f"{entry['name']} - {entry.get('summary', '')}",
        entry.get("description", ""),
        _facts(entry),
        _section(
            "Formula (LaTeX)", [(str(part),) for part in (entry.get("formula", ""), *entry.get("where", ()))]
        ),
        _section("Arguments", [_argument(each) for each in entry.get("arguments", ())]),
        _section("Settings", _schemas(entry.get("settings", {}))),
        _section("Options", _schemas(entry.get("options", {}))),
        _section("Edges", _edges(entry.get("edges", ()))),
        _section("Aliases", [_alias(each) for each in entry.get("alias_details", ())]),
        f"Example:\n  {json.dumps(example.get('request'))}\n  unreduced: {json.dumps(example.get('value'))}"
        if example
        else "",
    ]
    return "\n\n".join(part for part in parts if part).replace("`", "")


def values_of(schema: Any) -> str:
    """Say which values a JSON Schema of a setting or an option allows, with JSON's words in backticks.

    Nothing is said of a schema that no lossd server writes.
    """
    match schema:
        case {"anyOf": [*parts]}:
            return ", ".join(dict.fromkeys(text for each in parts if (text := values_of(each))))
        case {"$ref": str(reference)}:
            return "object" if reference.endswith("/Partial") else "array"
        case {"enum": [*choices]}:
            return ", ".join(f"`{json.dumps(choice)}`" for choice in choices)
        case {"const": choice}:
            return f"`{json.dumps(choice)}`"
        case {"type": "array", "items": {"enum": _}}:
            return "list of these"
        case {"type": "array", "items": items}:
            return f"list of {values_of(items)}s"
        case {"type": str(name)}:
            return f"{_TYPES.get(name, '')} {' and '.join(_bounds(schema))}".strip()
        case _:
            return ""


def _bounds(schema: Schema) -> list[str]:
    bounds = [(sign, schema.get(key)) for key, sign in _BOUNDS.items()]
    return [f"{sign} {bound:g}" for sign, bound in bounds if isinstance(bound, int | float)]


def default_of(schema: Schema) -> str:
    """Say what a setting or an option is if a call leaves it out; None stands for its absence."""
    if "default" not in schema:
        return "required"
    return "none" if schema["default"] is None else f"`{json.dumps(schema['default'])}`"


def table(rows: Sequence[tuple[str, ...]], indent: str = "") -> str:
    """Align rows in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(indent + line.rstrip() for line in lines)


def _facts(entry: Mapping[str, Any]) -> str:
    facts = {
        "Use:": entry.get("use"),
        "Avoid:": entry.get("avoid"),
        "Mean:": f"divides by {divisor}" if (divisor := entry.get("denominator")) else "",
        "Family:": entry.get("family"),
        "Source:": entry.get("source"),
        "Gbm:": entry.get("boosting"),
    }
    return "\n".join(f"{name:<9}{text}" for name, text in facts.items() if text)


def _section(title: str, rows: Sequence[tuple[str, ...]]) -> str:
    plain = [tuple(cell.replace("`", "") for cell in row) for row in rows]
    return f"{title}:\n{table(plain, indent='  ')}" if plain else ""


def _argument(argument: Mapping[str, Any]) -> tuple[str, ...]:
    notes = [word for word in ("differentiable", "optional") if argument.get(word)]
    return argument["name"], argument.get("shape", ""), argument.get("values", ""), ", ".join(notes)


def _schemas(schemas: Mapping[str, Schema]) -> list[tuple[str, ...]]:
    return [
        (name, f"{schema.get('description', '')} [{values_of(schema)}{_default(schema)}]")
        for name, schema in schemas.items()
    ]


def _default(schema: Schema) -> str:
    default = default_of(schema)
    return {"none": "", "required": "; required"}.get(default, f"; default {default}")


def _edges(edges: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    return [(str(edge.get("label", "")), _at_edge(edge)) for edge in edges]


def _at_edge(edge: Mapping[str, Any]) -> str:
    if edge.get("refused"):
        return "refused"
    numbers = {name: edge.get(name) for name in ("loss", "gradient", "curvature")}
    return ", ".join(f"{name} {_short(number)}" for name, number in numbers.items() if number is not None)


def _short(number: Any) -> str:
    """Write a number in seven digits: with fewer, 999999.5 would pass for one million."""
    return f"{number:.7g}" if isinstance(number, int | float) else str(number)


def _alias(alias: Mapping[str, Any]) -> tuple[str, ...]:
    names = str(alias.get("name", "")), str(alias.get("framework", ""))
    return *names, str(alias.get("difference") or "the same")
