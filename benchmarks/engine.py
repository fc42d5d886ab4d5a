"""The engine against PyTorch: value and gradient of every loss that both have, at every size.

Each side lives in a process of its own and they take turns; a row's figure is the median over the turns of
the median call. Ours is `lossd.engine.evaluate` from end to end, the request's validation and the gradient's
memory included; theirs is forward and backward with the gradients reset to None.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from statistics import median

from benchmarks.cases import (
    CROSS_ENTROPY_SHAPES,
    DTYPES,
    SIZES,
    SUBJECTS,
    THREADS,
    Case,
    Shape,
    cases_of_shapes,
    cases_of_sizes,
)
from benchmarks.ratios import Judge, Row, line, record, render, summary
from benchmarks.report import save
from benchmarks.sides import SPIN_SECONDS, Side, Unavailable

HELP = "the engine against PyTorch"
OPPONENTS = ("eager", "compile")
# How far the two losses may be apart, relatively: PyTorch adds float32 in float32.
AGREEMENT = {"float32": 1e-3, "float64": 1e-9}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", type=_names, default=tuple(SUBJECTS), metavar="mse,huber")
    parser.add_argument(
        "--sizes", type=_sizes, metavar="10,1e5", help="elements; alone, no shapes are measured"
    )
    parser.add_argument(
        "--shapes", type=_shapes, metavar="8x3,1024x10", help="of cross entropy; alone, no sizes are measured"
    )
    parser.add_argument("--dtype", type=_words, default=DTYPES, metavar="float32,float64")
    parser.add_argument("--threads", type=_sizes, default=THREADS, metavar="1,2")
    parser.add_argument("--against", type=_words, default=None, metavar="eager,compile")
    parser.add_argument("--rounds", type=int, default=None, help="turns that each side takes")
    parser.add_argument("--seconds", type=float, default=None, help="length of a turn")
    parser.add_argument("--quick", action="store_true", help="short turns, and only PyTorch eager")
    parser.add_argument(
        "--best", action="store_true", help="judge by the best turn: for a machine that is not quiet"
    )


def run(arguments: argparse.Namespace) -> None:
    quick = arguments.quick
    opponents = arguments.against or (OPPONENTS[:1] if quick else OPPONENTS)
    rounds = arguments.rounds or (3 if quick else 5)
    seconds = arguments.seconds or (0.05 if quick else 0.1)
    judge = min if arguments.best else median
    rows = []
    try:
        for row in measure_rows(select(arguments), opponents, rounds=rounds, seconds=seconds, judge=judge):
            print(line(row), flush=True)
            rows.append(row)
    finally:  # half an hour's rows are worth keeping, whatever ended the run
        save("engine", [record(row) for row in rows], render(rows, opponents))
    print("\n" + "".join(summary(rows, name) for name in opponents) + "Tables: benchmarks/out/engine.md")


def select(arguments: argparse.Namespace) -> list[Case]:
    """Return the cases that were asked for."""
    every = arguments.sizes is None and arguments.shapes is None
    sizes = SIZES if every else arguments.sizes or ()
    shapes = CROSS_ENTROPY_SHAPES if every else arguments.shapes or ()
    cases = [
        *cases_of_sizes(sizes, arguments.dtype, arguments.threads),
        *cases_of_shapes(shapes, arguments.dtype, arguments.threads),
    ]
    return [case for case in cases if case.loss in arguments.only]


def measure_rows(
    cases: Iterable[Case], opponents: Sequence[str], *, rounds: int, seconds: float, judge: Judge = median
) -> Iterable[Row]:
    """Measure case after case, in one process for each side."""
    with ExitStack() as stack:
        sides = [stack.enter_context(closing(Side(name))) for name in ("lossd", *opponents)]
        for case in cases:
            yield replace(measure_row(case, sides, rounds=rounds, seconds=seconds), judge=judge)


def measure_row(case: Case, sides: Sequence[Side], *, rounds: int, seconds: float) -> Row:
    """Measure one case, the sides in turns, and hold their losses equal."""
    ours, *theirs = sides
    value = ours.prepare(case)
    ready, failed = [ours], {}
    for side in theirs:
        try:
            _agree(case, value, side.prepare(case), side.name)
        except Unavailable as reason:
            failed[side.name] = str(reason)
        else:
            ready.append(side)
    turns: dict[str, list[float]] = {side.name: [] for side in ready}
    limits: list[float] = []
    for _ in range(rounds):
        for side in ready:
            turns[side.name].append(side.run(seconds))
            time.sleep(SPIN_SECONDS if case.threads > 1 else 0)
        limit = ours.limit(seconds / 2)
        limits += [] if limit is None else [limit]
    return Row(case, turns, limits, failed)


def _agree(case: Case, ours: float, theirs: float, side: str) -> None:
    if not math.isclose(ours, theirs, rel_tol=AGREEMENT[case.dtype]):
        raise AssertionError(f"{case}: expected the loss of {side}, {theirs!r}, got {ours!r}")


def _names(text: str) -> tuple[str, ...]:
    names = _words(text)
    unknown = [name for name in names if name not in SUBJECTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(SUBJECTS)}, got {', '.join(unknown)}")
    return names


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(float(word)) for word in text.split(","))


def _shapes(text: str) -> tuple[Shape, ...]:
    return tuple(tuple(map(int, word.split("x"))) for word in text.split(","))
