"""The command line, ``lossd COMMAND``; each command imports what it needs when it runs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from lossd import __version__
from lossd.commands import eval, gradcheck, healthcheck, keys, losses, openapi, plot, serve
from lossd.errors import LossdError, UnknownLoss

COMMANDS = {
    "serve": serve,
    "keys": keys,
    "losses": losses,
    "eval": eval,
    "gradcheck": gradcheck,
    "plot": plot,
    "openapi": openapi,
    "healthcheck": healthcheck,
}

USAGE = 2

DESCRIPTION = "Losses and their gradients over HTTP: arrays in, values and gradients out."
EXAMPLES = """\
examples:
  lossd serve
  curl -H 'Content-Type: application/json' -d '{"input": [1, 2, 3], "target": [1, 2, 5], "gradient": true}' \\
       http://127.0.0.1:8000/v1/losses/huber
  lossd losses huber
  echo '{"loss": "mse", "input": [1, 2], "target": [0, 0]}' | lossd eval

'lossd COMMAND --help' has more. Exit codes: 0 done, 1 the call or the server is at fault, 2 wrong usage,
130 interrupted.
"""
INTERRUPTED = 130  # as shells say of a process that SIGINT ended


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = sys.argv[1:] if words is None else words
    parser = _parser()
    if not words:
        parser.print_help(sys.stderr)
        return USAGE
    arguments, more = parser.parse_known_args(words)
    command = COMMANDS[arguments.command]
    if more and not hasattr(command, "TAKES_MORE"):
        arguments.refuse(f"unrecognized arguments: {' '.join(more)}")
    arguments.more = more
    try:
        return int(command.run(arguments))
    except LossdError as error:
        listed = isinstance(error, UnknownLoss) and error.unlike_any
        where = "; 'lossd losses' lists them" if listed else ""
        print(f"lossd {arguments.command}: {error}{where}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"lossd {arguments.command}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


class _Once(argparse.Action):
    """Stores the value of an option that may be given once: argparse's own action takes the last without a word."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: Any = None,
    ) -> None:
        if getattr(namespace, self.dest) is not self.default:
            parser.error(f"expected each option once, got {option_string} twice")
        setattr(namespace, self.dest, values)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lossd",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"lossd {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        own = commands.add_parser(
            name,
            help=command.HELP,
            description=command.DESCRIPTION,
            epilog=command.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            usage=getattr(command, "USAGE_LINE", None),
        )
        own.set_defaults(refuse=own.error)  # with the usage of this command
        own.register("action", None, _Once)
        command.add_arguments(own)
    return parser


if __name__ == "__main__":
    sys.exit(main())
