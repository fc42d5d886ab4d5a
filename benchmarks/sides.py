"""One side of a comparison, in a process of its own.

PyTorch's OpenMP workers spin for a while after each call and would starve whatever runs next in the same
process, so a side is a child that reads one command a line and answers in kind: `prepare` draws a case's
arrays and runs it twice, `run` measures it for some seconds. A side imports nothing of the others.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import IO, Any

from benchmarks.cases import Case
from benchmarks.works import SIDES, limit_work, measure

# The engine spreads blocks itself; a BLAS that does too would only get in its way.
# glibc's heap as it is in a server that has freed large arrays: in a process that has not, every array's pages may be
# new, for one side and not for the other, which changes times by up to a factor of five.
ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
}
# Longer than OpenMP's workers spin after a call, so that they do not run into the other side's turn.
SPIN_SECONDS = 0.02


class Unavailable(Exception):
    """A side cannot run here; the message says why."""


class Side:
    """One side, and the process that it lives in."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.sides", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **ENVIRONMENT},
            text=True,
        )

    def prepare(self, case: Case) -> float:
        """Draw the arrays, compute once and once more, and return the loss.

        Raises:
            Unavailable: The side cannot compute this here.
        """
        return float(self._ask({"prepare": asdict(case)}))

    def run(self, seconds: float) -> float:
        """Return the median seconds of one call."""
        return float(self._ask({"run": seconds}))

    def limit(self, seconds: float) -> float | None:
        """Return the median seconds of the NumPy call that the loss cannot do without."""
        seconds_of_call = self._ask({"limit": seconds})
        return None if seconds_of_call is None else float(seconds_of_call)

    def close(self) -> None:
        """Let the process end."""
        self._child.communicate()

    def _ask(self, command: Mapping[str, Any]) -> Any:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        line = ""
        with suppress(BrokenPipeError):
            print(json.dumps(command), file=self._child.stdin, flush=True)
            line = self._child.stdout.readline()
        if not line:
            raise Unavailable(f"the process of {self.name} ended with status {self._child.wait()}")
        answer = json.loads(line)
        if "unavailable" in answer:
            raise Unavailable(answer["unavailable"])
        return answer["answer"]


class _Commands:
    """What a child does for each command."""

    def __init__(self, side: str) -> None:
        self._make = SIDES[side]

    def prepare(self, fields: Mapping[str, Any]) -> float:
        self._case = Case(**{**fields, "shape": tuple(fields["shape"])})
        self._arrays = self._case.arrays()
        self._work = self._make(self._case, self._arrays)
        self._work()
        value = self._work()
        return float(value.detach() if hasattr(value, "detach") else value)

    def run(self, seconds: float) -> float:
        return measure(self._work, seconds)

    def limit(self, seconds: float) -> float | None:
        work = limit_work(self._case, self._arrays)
        if work is None:
            return None
        work()
        return measure(work, seconds)


def obey(commands: _Commands, lines: IO[str], answers: IO[str]) -> None:
    """Answer commands until there are no more."""
    for line in lines:
        ((name, argument),) = json.loads(line).items()
        try:
            answer = {"answer": getattr(commands, name)(argument)}
        except Exception as error:  # whatever a compiler or a library fails with, the row says so
            traceback.print_exc()
            answer = {"unavailable": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    # Compilers print; only answers may reach the parent.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    obey(_Commands(sys.argv[1]), sys.stdin, replies)
