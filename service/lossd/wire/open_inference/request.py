"""Reads a request to infer: one JSON object, and behind it the raw bytes of its binary inputs.

Only a header of the request says where the JSON ends. What the protocol calls inputs are the arrays of a `Call`, and
its parameters are the options.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lossd.errors import malformed
from lossd.message import Array, Call
from lossd.wire.budget import Budget
from lossd.wire.codec import DEFAULT_LIMITS, MOST_NAMES, Body, DecodeLimits
from lossd.wire.json.document import read_entries
from lossd.wire.open_inference.named_tensor import RawBytes, found, read_tensor
from lossd.wire.option import STRINGS, checked_option
from lossd.wire.query import TextValues

Entry = Mapping[str, Any]

LENGTH_HEADER = "Inference-Header-Content-Length"

# The list of a request whose entries hold numbers, and the name that holds them.
_MEMBERS, _TENSORS = frozenset(("inputs",)), frozenset(("data",))
# Parameters for the server rather than the model, as the protocol's clients reserve them.
_RESERVED = frozenset(
    ("sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "headers", "binary_data_output")
)
_RESERVED_PREFIX = "triton_"
_MICROSECONDS = 1e-6


@dataclass(frozen=True, slots=True)
class Output:
    """One output that a caller asks for, and whether it comes as raw bytes."""

    name: str
    binary: bool


@dataclass(frozen=True, slots=True)
class Inference:
    """One request to infer.

    Attributes:
        call: Its inputs as arrays, which are views on the body where they can be, and its parameters as options.
        id: The caller's name for the request.
        outputs: What it asks for; nothing means the model's own choice.
        binary: Whether outputs that it does not ask for by name come as raw bytes.
        timeout: Seconds after which it wants no answer.
    """

    call: Call
    id: str | None = None
    outputs: tuple[Output, ...] = ()
    binary: bool = False
    timeout: float | None = None


def read_header_length(value: bytes | None) -> int | None:
    """Read the header that says how long the JSON is; without it the JSON is the whole body.

    Raises:
        MalformedBody: It is not a positive whole number.
    """
    if value is None:
        return None
    if not value.isdigit() or len(value) > 18:
        raise malformed(LENGTH_HEADER, "a number of bytes", value[:40].decode("latin-1"))
    if not int(value):
        raise malformed(LENGTH_HEADER, "a JSON object before the raw bytes", "0, which stands for no JSON")
    return int(value)


def decode_inference(
    body: Body, header_length: int | None = None, limits: DecodeLimits = DEFAULT_LIMITS
) -> Inference:
    """Read a request to infer.

    Raises:
        MalformedBody: The bytes are not what the protocol says.
        InvalidCall: An input's data is not what its shape and datatype say.
        BodyTooLarge: The arrays together exceed ``limits.max_elements``.
    """
    text, rest = _split(body, header_length)
    document = read_entries(text, _MEMBERS, _TENSORS, limits)
    raw = RawBytes(rest)
    arrays = _inputs(document.get("inputs"), raw, Budget(limits))
    raw.finish()
    parameters = _object(document, "parameters", "parameters")
    binary = _boolean(parameters, "binary_data_output", "parameters", default=False)
    return Inference(
        Call(arrays, _options(parameters, arrays)),
        _id(document.get("id")),
        _outputs(document.get("outputs"), binary),
        binary,
        _timeout(parameters.get("timeout")),
    )


def _split(body: Body, header_length: int | None) -> tuple[bytes | bytearray, memoryview]:
    """Split the JSON from the raw bytes behind it, which are not copied."""
    whole = memoryview(body)
    if header_length is None:
        return body if isinstance(body, bytes | bytearray) else bytes(body), whole[len(whole) :]
    if header_length > len(whole):
        raise malformed(LENGTH_HEADER, f"at most the {len(whole)} bytes of the body", header_length)
    return bytes(whole[:header_length]), whole[header_length:]


def _inputs(value: Any, raw: RawBytes, budget: Budget) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    for at, entry in _entries(value, "inputs"):
        name = _name(entry, at, arrays)
        arrays[name] = read_tensor(entry, at, raw, budget)
    return arrays


def _outputs(value: Any, binary: bool) -> tuple[Output, ...]:
    outputs: dict[str, Output] = {}
    for at, entry in _entries([] if value is None else value, "outputs"):
        name = _name(entry, at, outputs)
        parameters = _object(entry, "parameters", f"{at}.parameters")
        for unsupported in _UNSUPPORTED.intersection(parameters):
            raise malformed(f"{at}.parameters", "an output in the body of the answer", unsupported)
        outputs[name] = Output(name, _boolean(parameters, "binary_data", f"{at}.parameters", default=binary))
    return tuple(outputs.values())


_UNSUPPORTED = frozenset(("classification", "shared_memory_region"))


def _entries(value: Any, at: str) -> list[tuple[str, Entry]]:
    """Return the objects of a list, each with its place."""
    if type(value) is not list:
        raise malformed(at, "a list of objects", found(value))
    if len(value) > MOST_NAMES:
        raise malformed(at, f"at most {MOST_NAMES} objects", len(value))
    for index, entry in enumerate(value):
        if type(entry) is not dict:
            raise malformed(f"{at}[{index}]", "an object", found(entry))
    return [(f"{at}[{index}]", entry) for index, entry in enumerate(value)]


def _name(entry: Entry, at: str, taken: Mapping[str, Any]) -> str:
    name = entry.get("name")
    if type(name) is not str:
        raise malformed(f"{at}.name", "a string", found(name))
    if name in taken:
        raise malformed(f"{at}.name", "each name once", f'"{name[:40]}" again')
    return name


def _options(parameters: Entry, arrays: Mapping[str, Array]) -> dict[str, Any]:
    texts = TextValues("parameters")
    options = {
        name: texts.read(checked_option(value, f"parameters.{name}", 1)) if type(value) in STRINGS else value
        for name, value in parameters.items()
        if name not in _RESERVED and not name.startswith(_RESERVED_PREFIX)
    }
    for name, value in options.items():
        at = f"parameters.{name[:40]}"
        if name in arrays:
            raise malformed(at, "a name that no input has", "one that an input has")
        # The protocol has no lists; they are read because some options, such as axis, may be one. Clients that
        # cannot write them write text as in a query string.
        if any(type(item) in (dict, list) for item in (value if type(value) is list else [value])):
            raise malformed(at, "a string, a number, a boolean or a list of them", found(value))
    return options


def _timeout(value: Any) -> float | None:
    """Read a number of microseconds as seconds; 0 means no timeout, as the protocol's servers have it."""
    if value is None or (type(value) is int and value == 0):
        return None
    if type(value) not in (int, float) or not value > 0:
        raise malformed("parameters.timeout", "a positive number of microseconds", found(value))
    return float(value) * _MICROSECONDS


def _id(value: Any) -> str | None:
    if value is not None and type(value) is not str:
        raise malformed("id", "a string", found(value))
    return value


def _object(entry: Entry, name: str, at: str) -> Entry:
    value = entry.get(name)
    if value is None:
        return {}
    if type(value) is not dict:
        raise malformed(at, "an object", found(value))
    return value


def _boolean(parameters: Entry, name: str, at: str, *, default: bool) -> bool:
    value = parameters.get(name, default)
    if type(value) is not bool:
        raise malformed(f"{at}.{name}", "true or false", found(value))
    return value
