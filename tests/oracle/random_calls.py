"""Random calls of every loss against exact arithmetic: python -m tests.oracle.random_calls --calls 100000 --jobs 2

What it finds is printed as a call that can be repeated, and the exit status says whether it found anything.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from multiprocessing import get_context
from typing import Any, NamedTuple

import numpy as np

from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.losses import LOSSES
from tests.oracle.cases import Case
from tests.oracle.condition import Exact, Place, exact_inputs, rows_and_gradients, turned, unexplained
from tests.oracle.curvature import digits, hessian_diagonal, hessian_vector, jumps
from tests.oracle.exact import MP
from tests.oracle.nonfinite import expected, is_any, spoil
from tests.oracle.truth import FRAMES, call_of
from tests.oracle.wild import draw_call

# Units in the last place of the result and of what its condition adds to it.
ULPS = 12
# Smallest numbers of the type that the steps of a formula may lose together, before they are multiplied by weights.
SUBNORMALS = 16
TYPES = (np.float64, np.float32)
# Enough for most calls; what is small or not as expected is looked at with all digits.
FEW_DIGITS = 60
# Enough for how much a result changes with its inputs.
DIGITS = 150
# Calls that a process takes at a time: Ctrl-C waits for them.
AT_A_TIME = 20


class Finding(NamedTuple):
    """A call whose answer is wrong, and where."""

    name: str
    seed: int
    case: Case
    options: Mapping[str, Any]
    text: str

    def __str__(self) -> str:
        arrays = {key: array.tolist() for key, array in self.case.arrays.items()}
        dtype = TYPES[self.seed % len(TYPES)].__name__
        asked = {**self.case.settings, **self.options}
        return f"{self.name} seed {self.seed} {dtype} {arrays} {asked}: {self.text}"


class Checked(NamedTuple):
    """What was found in a number of calls."""

    findings: list[Finding]
    calls: int


Each = Callable[[Callable[[range], Checked], Iterable[range]], Iterable[Checked]]


class Draw(NamedTuple):
    """A random call, and its exact result as a function of its numbers."""

    name: str
    seed: int
    case: Case
    rng: np.random.Generator
    exact: Exact
    rowwise: bool

    @property
    def differentiable(self) -> list[str]:
        given = [key for key, array in self.case.arrays.items() if array.dtype.kind == "f"]
        return [
            key
            for key in LOSSES[self.name].differentiable
            if key in [*given, *LOSSES[self.name].differentiable_settings]
        ]

    @property
    def limits(self) -> Any:
        return np.finfo(TYPES[self.seed % len(TYPES)])

    @property
    def largest_factor(self) -> Any:
        """What may multiply numbers too small for the type: weights, logits of targets, and what divides them.

        Where weights are heavy, what is too small for the type is computed in a wider one. Shares of negatives, which
        may be too small, are divided by the temperature and by a norm.
        """
        arrays = self.case.arrays
        weights = [np.abs(array).max(initial=1) for key, array in arrays.items() if "weight" in key]
        factor = MP.mpf(float(min(np.prod(weights, dtype=np.float64), self.limits.eps**-0.5)))
        if "pos_weight" in arrays or self.name == "soft_margin":
            factor *= MP.mpf(float(np.abs(arrays["input"]).max(initial=1)))
        factor *= MP.mpf(abs(self.case.settings.get("scale", 1.0)))
        for key in {"embeddings", "prototypes"} & arrays.keys():
            lengths = np.abs(arrays[key]).max(axis=1)
            factor /= MP.mpf(float(lengths[lengths > 0].min(initial=1)))
        factor *= MP.mpf(max(self.case.settings.get("gamma", 1.0), 1.0)) ** 2
        return factor / MP.mpf(min(self.case.settings.get("temperature", 1.0), 1.0))

    @property
    def sharpness(self) -> float:
        """How often a rounding error of 1 is in an exponent, beside the condition of the inputs."""
        if self.name == "crf":
            return self.largest_score * float(np.finfo(np.float64).eps) / float(self.limits.eps)
        return 1 / self.case.settings["temperature"] if "temperature" in self.case.settings else 0.0

    @property
    def largest_score(self) -> float:
        """As much as a sequence's score, which is added up in float64, may be of either sign."""
        real = {
            key: np.abs(a).astype(np.float64) for key, a in self.case.arrays.items() if a.dtype.kind == "f"
        }
        steps = real["emissions"].shape[-2] if self.name == "crf" else 1
        with np.errstate(over="ignore"):
            return float(steps * sum(array.max(initial=0) for array in real.values()))

    @property
    def is_swamped(self) -> bool:
        """Whether differences that decide between sequences are lost beside scores that they have in common."""
        return self.name == "crf" and self.largest_score * np.finfo(np.float64).eps > 2.0**-10

    @property
    def first(self) -> str:
        return next(key for key in LOSSES[self.name].gradient if key in self.case.arrays)


def check_call(name: str, seed: int) -> Finding | None:
    """Draw the call of a seed, and hold its answer against the exact one."""
    rng = np.random.default_rng(seed)
    case = draw_call(LOSSES[name], rng, TYPES[seed % len(TYPES)])
    rowwise = bool(rng.integers(2))
    draw = Draw(name, seed, case, rng, rows_and_gradients(name, rowwise), rowwise)
    check = CHECKS[int(rng.choice(len(CHECKS), p=SHARES))]
    if draw.is_swamped and check is not check_nonfinite:
        return None
    try:
        return check(draw)
    except ZeroDivisionError:  # the loss is not defined there: the cosine of nothing
        return None


def check_values(draw: Draw) -> Finding | None:
    """Hold values and gradients against the exact ones: the kernel row by row, or its fused form in a sum."""
    options: dict[str, Any] = {
        "reduction": "none" if draw.rowwise else "sum",
        "gradient": draw.differentiable if draw.rowwise else True,
    }
    got = _asked(draw.name, draw.case, options)
    return _unless_turned(draw, partial(_hold_values, draw, got, options))


def _unless_turned(draw: Draw, hold: Callable[[Any, Any], Finding | None]) -> Finding | None:
    """Return what is found, if it is also where rounding turns a comparison: there all conditions are others."""
    inputs = exact_inputs(draw.case)
    found = hold(*inputs)
    if found and any(hold(*others) is None for others in turned(*inputs, draw.limits)):
        return None
    return found


def _hold_values(
    draw: Draw, got: Mapping[str, np.ndarray], options: Mapping[str, Any], arrays: Any, settings: Any
) -> Finding | None:
    with MP.workdps(FEW_DIGITS):
        if not list(_suspects(got, draw.exact(arrays, settings), least=MP.mpf(10) ** (-FEW_DIGITS / 2))):
            return None
    truth = draw.exact(arrays, settings)
    suspects = list(_suspects(got, truth))
    if not suspects:
        return None
    addends = rows_and_gradients(draw.name, draw.rowwise, absolute=True)(arrays, settings)
    factor = draw.largest_factor

    def is_explained(at: Place, condition: Any) -> bool:
        (key, place), right = at, truth[at[0]][at[1]]
        size = condition + addends[key][place] + (draw.sharpness - 1) * abs(right)
        return is_close(got[key][place], right, size, factor)

    condition = {at: MP.mpf(0) for at in suspects if not is_explained(at, 0)}
    for precision in (DIGITS, MP.dps):
        if not condition:
            return None
        answers = {(key, place): got[key][place] for key, place in condition}
        with MP.workdps(precision):
            condition = unexplained(draw.exact, arrays, settings, draw.limits, answers, is_explained)
    for (key, place), size in condition.items():
        text = f"{key}[{place}] is {got[key][place]!r}, not {MP.nstr(truth[key][place], 17)}"
        return Finding(*draw[:3], options, f"{text} (condition {MP.nstr(size, 3)})")
    return None


def check_nonfinite(draw: Draw) -> Finding | None:
    """Hold a call with NaN or infinity in one place against what exact arithmetic says of it."""
    spoilt = spoil(draw.name, draw.case, draw.rng)
    if spoilt is None:
        return None
    case, key, place = spoilt
    options: dict[str, Any] = {"reduction": "none" if draw.rowwise else "sum", "gradient": True}
    truth = expected(draw.name, draw.exact, case, key, place)
    for result, array in _asked(draw.name, case, options).items():
        for at, (found, right) in enumerate(zip(array, truth[result], strict=True)):
            if is_any(right):
                continue
            size = abs(right) * 1e6 if MP.isfinite(right) else 0  # its digits are the other checks' business
            if MP.isinf(right):
                fine = bool(found == (np.inf if right > 0 else -np.inf))
            else:
                fine = is_close(found, right, size + (1 if MP.isfinite(right) else 0))
            if not fine:
                text = f"{result}[{at}] is {found!r}, not {MP.nstr(right, 17)}, {key}{list(place)} not finite"
                return Finding(draw.name, draw.seed, case, options, text)
    return None


# Losses whose Hessians are sums that cancel: test_curvature_of_pairs.py counts those of the first.
ADDENDS_CANCEL = ("nt_xent", "supcon")
# Losses whose products are by dual numbers alone, which lose tails: of subnormal vectors, and of easy sequences.


def check_hessian(draw: Draw) -> Finding | None:
    """Hold the diagonal of the Hessian against differences of the exact gradient."""
    if draw.name in ADDENDS_CANCEL:
        return None
    truth = partial(hessian_diagonal, draw.exact, name=draw.first)
    return _check_second(draw, "hessian", True, truth)


def check_product(draw: Draw) -> Finding | None:
    """Hold a Hessian-vector product against differences of the exact gradient."""
    given = draw.case.arrays[draw.first]
    direction = draw.rng.integers(-2, 3, given.shape).astype(np.float64)
    exact = np.array([MP.mpf(v) for v in direction.reshape(-1)], dtype=object).reshape(given.shape)
    truth = partial(hessian_vector, draw.exact, name=draw.first, direction=exact)

    def of_direction(arrays: Any, settings: Any, numbers: list[int]) -> list[Any]:
        """Return how much the product depends on each number of the direction, which is an input too."""
        total = [MP.mpf(0)] * len(numbers)
        for place in np.argwhere(exact != 0):
            alone = np.full(exact.shape, MP.mpf(0), dtype=object)
            alone[tuple(place)] = exact[tuple(place)]
            part = hessian_vector(draw.exact, arrays, settings, draw.first, alone, numbers)
            total = [a + abs(b or 0) for a, b in zip(total, part, strict=True)]
        return total

    asked = np.moveaxis(direction, 0, 1) if draw.first in FRAMES else direction
    return _check_second(draw, "hvp", asked, truth, of_direction)


def _check_second(
    draw: Draw,
    kind: str,
    asked: Any,
    truth: Callable[..., list[Any]],
    of_direction: Callable[..., list[Any]] | None = None,
) -> Finding | None:
    options = {"reduction": "sum", kind: asked}
    try:
        answer = evaluate(LOSSES[draw.name], call_of(draw.case, **options))
    except InvalidCall as refusal:
        if "a loss and arguments that have one" in str(refusal):
            return None
        raise
    array = getattr(answer, kind)["sum"][draw.first]
    got = (np.moveaxis(array, 1, 0) if draw.first in FRAMES else array).reshape(-1)
    return _unless_turned(draw, partial(_hold_second, draw, got, kind, options, truth, of_direction))


def _hold_second(
    draw: Draw,
    got: np.ndarray,
    kind: str,
    options: Mapping[str, Any],
    truth: Callable[..., list[Any]],
    of_direction: Callable[..., list[Any]] | None,
    arrays: Any,
    settings: Any,
) -> Finding | None:
    right = truth(arrays, settings, numbers=range(len(got)))
    suspects = [i for i, value in enumerate(right) if value is not None and not is_close(got[i], value)]
    if not suspects:
        return None
    sizes = rows_and_gradients(draw.name, draw.rowwise, absolute=True)
    # Equal distances cancel also where both are 0 and have no derivatives, of which a difference is NaN.
    suspects = [
        i for i in suspects if not (np.isnan(got[i]) and jumps(sizes, arrays, settings, draw.first, i))
    ]
    # Where the gradient is a difference of addends, what it is differentiated to is one too.
    slopes, addends = (of(arrays, settings)[draw.first] for of in (draw.exact, sizes))
    known = {i: abs(right[i]) * (addends[i] / abs(slopes[i]) - 1) if slopes[i] else 0 for i in suspects}
    if draw.name in BY_DUAL_NUMBERS:
        most = max(abs(value) for value in right if value is not None)
        known = {i: size + most for i, size in known.items()}

    def is_explained(at: Place, condition: Any) -> bool:
        return is_close(got[at[1]], right[at[1]], condition + known[at[1]], draw.largest_factor)

    suspects = [i for i in suspects if not is_explained((kind, i), 0)]
    if suspects and of_direction:
        for i, more in zip(suspects, of_direction(arrays, settings, suspects), strict=True):
            known[i] += more
        suspects = [i for i in suspects if not is_explained((kind, i), 0)]
    # Of a product all elements are found at once, of a diagonal each by itself.
    groups = [suspects] if suspects and of_direction else [[i] for i in suspects]
    for group in groups:

        def second(arrays: Any, settings: Any, group: list[int] = group) -> dict[str, dict[int, Any]]:
            found = truth(arrays, settings, numbers=group)
            return {kind: {i: MP.mpf(0) if v is None else v for i, v in zip(group, found, strict=True)}}

        answers = {(kind, i): got[i] for i in group}
        with MP.workdps(digits(arrays, settings)):
            condition = unexplained(second, arrays, settings, draw.limits, answers, is_explained)
        for (_, i), size in condition.items():
            shown = MP.nstr(size + known[i], 3)
            text = f"{kind}[{i}] is {got[i]!r}, not {MP.nstr(right[i], 17)} (condition {shown})"
            return Finding(*draw[:3], options, text)
    return None


def _suspects(got: Any, truth: Any, least: Any = 0) -> Iterator[tuple[str, int]]:
    """Yield the places where an answer is not the exact one, or where that is below ``least``."""
    for key, array in got.items():
        for place, right in enumerate(truth[key]):
            if abs(right) < least or not is_close(array[place], right):
                yield key, place


# Losses whose second derivatives come by dual numbers, of parts as large as the largest in the row.
BY_DUAL_NUMBERS = frozenset(
    "giou arcface cosine_embedding triplet_margin_with_distance nt_xent supcon barlow_twins crf".split()
)
CHECKS = (check_values, check_nonfinite, check_hessian, check_product)
SHARES = (0.8, 0.1, 0.05, 0.05)


def is_close(got: Any, exact: Any, condition: Any = 0, weight: Any = 1) -> bool:
    """Return whether a number is the exact one, up to rounding where the problem's condition is as given.

    What is lost of numbers too small for the type may be multiplied by as much as ``weight``.
    """
    eps, most, least = _limits(got.dtype)
    if MP.isnan(exact):
        return bool(np.isnan(got))
    if MP.isinf(exact):
        return bool(np.isinf(got) and (got > 0) == (exact > 0))
    error = ULPS * eps * (abs(exact) + condition)
    if abs(exact) + error > most and np.isinf(got):
        return bool((got > 0) == (exact > 0))
    if not np.isfinite(got):
        return False
    return bool(abs(MP.mpf(float(got)) - exact) <= error + SUBNORMALS * least * weight)


@cache
def _limits(dtype: np.dtype[Any]) -> tuple[Any, Any, Any]:
    """Return the spacing at 1, the largest number and the smallest of a type."""
    limits = np.finfo(dtype)
    return MP.mpf(float(limits.eps)), MP.mpf(float(limits.max)), MP.mpf(float(limits.smallest_subnormal))


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


def _asked(name: str, case: Case, options: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return an answer's value and gradients, each flat."""
    answer = evaluate(LOSSES[name], call_of(case, **options))
    reduction = options["reduction"]
    got = {"value": np.asarray(answer.loss[reduction]).reshape(-1)}
    for key, array in answer.gradient.get(reduction, {}).items():
        got[key] = (np.moveaxis(array, 1, 0) if key in FRAMES else array).reshape(-1)
    return got


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
