"""What an interrupted job remembers: the parts that are done, with all their bits."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

import orjson

from lossd.bulk.errors import UnusableFile, naming
from lossd.errors import LossdError
from lossd.message import Part
from lossd.wire.budget import Budget
from lossd.wire.codec import ANSWER_LIMITS
from lossd.wire.json.tensors import with_shapes
from lossd.wire.json.text import dumps
from lossd.wire.numbers import read_array
from lossd.wire.part_document import from_document, to_document

_JOURNAL = "a journal of lossd eval that can be read and written"
_WORDS = {
    "files": "list of files, or number of rows in one",
    "members": "array or column of a file",
    "part_rows": "type or shape of the arrays",
    "outputs": "list of outputs, or type or shape of one",
    "selected": "choice of rows, of which some are masked or ignored in one of both only",
}


class Identity(NamedTuple):
    """What a journal must agree with to go on.

    Attributes:
        job: What all parts depend on.
        inputs: What a part depends on besides: the files that its rows come from, with their sizes and times.
    """

    job: Mapping[str, Any]
    inputs: Callable[[int], Mapping[str, Any]]


class OutputRecord(NamedTuple):
    """What is known of an output.

    Attributes:
        inode: The number of its file.
        state: Its size and the time of its last change once it is whole; empty before.
    """

    inode: int
    state: str = ""


class Journal:
    """An SQLite file of finished parts: a part is in it whole or not at all; `with` closes it.

    Raises:
        UnusableFile: The file is of another job, or no journal.
    """

    def __init__(self, path: str, identity: Identity) -> None:
        self.path = path
        self.inputs = identity.inputs
        with naming(path, _JOURNAL, sqlite3.Error):
            self.base = sqlite3.connect(path or ":memory:", isolation_level=None)
        try:
            self._begin(_text(identity.job))
        except BaseException:
            self.base.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.base.close()

    def token(self) -> str:
        """Return what the unfinished outputs of this run have in their names: drawn once, kept from then on."""
        self._execute("insert into run select ? where not exists (select * from run)", secrets.token_hex(4))
        return str(self._execute("select token from run")[0][0])

    def remember(self, output: str, record: OutputRecord) -> None:
        """Remember where an output is."""
        self._execute("insert or replace into output values (?, ?, ?)", output, *record)

    def outputs(self) -> dict[str, OutputRecord]:
        """Return the outputs that were made, by name."""
        rows = self._execute("select name, inode, state from output")
        return {name: OutputRecord(inode, state) for name, inode, state in rows}

    def add(self, number: int, part: Part) -> None:
        """Remember a part whose rows are written."""
        document = b"".join(dumps(with_shapes(to_document(part))))
        self._execute(
            "insert or replace into part values (?, ?, ?)", number, _text(self.inputs(number)), document
        )

    def done(self) -> list[int]:
        """Return the numbers of the parts that are done, and whose files are as they were then."""
        rows = self._execute("select number, inputs from part order by number")
        return [number for number, inputs in rows if inputs == _text(self.inputs(number))]

    def parts(self) -> dict[int, Part]:
        """Return the parts of `done`, by number."""
        done = set(self.done())
        rows = self._execute("select number, document from part order by number")
        with naming(self.path, _JOURNAL, LossdError):
            return {
                number: from_document(orjson.loads(document), f"part {number}", _read)
                for number, document in rows
                if number in done
            }

    def _begin(self, job: str) -> None:
        """Make the tables where there are none, and compare the job."""
        self._execute("pragma journal_mode=wal")
        self._execute("create table if not exists job (text)")
        self._execute("create table if not exists part (number integer primary key, inputs, document)")
        self._execute("create table if not exists output (name primary key, inode, state)")
        self._execute("create table if not exists run (token)")
        known = self._execute("select text from job")
        if not known:
            self._execute("insert into job values (?)", job)
        elif known[0][0] != job:
            with naming(self.path, _JOURNAL):
                difference = _difference(orjson.loads(known[0][0]), orjson.loads(job))
            expected = "the journal of this job; remove it to begin anew"
            raise UnusableFile(self.path, expected, f"one of {difference}")

    def _execute(self, command: str, *values: object) -> list[Any]:
        with naming(self.path, _JOURNAL, sqlite3.Error):
            return self.base.execute(command, values).fetchall()


def _text(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _difference(known: Mapping[str, Any], job: Mapping[str, Any]) -> str:
    """Return in what a journal's job is another: files that all rows share, or what the command line says."""
    shared = known.get("shared", {})
    changed = [
        name
        for name, files in job["shared"].items()
        if shared.get(name, files) != files and _paths(shared[name]) == _paths(files)
    ]
    if changed:
        return f"files that have changed since: --{', --'.join(changed)}"
    names = [name for name in job if known.get(name) != job[name]]
    if names == ["options"] and not {
        name
        for name in {*known["options"], *job["options"]} - {"denominator"}
        if known["options"].get(name) != job["options"].get(name)
    }:
        return "another denominator, which every gradient is divided by"
    return f"another {', '.join(_WORDS.get(name, name) for name in names)}"


def _paths(files: list[list[Any]]) -> list[str]:
    return [path for path, *_ in files]


def _read(value: Any, at: str) -> Any:
    return read_array(value, at, Budget(ANSWER_LIMITS))
