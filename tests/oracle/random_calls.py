"""Random calls of every loss against exact arithmetic: python -m tests.oracle.random_calls --calls 100000 --jobs 2

What it finds is printed as a call with the command that repeats it, and the exit status says whether it found anything.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np

from lossd.losses import LOSSES
from tests.oracle.condition import rows_and_gradients
from tests.oracle.random_curvature import check_hessian, check_product
from tests.oracle.random_draw import TYPES, Draw, Finding, repeated
from tests.oracle.random_values import check_nonfinite, check_values
from tests.oracle.wild import draw_call

# Calls that a process takes at a time: Ctrl-C waits for them.
AT_A_TIME = 20
CHECKS = (check_values, check_nonfinite, check_hessian, check_product)
SHARES = (0.8, 0.1, 0.05, 0.05)


class Checked(NamedTuple):
    """What was found in a number of calls."""

    findings: list[Finding]
    calls: int


Each = Callable[[Callable[[range], Checked], Iterable[range]], Iterable[Checked]]


def check_call(name: str, seed: int) -> Finding | None:
    """Draw the call of a seed, and hold its answer against the exact one."""
    rng = np.random.default_rng(seed)
    try:
        case = draw_call(LOSSES[name], rng, TYPES[seed % len(TYPES)])
        rowwise = bool(rng.integers(2))
        draw = Draw(name, seed, case, rng, rows_and_gradients(name, rowwise), rowwise)
        check = CHECKS[int(rng.choice(len(CHECKS), p=SHARES))]
        if draw.oracle.swamped(case) and check is not check_nonfinite:
            return None
        return check(draw)
    except ZeroDivisionError:  # the loss is not defined there: the cosine of nothing
        return None
    except Exception as error:
        error.add_note(f"in a random call: {repeated(name, seed)}")
        raise


def check_calls(name: str, calls: int, seconds: float, first: int = 0, each: Each = map) -> Iterator[Checked]:
    """Yield what is found in so many calls or seconds, whichever is over first, some calls at a time."""
    end, last = time.monotonic() + seconds, first + calls
    some = [range(seed, min(seed + AT_A_TIME, last)) for seed in range(first, last, AT_A_TIME)]
    yield from each(partial(_check_some, name, end), some)


def _check_some(name: str, end: float, seeds: range) -> Checked:
    findings = []
    for done, seed in enumerate(seeds):
        if time.monotonic() > end:
            return Checked(findings, done)
        found = check_call(name, seed)
        if found is not None:
            findings.append(found)
    return Checked(findings, len(seeds))


@contextmanager
def spread(jobs: int) -> Iterator[Each]:
    """Give a `map` over so many processes. What they have not begun when it is left they never begin."""
    if jobs == 1:
        yield map
        return
    # Ctrl-C is for the parent, which drops what has not begun and waits for the rest.
    ignored = (signal.SIGINT, signal.SIG_IGN)
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), signal.signal, ignored)
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("losses", nargs="*", default=[], help="all of them if none is named")
    parser.add_argument("--calls", type=int, default=100_000, help="for each loss")
    parser.add_argument("--seconds", type=float, default=300.0, help="at most, for each loss")
    parser.add_argument("--seed", type=int, default=0, help="of the first call")
    parser.add_argument("--show", type=int, default=5, help="findings to print for each loss")
    parser.add_argument("--jobs", type=int, default=1, help="processes that share the calls")
    given = parser.parse_args()
    wrong = 0
    with spread(given.jobs) as each:
        for name in given.losses or LOSSES:
            wrong += _report(
                name, check_calls(name, given.calls, given.seconds, given.seed, each), given.show
            )
    return min(wrong, 1)


def _report(name: str, checked: Iterable[Checked], show: int) -> int:
    """Print the first findings as they come, and last the number of calls; return how many are wrong."""
    started, calls, wrong = time.monotonic(), 0, 0
    try:
        for findings, done in checked:
            for finding in findings[: max(0, show - wrong)]:
                print(finding, flush=True)
            calls, wrong = calls + done, wrong + len(findings)
    finally:  # Ctrl-C too
        seconds = time.monotonic() - started
        print(f"{name}: {calls} calls, {wrong} wrong, {calls / max(seconds, 1e-9):.0f} calls/s", flush=True)
    return wrong


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
