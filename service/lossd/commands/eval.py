"""This file is ``lossd eval``: one call without a server, from a JSON request or from .npy files."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossd.losses.spec import Loss
    from lossd.message import Call

HELP = "evaluate a loss without a server"
DESCRIPTION = """\
Evaluate one call and print the answer as JSON. The call is either a JSON request, as POST /v1/losses/NAME
takes it, from FILE or standard input; or written out with one option per argument, setting and general
option: a value is a .npy file, JSON, or else text; several values make a list; none means true.
"""
EXAMPLES = """\
examples:
  echo '{"loss": "huber", "input": [1, 2, 3], "target": [1, 2, 5]}' | lossd eval
  lossd eval request.json --loss huber
  lossd eval --loss huber --input a.npy --target b.npy --delta 2 --reduction mean none --gradient
  lossd eval --loss mse --input '[1, 2]' --target '[0, 0]'
"""
TAKES_MORE = True  # options beyond those declared are part of the call
USAGE = 2
INVALID = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that are not part of the call."""
    parser.add_argument("--loss", metavar="NAME", help='the loss, unless the request has a "loss" of its own')
    parser.add_argument("--threads", type=int, default=1, help="threads to compute with (default: 1)")


def run(arguments: argparse.Namespace) -> int:
    """Print the answer; a call that is wrong is exit code 1, a file that is not there 2."""
    from lossd.engine import evaluate
    from lossd.wire import CODECS

    try:
        written_out = any(word.startswith("--") for word in arguments.more)
        loss, call = _written_out(arguments) if written_out else _from_json(arguments)
    except (OSError, Misuse) as error:
        print(f"lossd eval: {error}", file=sys.stderr)
        return USAGE
    answer = evaluate(loss, call, threads=arguments.threads)
    sys.stdout.buffer.writelines([*CODECS["application/json"].encode_answer(answer, call), b"\n"])
    return 0


class Misuse(Exception):
    """The command line makes no sense."""


def _from_json(arguments: argparse.Namespace) -> tuple[Loss, Call]:
    """Read a JSON request; its loss is an option or the member ``loss``."""
    import orjson

    from lossd.losses import find
    from lossd.wire import CODECS, Limits

    file = _file(arguments.more)
    body = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    name = arguments.loss
    if name is None:
        try:
            name = orjson.loads(body).get("loss")
        except (orjson.JSONDecodeError, AttributeError):
            name = None  # the codec says below what is wrong with it
    if name is None:
        raise Misuse('expected --loss NAME or a JSON object with the member "loss", got neither')
    loss = find(name)
    call = CODECS["application/json"].decode_call(body, loss.tensors, Limits(max_elements=sys.maxsize))
    options = {key: value for key, value in call.options.items() if key != "loss"}
    return loss, replace(call, options=options)


def _written_out(arguments: argparse.Namespace) -> tuple[Loss, Call]:
    """Build the call from options such as ``--input a.npy --delta 2``."""
    import numpy as np

    from lossd.losses import find
    from lossd.message import Call

    if arguments.loss is None:
        raise Misuse("expected --loss NAME, got none")
    loss = find(arguments.loss)
    members = {name: _value(texts) for name, texts in _options(arguments.more).items()}
    arrays = {
        name: np.asarray(value)
        for name, value in members.items()
        if isinstance(value, np.ndarray) or name in loss.tensors
    }
    return loss, Call(arrays, {name: value for name, value in members.items() if name not in arrays})


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
            name, _, value = word[2:].partition("=")
            options[name.replace("-", "_")] = [value] if value else []
        elif options:
            options[list(options)[-1]].append(word)
        else:
            raise Misuse(f"expected an option such as --input, got {word}")
    return options


def _value(texts: list[str]) -> Any:
    """Read the value of an option: none means true, several make a list."""
    if not texts:
        return True
    return _one(texts[0]) if len(texts) == 1 else [_one(text) for text in texts]


def _one(text: str) -> Any:
    if text.endswith(".npy"):
        return _load(text)
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _load(path: str) -> Any:
    import numpy as np

    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise Misuse(f"expected an array in .npy format, got {path}: {error}") from None
