"""Reads the call that a command line writes out, or that is in a JSON file which it names."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import suppress
from dataclasses import replace
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossd.declaration.loss import Loss
    from lossd.message import Array, Call


class Misuse(Exception):
    """The command line makes no sense."""


def read_call(arguments: argparse.Namespace) -> tuple[Loss, Call]:
    """Read the call that the command line writes out, or names a file of."""
    return _written_out(arguments) if is_written_out(arguments) else _from_json(arguments)


def is_written_out(arguments: argparse.Namespace) -> bool:
    """Return whether the command line has the call in options, not a file of it."""
    return any(word.startswith("--") for word in arguments.more)


def _from_json(arguments: argparse.Namespace) -> tuple[Loss, Call]:
    """Read a JSON request; its loss is an option or the member ``loss``."""
    from lossd.commands.files import find_file
    from lossd.errors import MalformedBody
    from lossd.losses import find
    from lossd.wire import CODECS, DecodeLimits
    from lossd.wire.json.document import read_object
    from lossd.wording import type_name

    file = _file(arguments.more)
    if (array := find_file(file, "")) and array.path.suffix != ".json":
        raise Misuse(f"expected a request in JSON, got {file}; an array is an option, as in --input {file}")
    body = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    limits = DecodeLimits(max_elements=sys.maxsize, max_listed_bytes=sys.maxsize)
    try:
        name = arguments.loss or read_object(body, frozenset(), limits).get("loss")
        if not isinstance(name, str):
            got = "neither" if name is None else f"{type_name(name)} as the member"
            raise Misuse(f'expected --loss NAME or a JSON object with the member "loss", got {got}')
        loss = find(name)
        call = CODECS["application/json"].decode_call(body, loss.array_names, limits)
    except MalformedBody as error:
        raise MalformedBody(f"{'standard input' if file == '-' else file}: {error}") from None
    options = {key: value for key, value in call.options.items() if key != "loss"}
    return loss, replace(call, options=options)


def _written_out(arguments: argparse.Namespace) -> tuple[Loss, Call]:
    """Build the call from options such as ``--input a.npy --delta 2``."""
    from lossd.message import Call

    loss = read_loss(arguments)
    arrays: dict[str, Array] = {}
    options: dict[str, Any] = {}
    for name, words in words_by_option(arguments.more).items():
        if name in loss.array_names:
            arrays[name] = _array(name, words)
        else:
            options[name] = read_option(name, words)
    return loss, Call(arrays, options)


def read_loss(arguments: argparse.Namespace) -> Loss:
    """Return the loss that the option ``--loss`` names.

    Raises:
        Misuse: There is no such option.
    """
    from lossd.losses import find

    if arguments.loss is None:
        first = arguments.more[0]
        raise Misuse(
            "expected --loss NAME, got none"
            + ("" if first.startswith("--") else f"; did you mean --loss {first}?")
        )
    return find(arguments.loss)


def _file(words: list[str]) -> str:
    """Return the one file that the command line names; ``-`` where it names none."""
    if len(words) > 1:
        raise Misuse(f"expected one FILE, got {' '.join(words)}")
    return words[0] if words else "-"


def words_by_option(words: list[str]) -> dict[str, list[str]]:
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


def read_option(name: str, words: list[str]) -> Any:
    """Read a setting or a general option: no word means true, several make a list, as commas do."""
    from lossd.wire.query import TextValues

    if not words:
        return True
    texts = TextValues(name)
    values = [texts.read(word) for word in words]
    if len(values) == 1:
        return values[0]
    return [item for value in values for item in (value if isinstance(value, list) else [value])]


def _array(name: str, words: list[str]) -> Array:
    """Read an array from a file, or as JSON; several words are the numbers of a list."""
    from lossd.commands.files import READERS, find_file, read_file
    from lossd.wire.budget import Budget
    from lossd.wire.codec import ANSWER_LIMITS
    from lossd.wire.numbers import read_array
    from lossd.wording import quoted

    if not words:
        raise Misuse(f"expected a value after --{name}, got none")
    files = [file for word in words if (file := find_file(word, name))]
    if files and len(words) > 1:
        raise Misuse(f"expected one file, got {' '.join(words)} - at `{name}`")
    if files and has_magic(words[0]) and not files[0].path.exists():
        raise Misuse(
            f"expected one file, got the pattern {words[0]}; --in-parts reads patterns - at `{name}`"
        )
    if files:
        return read_file(files[0])
    values = [_numbers(word) for word in words]
    for word, value in zip(words, values, strict=True):
        if isinstance(value, str) and value == word:
            expected = f"a file ({', '.join(READERS)}), numbers as in 1,2,3 or JSON as in '[[1, 2], [3, 4]]'"
            raise Misuse(f"expected {expected}, got {quoted(word)} - at `{name}`")
    return read_array(values[0] if len(values) == 1 else values, name, Budget(ANSWER_LIMITS))


def _numbers(word: str) -> Any:
    """Read JSON or numbers with commas between them, or take what is neither as text."""
    for text in (word, f"[{word}]"):
        with suppress(json.JSONDecodeError):
            return json.loads(text)
    return word
