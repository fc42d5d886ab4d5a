"""Evaluates one call without a server, from a JSON request or from files: ``lossd eval``."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossd.declaration.loss import Loss
    from lossd.message import Array, Call

HELP = "evaluate a loss without a server"
DESCRIPTION = """\
Evaluate one call and print the answer as JSON. The call is either a JSON request, as POST /v1/losses/NAME
takes it, from FILE or standard input; or it is written out with one option per argument, setting and general
option. A value is a file, JSON, or else text; several values, or one with commas in it, make a list; no value
means true.

Files of arrays: .npy, .npz, .csv, .json, and .parquet if pyarrow is installed. FILE:NAME chooses an array of an
.npz, a member of a .json or a column of a table; without :NAME it is the one named as the option, else the
only array or the whole table. A first line of a .csv that is not all numbers is its header.

The exit code is 1 if the call is invalid and 2 if a file cannot be read or the command line makes no sense.
"""
EXAMPLES = """\
examples:
  echo '{"loss": "huber", "input": [1, 2, 3], "target": [1, 2, 5]}' | lossd eval
  lossd eval request.json --loss huber
  lossd eval --loss huber --input a.npy --target b.npy --delta 2 --reduction mean none --gradient
  lossd eval --loss huber --input arrays.npz:prediction --target table.csv:price --gradient input,target
  lossd eval --loss mse --input '[1, 2]' --target '[0, 0]'
"""
TAKES_MORE = True  # options beyond those declared are part of the call
USAGE = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that are not part of the call."""
    parser.add_argument("--loss", metavar="NAME", help='the loss, unless the request has a "loss" of its own')
    parser.add_argument(
        "--threads", type=_count, default=1, metavar="N", help="threads to compute with (default: 1)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the answer."""
    from lossd.commands.files import UnreadableFile
    from lossd.engine import evaluate
    from lossd.wire import CODECS

    try:
        written_out = any(word.startswith("--") for word in arguments.more)
        loss, call = _written_out(arguments) if written_out else _from_json(arguments)
    except OSError as error:
        print(f"lossd eval: {error.filename}: {error.strerror}", file=sys.stderr)
        return USAGE
    except (Misuse, UnreadableFile) as error:
        print(f"lossd eval: {error}", file=sys.stderr)
        return USAGE
    answer = evaluate(loss, call, threads=arguments.threads)
    sys.stdout.buffer.writelines([*CODECS["application/json"].encode_answer(answer, call), b"\n"])
    return 0


class Misuse(Exception):
    """The command line makes no sense."""


def _count(text: str) -> int:
    """Read a number of threads."""
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"expected a whole number > 0, got {text!r}")
    return int(text)


def _from_json(arguments: argparse.Namespace) -> tuple[Loss, Call]:
    """Read a JSON request; its loss is an option or the member ``loss``."""
    from lossd.commands.files import find_file
    from lossd.errors import MalformedBody
    from lossd.losses import find
    from lossd.wire import CODECS, DecodeLimits
    from lossd.wire.json.document import read_object

    file = _file(arguments.more)
    if (array := find_file(file, "")) and array.path.suffix != ".json":
        raise Misuse(f"expected a request in JSON, got {file}; an array is an option, as in --input {file}")
    body = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    limits = DecodeLimits(max_elements=sys.maxsize)
    try:
        name = arguments.loss or read_object(body, frozenset(), limits).get("loss")
        if not isinstance(name, str):
            got = "neither" if name is None else f"a {type(name).__name__} as the member"
            raise Misuse(f'expected --loss NAME or a JSON object with the member "loss", got {got}')
        loss = find(name)
        call = CODECS["application/json"].decode_call(body, loss.tensors, limits)
    except MalformedBody as error:
        raise MalformedBody(f"{'standard input' if file == '-' else file}: {error}") from None
    options = {key: value for key, value in call.options.items() if key != "loss"}
    return loss, replace(call, options=options)


def _written_out(arguments: argparse.Namespace) -> tuple[Loss, Call]:
    """Build the call from options such as ``--input a.npy --delta 2``."""
    from lossd.losses import find
    from lossd.message import Call

    if arguments.loss is None:
        first = arguments.more[0]
        raise Misuse(
            "expected --loss NAME, got none"
            + ("" if first.startswith("--") else f"; did you mean --loss {first}?")
        )
    loss = find(arguments.loss)
    arrays: dict[str, Array] = {}
    options: dict[str, Any] = {}
    for name, words in _options(arguments.more).items():
        if name in loss.tensors:
            arrays[name] = _array(name, words)
        else:
            options[name] = _option(name, words)
    return loss, Call(arrays, options)


def _file(words: list[str]) -> str:
    """Return the one file that the command line names; ``-`` where it names none."""
    if len(words) > 1:
        raise Misuse(f"expected one FILE, got {' '.join(words)}")
    return words[0] if words else "-"


def _options(words: list[str]) -> dict[str, list[str]]:
    """Group ``--name value ...`` by name."""
    options: dict[str, list[str]] = {}
    for word in words:
        if word.startswith("--"):
            written, _, value = word[2:].partition("=")
            name = written.replace("-", "_")
            if name in options:
                raise Misuse(f"expected each option once, got --{written} twice")
            options[name] = [value] if value else []
        elif options:
            options[list(options)[-1]].append(word)
        else:
            raise Misuse(f"expected an option such as --input, got {word}")
    return options


def _array(name: str, words: list[str]) -> Array:
    """Read an array from a file, or as JSON; several words are the numbers of a list."""
    from lossd.commands.files import READERS, find_file, read_file
    from lossd.wire.codec import ANSWER_LIMITS, Budget
    from lossd.wire.numbers import read_array

    if not words:
        raise Misuse(f"expected a value after --{name}, got none")
    files = [file for word in words if (file := find_file(word, name))]
    if files and len(words) > 1:
        raise Misuse(f"expected one file, got {' '.join(words)} - at `{name}`")
    if files:
        return read_file(files[0])
    values = [_json(word) for word in words]
    for word, value in zip(words, values, strict=True):
        if isinstance(value, str) and value == word:
            expected = f"a file ({', '.join(READERS)}) or an array in JSON"
            raise Misuse(f"expected {expected}, got {word!r} - at `{name}`")
    return read_array(values[0] if len(values) == 1 else values, name, Budget(ANSWER_LIMITS))


def _option(name: str, words: list[str]) -> Any:
    """Read a setting or a general option: no word means true, several make a list, as commas do."""
    from lossd.wire.query import read_text_value

    if not words:
        return True
    values = [read_text_value(word) for word in words]
    if len(values) == 1:
        return values[0]
    return [item for value in values for item in (value if isinstance(value, list) else [value])]


def _json(word: str) -> Any:
    """Read JSON, or take what is none as text."""
    try:
        return json.loads(word)
    except json.JSONDecodeError:
        return word
