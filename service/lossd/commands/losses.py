"""Prints the catalogue for people: ``lossd losses``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossd.api.catalogue import LossEntry

HELP = "list the losses, or describe one"
DESCRIPTION = "List every loss with its family and summary, or say all about one."
EXAMPLES = """\
examples:
  lossd losses
  lossd losses huber
  lossd losses HuberLoss --json            the names of other frameworks work too
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("name", nargs="?", help="name or alias of a loss")
    parser.add_argument("--json", action="store_true", help="print JSON, as GET /v1/losses has it")


def run(arguments: argparse.Namespace) -> int:
    """Print the table or the one entry."""
    from lossd.api.catalogue import describe, summarise
    from lossd.losses import LOSSES, find

    if arguments.name is None:
        summaries = [summarise(loss) for loss in LOSSES.values()]
        if arguments.json:
            print(json.dumps({"losses": [summary.model_dump() for summary in summaries]}, indent=2))
        else:
            print(_table([(each.name, each.family, _plain(each.summary)) for each in summaries]))
        return 0
    entry = describe(find(arguments.name))
    print(entry.model_dump_json(indent=2) if arguments.json else _page(entry))
    return 0


def _page(entry: LossEntry) -> str:
    """Lay one entry out as text."""
    arrays = [
        (each.name, each.shape, each.values, _notes(each.differentiable, each.optional))
        for each in entry.arguments
    ]
    settings = [
        (name, _default(schema), _plain(schema.get("description", "")))
        for name, schema in entry.settings.items()
    ]
    aliases = [
        (each.name, each.framework, _plain(each.difference) or "the same") for each in entry.alias_details
    ]
    parts = [
        f"{entry.name} - {_plain(entry.summary)}",
        _plain(entry.description),
        f"Family:  {entry.family}\nSource:  {entry.source}"
        + (f"\nGbm:     {_plain(entry.boosting)}" if entry.boosting else ""),
        f"Formula (LaTeX):\n  {entry.formula}",
        "Arguments:\n" + _table(arrays, indent="  "),
        "Settings:\n" + _table(settings, indent="  ") if settings else "",
        "Aliases:\n" + _table(aliases, indent="  ") if aliases else "",
        f"Example:\n  {json.dumps(entry.example.request)}\n  unreduced: {json.dumps(entry.example.value)}",
    ]
    return "\n\n".join(part for part in parts if part)


def _plain(text: str) -> str:
    """Take the marks of code out of a text."""
    return text.replace("`", "")


def _notes(differentiable: bool, optional: bool) -> str:
    return ", ".join(
        word for word, holds in (("differentiable", differentiable), ("optional", optional)) if holds
    )


def _default(schema: dict[str, Any]) -> str:
    return f"default {json.dumps(schema['default'])}" if "default" in schema else "required"


def _table(rows: Sequence[tuple[str, ...]], indent: str = "") -> str:
    """Align rows in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(indent + line.rstrip() for line in lines)
