"""Ratios of the engine to PyTorch, shares of the limit, and their tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from typing import Any

from benchmarks.cases import CROSS_ENTROPY_SHAPES, Case
from benchmarks.report import table

Judge = Callable[[Sequence[float]], float]


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
