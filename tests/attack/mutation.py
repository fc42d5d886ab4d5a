"""Mutations of valid bytes (flipped bits, cuts, splices, wrong lengths) and odd values in calls."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# Lengths and counts at the edges of the fields that hold them, and bytes that formats give a meaning to.
EDGES = (
    0,
    1,
    2,
    127,
    128,
    255,
    256,
    2**15,
    2**16 - 1,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**63,
    2**64 - 1,
)
DIGITS = (b"-1", b"0", b"1e999", b"NaN", b"9" * 20, b"9" * 400, b"0x10", b"1.5", b"+1", b"2147483648")
MEANINGFUL = b"\0\r\n\t \"'\\{}[]():;,=%&\x7f\x80\xc0\xc1\xdc\xdd\xde\xdf\xfe\xff"
MOST_STEPS = 4
LARGEST = 1 << 16  # bytes of a mutated body; repeats must not make it grow without end

Mutation = Callable[[random.Random, bytearray, Sequence[bytes]], None]


def flip_bit(rng: random.Random, body: bytearray, others: Sequence[bytes]) -> None:
    """Change one bit."""
    if body:
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)


def set_byte(rng: random.Random, body: bytearray, others: Sequence[bytes]) -> None:
    """Change one byte to one that means something."""
    if body:
        body[rng.randrange(len(body))] = rng.choice(MEANINGFUL)


def insert(rng: random.Random, body: bytearray, others: Sequence[bytes]) -> None:
    """Add a few bytes."""
    place = rng.randrange(len(body) + 1)
    body[place:place] = rng.choice((rng.randbytes(rng.randrange(1, 5)), bytes([rng.choice(MEANINGFUL)])))


def truncate(rng: random.Random, body: bytearray, others: Sequence[bytes]) -> None:
    """Cut off the end."""
    del body[rng.randrange(len(body) + 1) :]


def remove(rng: random.Random, body: bytearray, others: Sequence[bytes]) -> None:
    """Cut a piece out."""
    start = rng.randrange(len(body) + 1)
    del body[start : start + rng.randrange(1, 17)]


def repeat(rng: random.Random, body: bytearray, others: Sequence[bytes]) -> None:
    """Write a piece several times."""
    start = rng.randrange(len(body) + 1)
    piece = bytes(body[start : start + rng.randrange(1, 33)])
    body[start:start] = piece * rng.choice((1, 2, 200))


def splice(rng: random.Random, body: bytearray, others: Sequence[bytes]) -> None:
    """Go on with the end of another body."""
    other = rng.choice(others)
    body[rng.randrange(len(body) + 1) :] = other[rng.randrange(len(other) + 1) :]


def set_length(rng: random.Random, body: bytearray, others: Sequence[bytes]) -> None:
    """Write a number at an edge over a field of 1 to 8 bytes, in either byte order."""
    size = rng.choice((1, 2, 4, 8))
    number = rng.choice([edge for edge in EDGES if edge < 1 << 8 * size])
    start = rng.randrange(len(body) + 1)
    body[start : start + size] = number.to_bytes(size, rng.choice(("little", "big")))


def set_digits(rng: random.Random, body: bytearray, others: Sequence[bytes]) -> None:
    """Put a number that is none, or too large, in the place of one written in digits."""
    places = [place for place, byte in enumerate(body) if chr(byte).isdigit()]
    if places:
        place = rng.choice(places)
        body[place : place + 1] = rng.choice(DIGITS)


MUTATIONS: Mapping[str, Mutation] = {
    mutation.__name__: mutation
    for mutation in (
        flip_bit, set_byte, insert, truncate, remove, repeat, splice, set_length, set_digits,
    )
}  # fmt: skip


def mutate(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Change one of some valid bodies in a few ways."""
    body = bytearray(rng.choice(seeds))
    for _ in range(rng.randrange(1, MOST_STEPS + 1)):
        rng.choice(list(MUTATIONS.values()))(rng, body, seeds)
    return bytes(body[:LARGEST])


ODD_VALUES: Sequence[Any] = (
    *(
        None,
        True,
        0,
        -1,
        2**31,
        2**63,
        2**64,
        10**400,
        0.5,
        1e308,
        -1e308,
        5e-324,
        "NaN",
        "-Infinity",
        "",
        "x",
    ),
    *(
        "mean",
        "none",
        [],
        [[]],
        [[1], [1, 2]],
        [[[[1]]]],
        [None],
        [True, 1],
        ["NaN", 1e308],
        [0] * 1000,
        [-1],
    ),
    *({}, {"real": 1, "imag": [1]}, {"dtype": "float16", "shape": [2], "data": "AHwAfg=="}),
    *({"dtype": "int8", "shape": [2**40, 0], "data": ""}, {"dtype": "bool", "shape": [1], "data": "Ag=="}),
)


def mutate_document(rng: random.Random, document: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Change a few members of a call, or elements within them, to values that are odd there; or leave members out."""
    changed = dict(document)
    for _ in range(rng.randrange(1, MOST_STEPS)):
        name = rng.choice([*changed, *names])
        action = rng.randrange(5)
        if action == 0:
            changed.pop(name, None)
        elif action == 1 and isinstance(changed.get(name), list) and changed[name]:
            changed[name] = changed[name].copy()
            changed[name][rng.randrange(len(changed[name]))] = rng.choice(ODD_VALUES)
        elif action == 2 and changed:
            changed[name] = changed[rng.choice(list(changed))]
        else:
            changed[name] = rng.choice(ODD_VALUES)
    return changed
