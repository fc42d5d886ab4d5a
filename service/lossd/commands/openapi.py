"""``lossd openapi``: the contract on standard output."""

from __future__ import annotations

import argparse
import sys

HELP = "print the OpenAPI document"
DESCRIPTION = (
    "Print the OpenAPI 3.1 document of this version: one operation per loss. /openapi.json serves the same."
)
EXAMPLES = """\
examples:
  lossd openapi > openapi/openapi.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare no options."""


def run(arguments: argparse.Namespace) -> int:
    """Print the document."""
    from lossd.app import openapi_document

    sys.stdout.buffer.write(openapi_document())
    return 0
