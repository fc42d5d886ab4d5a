"""The protocol of a batch codec, and what both formats of batches have in common.

A batch is an object with the list ``calls``, each of which is an object that has the name of its ``loss`` beside what a
call of that loss alone has. Its answer has the list ``results`` in the same order: ``{"status": 200, "answer": ...}``,
or ``{"status": 422, "problem": ...}`` with the problem document.

What is wrong with one call is that call's own result. A body that cannot be read is refused whole, and so is one with
an entry that is no object or names no loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

from lossd.errors import (
    BodyTooLarge,
    ErrorDetail,
    InvalidCall,
    LossdError,
    MalformedBody,
    NotAcceptable,
    UnknownLoss,
    invalid,
)
from lossd.message import Answer, Call, Checkpoint
from lossd.wire.codec import Body, DecodeLimits, Parts
from lossd.wording import type_name

MOST_CALLS = 4096
"""Calls in one batch."""

CALLS, LOSS = "calls", "loss"
"""The member of a batch that lists its calls, and that of a call which names its loss."""

RESULTS = "results"
"""The member of the answer that lists what the calls came to."""

OF_ONE_CALL = (MalformedBody, UnknownLoss, InvalidCall, NotAcceptable)
"""Errors of one call alone; any other ends the batch."""

_ANSWERED = 200

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ArrayNames:
    """Which names of a call hold arrays.

    Attributes:
        of: Returns those of a loss by its name or an alias; it raises `UnknownLoss`.
        any: Those of all losses together.
    """

    of: Callable[[str], frozenset[str]]
    any: frozenset[str]


class Entry(NamedTuple):
    """One call of a batch.

    Attributes:
        loss: The name that it gives its loss; empty where it names none that exists.
        call: The call, or why it could not be read.
    """

    loss: str
    call: Call | LossdError


class Answered(NamedTuple):
    """The answer to one call of a batch, and that call, whose options may choose the encoding."""

    answer: Answer
    call: Call

    @property
    def status(self) -> int:
        """The status that the call would have alone."""
        return _ANSWERED


class Refused(NamedTuple):
    """The problem document of one call of a batch."""

    problem: Mapping[str, Any]

    @property
    def status(self) -> int:
        """The status that the call would have alone."""
        status: int = self.problem["status"]
        return status


Outcome = Answered | Refused


def results(
    outcomes: Iterable[Outcome], document: Callable[[Answer, Call], Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the answer to a batch as one object; ``document`` returns the answer to one call as such."""
    return {RESULTS: [_result(outcome, document) for outcome in outcomes]}


def _result(outcome: Outcome, document: Callable[[Answer, Call], Mapping[str, Any]]) -> dict[str, Any]:
    if isinstance(outcome, Answered):
        return {"status": _ANSWERED, "answer": document(outcome.answer, outcome.call)}
    return {"status": outcome.status, "problem": outcome.problem}


class BatchCodec(Protocol):
    """One wire format of batches. A module with these names is a batch codec.

    Attributes:
        media_type: Its name in ``Content-Type`` and ``Accept``.
        is_text: Whether its bodies are text, which compression makes much smaller.
        is_compressed: Whether a small body may hold large arrays.
    """

    media_type: str
    is_text: bool
    is_compressed: bool

    def decode_batch(
        self, body: Body, names: ArrayNames, limits: DecodeLimits = ..., checkpoint: Checkpoint = ...
    ) -> list[Entry]:
        """Read the calls of a batch; one that cannot be read has its error in its place.

        Args:
            body: The bytes.
            names: Which names of a call hold arrays.
            limits: How much the calls may hold together.
            checkpoint: Called before each call; what it raises ends the reading.

        Raises:
            MalformedBody: The bytes are not what the format says.
            InvalidCall: They are, but no batch.
            BodyTooLarge: There are more than `MOST_CALLS`, or the arrays of all together exceed ``limits``.
        """

    def encode_outcomes(self, outcomes: Iterable[Outcome], checkpoint: Checkpoint = ...) -> Parts:
        """Write what each call came to.

        Args:
            outcomes: What the calls came to, in their order.
            checkpoint: Called between pieces of what takes long to write; what it raises ends the writing.

        Raises:
            NotAcceptable: An answer does not fit into the format.
        """


def checked_calls(members: Mapping[str, T]) -> T:
    """Return what a batch has as its calls, which must be its only member.

    Raises:
        InvalidCall: There is none, or another member.
    """
    if CALLS not in members:
        raise invalid(CALLS, "a list of calls", "nothing")
    for name in members:
        if name != CALLS:
            raise invalid(
                name[:80], f"nothing beside `{CALLS}`: every call has options of its own", "a value"
            )
    return members[CALLS]


def check_count(count: int) -> None:
    """Refuse a batch of so many calls, before they are read.

    Raises:
        BodyTooLarge: It is too many.
    """
    if count > MOST_CALLS:
        raise BodyTooLarge(errors=[ErrorDetail(CALLS, f"at most {MOST_CALLS} calls in a batch", str(count))])


def checked_name(value: Any) -> str:
    """Return the name of a call's loss.

    Raises:
        InvalidCall: It is no text.
    """
    if type(value) is not str:
        raise invalid(LOSS, "the name of a loss", type_name(value) if value is not None else "nothing")
    return value


def place_of(index: int) -> str:
    """Return the place of a call in its batch."""
    return f"{CALLS}[{index}]"


def read_entries(
    entries: Sequence[T],
    split: Callable[[T], tuple[Any, Mapping[str, Any]]],
    read: Callable[[Mapping[str, Any], frozenset[str]], Call],
    names: ArrayNames,
    checkpoint: Checkpoint,
) -> list[Entry]:
    """Read the entries of a batch, each as its loss says.

    Args:
        entries: The entries in their format.
        split: Returns what an entry gives as the name of its loss, and its other members.
        read: Reads these as a call, of which some names hold arrays.
        names: Which ones.
        checkpoint: Called before each entry; what it raises ends the reading.

    Raises:
        MalformedBody: An entry repeats a key.
        InvalidCall: An entry is no object, or names no loss.
        BodyTooLarge: The arrays of all together exceed the limits.
    """
    read_all: list[Entry] = []
    for index, entry in enumerate(entries):
        checkpoint()
        read_all.append(_read_entry(index, *_named(index, entry, split), read, names))
    return read_all


def _named(
    index: int, entry: T, split: Callable[[T], tuple[Any, Mapping[str, Any]]]
) -> tuple[str, Mapping[str, Any]]:
    try:
        name, members = split(entry)
        return checked_name(name), members
    except LossdError as error:
        raise error.within(place_of(index)) from None


def _read_entry(
    index: int,
    name: str,
    members: Mapping[str, Any],
    read: Callable[[Mapping[str, Any], frozenset[str]], Call],
    names: ArrayNames,
) -> Entry:
    loss = ""
    try:
        arrays = names.of(name)
        loss = name
        return Entry(loss, read(members, arrays))
    except BodyTooLarge as error:
        raise error.within(place_of(index)) from None
    except OF_ONE_CALL as error:
        return Entry(loss, error.within(place_of(index)))
