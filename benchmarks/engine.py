"""This file is the engine against PyTorch: value and gradient of every loss that both have, at every size.

Each side lives in a process of its own and they take turns; a row's figure is the median over the turns of
the median call. Ours is `lossd.engine.evaluate` from end to end, the request's validation and the gradient's
memory included; theirs is forward and backward with the gradients reset to None.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from statistics import median
from typing import Any

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
from benchmarks.report import save, table
from benchmarks.sides import SPIN_SECONDS, Side, Unavailable

HELP = "the engine against PyTorch"
Judge = Callable[[Sequence[float]], float]
OPPONENTS = ("eager", "compile")
# How far the two losses may be apart, relatively: PyTorch adds float32 in float32.
AGREEMENT = {"float32": 1e-3, "float64": 1e-9}


@dataclass(frozen=True, slots=True)
class Row:
    """What one case came to.

    Attributes:
        case: What was measured.
        turns: By side, the median seconds of a call in each turn.
        limits: The same of the limit; empty where there is none.
        failed: By side that could not compute it here, why.
        judge: What makes one figure of a side's turns.
    """

    case: Case
    turns: Mapping[str, Sequence[float]]
    limits: Sequence[float]
    failed: Mapping[str, str]
    judge: Judge = median

    @property
    def seconds(self) -> dict[str, float]:
        """Return the seconds of one call by side."""
        return {name: self.judge(turns) for name, turns in self.turns.items()}

    def ratio(self, opponent: str) -> float | None:
        """Return how many times as fast as the opponent we are."""
        theirs = self.seconds.get(opponent)
        return theirs / self.seconds["lossd"] if theirs else None

    def share(self) -> float | None:
        """Return how much of our time the limit takes."""
        return self.judge(self.limits) / self.seconds["lossd"] if self.limits else None


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
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")


def run(arguments: argparse.Namespace) -> None:
    quick = arguments.quick
    opponents = arguments.against or (OPPONENTS[:1] if quick else OPPONENTS)
    rounds = arguments.rounds or (3 if quick else 5)
    seconds = arguments.seconds or (0.05 if quick else 0.1)
    rows = []
    judge = min if arguments.best else median
    for row in measure_rows(select(arguments), opponents, rounds=rounds, seconds=seconds, judge=judge):
        print(line(row), flush=True)
        rows.append(row)
    save("engine", [record(row) for row in rows], render(rows, opponents), write=arguments.write)
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


def line(row: Row) -> str:
    """Say a row in one line of the terminal."""
    case, share = row.case, row.share()
    against = [f"{name} {row.ratio(name):6.2f}x" for name in row.seconds if name != "lossd"]
    against += [f"{name} unavailable ({reason})" for name, reason in row.failed.items()]
    shape = "x".join(map(str, case.shape))
    return (
        f"{case.loss:16} {shape:>12} {case.dtype} {case.threads}T  {row.seconds['lossd'] * 1e6:11.1f} us  "
        + "  ".join(against)
        + (f"  {share:5.0%} of the limit" if share else "")
    )


def record(row: Row) -> dict[str, Any]:
    """Return a row for the JSON."""
    ratios = {name: row.ratio(name) for name in row.seconds if name != "lossd"}
    return {
        **asdict(row.case),
        "seconds": row.seconds,
        "turns": row.turns,
        "limit_turns": row.limits,
        "ratio": ratios,
        "share_of_limit": row.share(),
        "unavailable": row.failed,
    }


def render(rows: Sequence[Row], opponents: Sequence[str]) -> str:
    """Write the report: the summary, then a table for each opponent, of the limit, and of microseconds."""
    tables: dict[str, Callable[[Row], str]] = {
        **{f"Times as fast as torch {name}": partial(_times, opponent=name) for name in opponents},
        "Share of the limit": _percent,
        "Microseconds a call": _microseconds,
    }
    parts = [f"\n{title}:\n\n{_grid(rows, cell)}" for title, cell in tables.items()]
    return "".join(summary(rows, name) for name in opponents) + "".join(parts)


def summary(rows: Sequence[Row], opponent: str) -> str:
    """Give the geometric mean against an opponent, and every row where it is faster."""
    ratios = [(ratio, row) for row in rows if (ratio := row.ratio(opponent)) is not None]
    if not ratios:
        reasons = sorted({row.failed[opponent] for row in rows if opponent in row.failed})
        return f"- torch {opponent}: not measured; {'; '.join(reasons)}\n"
    mean = math.exp(sum(math.log(ratio) for ratio, _ in ratios) / len(ratios))
    slower = [
        f"{_name(row.case)} {ratio:.2f}"
        for ratio, row in sorted(ratios, key=lambda pair: pair[0])
        if ratio < 1
    ]
    missing = sum(opponent in row.failed for row in rows)
    return (
        f"- torch {opponent}: geometric mean {mean:.2f} over {len(ratios)} rows"
        + (f" ({missing} could not be measured)" if missing else "")
        + f"; {len(slower)} below 1.0{': ' if slower else ''}{', '.join(slower)}\n"
    )


def _name(case: Case) -> str:
    return f"{case.loss} {'x'.join(map(str, case.shape))} {case.dtype} {case.threads}T"


def _grid(rows: Sequence[Row], cell: Callable[[Row], str]) -> str:
    """Lay rows out with one line for each loss, type and number of threads, and one column for each size."""
    sizes, shapes = _by_size(rows), [row for row in rows if _is_shape(row)]
    grids = [
        _pivot(part, cell, heading) for part, heading in ((sizes, _size_of), (shapes, _shape_of)) if part
    ]
    return "\n".join(grids)


def _by_size(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if not _is_shape(row)]


def _is_shape(row: Row) -> bool:
    return row.case.loss == "cross_entropy" and row.case.shape in CROSS_ENTROPY_SHAPES


def _size_of(case: Case) -> str:
    return f"{case.size:.3g}".replace("e+0", "e")


def _shape_of(case: Case) -> str:
    return "x".join(map(str, case.shape))


def _pivot(rows: Sequence[Row], cell: Callable[[Row], str], heading: Callable[[Case], str]) -> str:
    columns = list(dict.fromkeys(heading(row.case) for row in rows))
    lines: dict[str, dict[str, str]] = {}
    for row in rows:
        name = f"{row.case.loss}, {row.case.dtype}, {row.case.threads}T"
        if text := cell(row):
            lines.setdefault(name, {})[heading(row.case)] = text
    body = [[name, *(cells.get(column, "") for column in columns)] for name, cells in lines.items()]
    return table(["", *columns], body)


def _times(row: Row, opponent: str) -> str:
    ratio = row.ratio(opponent)
    return "" if ratio is None else f"{ratio:.2f}"


def _percent(row: Row) -> str:
    share = row.share()
    return "" if share is None else f"{share:.0%}"


def _microseconds(row: Row) -> str:
    return f"{row.seconds['lossd'] * 1e6:.4g}"


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
