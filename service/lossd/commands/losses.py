"""Prints the catalogue for people: ``lossd losses``."""

from __future__ import annotations

import argparse
import json

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
    from lossd.loss_page import loss_page, table
    from lossd.losses import LOSSES, find

    if arguments.name is None:
        summaries = [summarise(loss) for loss in LOSSES.values()]
        if arguments.json:
            print(json.dumps({"losses": [summary.model_dump() for summary in summaries]}, indent=2))
        else:
            print(table([(each.name, each.family, each.summary.replace("`", "")) for each in summaries]))
        return 0
    entry = describe(find(arguments.name))
    print(entry.model_dump_json(indent=2) if arguments.json else loss_page(entry.model_dump()))
    return 0
