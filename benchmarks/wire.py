"""JSON to arrays and back, in nanoseconds a number, against other ways to read and write it.

Reading is a request with a matrix of float64 in full digits, writing an answer with such a gradient. Ours
does more than the others: it proves the shape, refuses what is not a number and says where. The row without
the accelerator is measured in a process that cannot import it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
import orjson

from benchmarks.cases import Array
from benchmarks.report import save, table
from benchmarks.works import measure

HELP = "JSON to arrays and back"
ROWS = 1000
QUICK_ROWS = 100
COLUMNS = 1000
ROUNDS = 5
SECONDS = 0.2
QUICK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Way:
    """One way to read or to write so many numbers."""

    direction: str
    name: str
    work: Callable[[], object]
    numbers: int


@dataclass(frozen=True, slots=True)
class Figure:
    """What a way takes."""

    direction: str
    name: str
    nanoseconds: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="a tenth of the numbers, short turns")


def run(arguments: argparse.Namespace) -> None:
    rows, seconds = (QUICK_ROWS, QUICK_SECONDS) if arguments.quick else (ROWS, SECONDS)
    array = matrix(rows)
    figures = timed([*our_ways(array), *other_ways(array)], seconds) + without_accelerator(rows, seconds)
    figures.sort(key=lambda figure: (figure.direction, figure.nanoseconds))
    text = render(figures)
    print(text)
    save("wire", [asdict(figure) for figure in figures], text)


def matrix(rows: int) -> Array:
    return np.random.default_rng(0).standard_normal((rows, COLUMNS))


def our_ways(array: Array, name: str = "lossd") -> list[Way]:
    """Return our ways, each shown to keep every bit."""
    from lossd.message import Answer, Call
    from lossd.wire import CODECS

    codec = CODECS["application/json"]
    names = frozenset(["input"])
    answer = Answer({"mean": np.array(0.5)}, array.size, 1.0, {"mean": {"input": array}})
    ways = []
    for encoding, suffix in (("list", ""), ("base64", ", base64 tensors")):
        call = Call({"input": array}, {"encoding": encoding})
        text = b"".join(codec.encode_call(call))
        _same(codec.decode_call(text, names).arrays["input"], array)
        _same(
            codec.decode_answer(b"".join(codec.encode_answer(answer, call))).gradient["mean"]["input"], array
        )
        read, write = _bound(codec.decode_call, text, names), _bound(codec.encode_answer, answer, call)
        ways += [Way("read", name + suffix, read, array.size), Way("write", name + suffix, write, array.size)]
    return ways


def other_ways(array: Array) -> list[Way]:
    """Return what others would do, from bytes to an array and from an array to bytes."""
    from fastapi.encoders import jsonable_encoder
    from pydantic import BaseModel

    class Matrix(BaseModel):
        input: list[list[float]]

    text, size = orjson.dumps({"input": array.tolist()}), array.size
    part = array[: max(1, len(array) // 10)]  # it is ten times slower than the slowest other
    return [
        Way("read", "orjson, np.asarray", lambda: np.asarray(orjson.loads(text)["input"]), size),
        Way("read", "stdlib json, np.asarray", lambda: np.asarray(json.loads(text)["input"]), size),
        Way(
            "read",
            "pydantic lists, np.asarray",
            lambda: np.asarray(Matrix.model_validate_json(text).input),
            size,
        ),
        Way("write", "tolist, orjson", lambda: orjson.dumps({"input": array.tolist()}), size),
        Way("write", "tolist, stdlib json", lambda: json.dumps({"input": array.tolist()}), size),
        Way("write", "tolist, pydantic lists", lambda: Matrix(input=array.tolist()).model_dump_json(), size),
        Way(
            "write",
            "tolist, FastAPI's jsonable_encoder, stdlib json",
            lambda: json.dumps(jsonable_encoder({"input": part.tolist()})),
            part.size,
        ),
    ]


def timed(ways: Sequence[Way], seconds: float) -> list[Figure]:
    """Measure every way, in turns."""
    turns: list[list[float]] = [[] for _ in ways]
    for _ in range(ROUNDS):
        for way, times in zip(ways, turns, strict=True):
            times.append(measure(way.work, seconds))
    return [
        Figure(way.direction, way.name, median(times) / way.numbers * 1e9)
        for way, times in zip(ways, turns, strict=True)
    ]


def without_accelerator(rows: int, seconds: float) -> list[Figure]:
    """Measure our reading of lists in a process that has no pysimdjson."""
    command = [sys.executable, "-m", "benchmarks.wire", str(rows), str(seconds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return [Figure(**fields) for fields in json.loads(done.stdout)]


def render(figures: Iterable[Figure]) -> str:
    """Lay out one table for each direction, the fastest first."""
    tables: dict[str, list[list[str]]] = {}
    for figure in figures:
        tables.setdefault(figure.direction, []).append([figure.name, f"{figure.nanoseconds:.3g}"])
    return "\n".join(table([f"to {title}", "ns a number"], rows) for title, rows in tables.items())


def _bound(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    return lambda: function(*arguments)


def _same(found: Array, expected: Array) -> None:
    if not np.array_equal(found, expected):
        raise AssertionError("expected the numbers that were written, got others")


if __name__ == "__main__":
    sys.modules["simdjson"] = None  # type: ignore[assignment]  # as if it were not installed
    lists = our_ways(matrix(int(sys.argv[1])), "lossd without pysimdjson")[:1]
    print(json.dumps([asdict(figure) for figure in timed(lists, float(sys.argv[2]))]))
