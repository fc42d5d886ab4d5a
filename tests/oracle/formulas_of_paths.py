"""CTC of one sample, restated in exact arithmetic as in `formulas.py`.

A path is read symbol by symbol, as its definition collapses it: a symbol that repeats the last one is passed over, a
blank is only remembered, and any other must be the next label. What has been read is one of a few states, so the mass
of all paths is added up state by state. No addend is negative: no digit is lost. `test_paths.py` holds the masses
against the sum over every path, one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from tests.oracle.exact import MP, Number, exp_of_any, times
from tests.oracle.formulas import Truth

Frames = Sequence[Sequence[Number]]
State = tuple[int, int]  # how many labels have been read, and which symbol last
Edge = tuple[int, int, int]  # the number of a state, a symbol, and the number of the state after it


class Masses(NamedTuple):
    """The mass of the paths that collapse to the labels: of all, and of those with a symbol in a frame."""

    total: Number
    through: list[list[Number]]


class Sizes(NamedTuple):
    """Masses of paths by symbol and frame, that say how far the gradient can be trusted."""

    both: dict[
        tuple[int, int], list[list[Number]]
    ]  # collapse to the labels, with a second symbol in any frame
    fails: list[list[Number]]  # do not collapse to them


def ctc(**given) -> Truth:
    """Return the loss and its gradient, each with what rounding an input or cancelling may add to it and take off."""
    return _ctc(**given, sized=True)


def ctc_alone(**given) -> Truth:
    """Return the loss and its gradient, each as one number."""
    return _ctc(**given, sized=False)


def _ctc(
    *,
    targets,
    input_lengths,
    target_lengths,
    log_probs=None,
    logits=None,
    blank=0,
    zero_infinity=False,
    sized,
) -> Truth:
    name, every = ("log_probs", log_probs) if logits is None else ("logits", logits)
    given, labels, classes = every[:input_lengths], targets[:target_lengths], range(len(every[0]))
    weigh = [[exp_of_any(x) for x in frame] for frame in given]
    if logits is not None:
        weigh = [_shares(frame) for frame in weigh]
    total, through = masses(weigh, labels, blank)
    rest = [[(MP.mpf(0),)] * len(classes)] * (len(every) - len(given))
    if total == 0:
        nothing = [(MP.mpf(0) if zero_infinity else MP.nan,)] * len(classes)
        value = MP.mpf(0) if zero_infinity else MP.inf
        return Truth((value,), {name: [nothing] * len(given) + rest})
    posterior = [[mass / total for mass in frame] for frame in through]
    free = weigh if logits is not None else [[MP.mpf(0)] * len(classes)] * len(given)
    slope = [[w - p for w, p in zip(*frames, strict=True)] for frames in zip(free, posterior, strict=True)]
    if not sized:
        return Truth((-MP.log(total),), {name: [[(s,) for s in frame] for frame in slope] + rest})
    both, fails = sizes(weigh, labels, blank)
    by_frame = [[(s,) for s in frame] for frame in slope]
    for (t, c), pairs in both.items():
        sensitivity = MP.mpf(0)
        for u in range(len(given)):
            for k in classes:
                bend = posterior[t][c] * posterior[u][k] - pairs[u][k] / total
                if u == t:
                    bend += free[t][c] * ((k == c) - free[t][k])
                sensitivity += times(abs(bend), abs(given[u][k]))
        by_frame[t][c] += (sensitivity, -sensitivity)
        if logits is not None:
            by_frame[t][c] += _cancelling(weigh[t], posterior[t], c, fails[t][c], total)
    of_value = MP.fsum(
        times(abs(s), abs(x)) for pair in zip(slope, given, strict=True) for s, x in zip(*pair, strict=True)
    )
    return Truth((-MP.log(total), of_value, -of_value), {name: by_frame + rest})


def masses(weigh: Frames, labels: Sequence[int], blank: int) -> Masses:
    """Add up the paths that collapse to the labels, of symbols that weigh so much in each frame."""
    states, edges = _automaton(tuple(labels), blank, len(weigh[0]) if weigh else 0)
    edges = [edge for edge in edges if edge[2] < len(states)]
    after = _masses_after(weigh, edges, _complete(states, labels))
    before, through = _first(states), []
    for frame, end in zip(weigh, after[1:], strict=True):
        by_symbol, before = _read(frame, edges, before, end)
        through.append(by_symbol)
    return Masses(after[0][0], through)


def sizes(weigh: Frames, labels: Sequence[int], blank: int) -> Sizes:
    """Add up the paths through every two symbols, and those that do not collapse to the labels."""
    states, edges = _automaton(tuple(labels), blank, len(weigh[0]) if weigh else 0)
    complete = _complete(states, labels)
    after = _masses_after(weigh, edges, [*complete, MP.mpf(0)])
    failing = _masses_after(weigh, edges, [*(1 - mass for mass in complete), MP.mpf(1)])
    before, both, fails = [*_first(states), MP.mpf(0)], {}, []
    for t, frame in enumerate(weigh):
        symbols = range(len(frame))
        for c in symbols:
            only = [w if k == c else MP.mpf(0) for k, w in enumerate(frame)]
            pairs = [[both[u, k][t][c] for k in symbols] for u in range(t)]
            mass = before
            for one, end in zip([only, *weigh[t + 1 :]], after[t + 1 :], strict=True):
                by_symbol, mass = _read(one, edges, mass, end)
                pairs.append(by_symbol)
            both[t, c] = pairs
        by_symbol, before = _read(frame, edges, before, failing[t + 1])
        fails.append(by_symbol)
    return Sizes(both, fails)


@cache
def _automaton(labels: tuple[int, ...], blank: int, symbols: int) -> tuple[list[State], list[Edge]]:
    """Return the states, and all steps; paths that fail end in a state beyond the last."""
    after = [(count, last) for count, label in enumerate(labels, 1) for last in (label, blank)]
    states: list[State] = [(0, blank), *after]
    failed = len(states)
    edges = [(failed, symbol, failed) for symbol in range(symbols)]
    for state, (count, last) in enumerate(states):
        known = {blank: (count, blank), last: (count, last)}
        if count < len(labels) and labels[count] != last:
            known[labels[count]] = (count + 1, labels[count])
        for symbol in range(symbols):
            edges.append((state, symbol, states.index(known[symbol]) if symbol in known else failed))
    return states, edges


def _first(states: Sequence[State]) -> list[Number]:
    return [MP.mpf(at == 0) for at in range(len(states))]


def _complete(states: Sequence[State], labels: Sequence[int]) -> list[Number]:
    return [MP.mpf(count == len(labels)) for count, _ in states]


def _masses_after(weigh: Frames, edges: Sequence[Edge], end: list[Number]) -> list[list[Number]]:
    """Return the mass of what may follow on every state, before each frame and after the last."""
    found = [end]
    for frame in reversed(weigh):
        mass = [MP.mpf(0)] * len(end)
        for state, symbol, then in edges:
            mass[state] += frame[symbol] * found[-1][then]
        found.append(mass)
    return found[::-1]


def _read(
    frame: Sequence[Number], edges: Sequence[Edge], before: Sequence[Number], end: Sequence[Number]
) -> tuple[list[Number], list[Number]]:
    """Return the mass of all paths by the symbol in a frame, and of their beginnings by the state after it."""
    by_symbol, after = [MP.mpf(0)] * len(frame), [MP.mpf(0)] * len(before)
    for state, symbol, then in edges:
        mass = before[state] * frame[symbol]
        if mass:
            after[then] += mass
            by_symbol[symbol] += mass * end[then]
    return by_symbol, after


def _cancelling(
    free: list[Number], given: list[Number], c: int, fails: Number, total: Number
) -> tuple[Number, ...]:
    """Return what may cancel in the difference of two distributions, plus and minus.

    For the likeliest symbol those are the differences of the others. Where the labels are likely they
    are less: what fails with the symbol, and the share of all that fails.
    """
    top = max(range(len(free)), key=free.__getitem__)
    others = [k for k in range(len(free)) if (k == c) == (c != top)]
    size = MP.fsum(max(free[k], given[k]) for k in others)
    if total > MP.mpf(3) / 4:
        size = min(size, (fails + free[c] * (1 - total)) / total)
    return size, -size


def _shares(frame: Sequence[Number]) -> list[Number]:
    whole = MP.fsum(frame)
    return [weight / whole for weight in frame]
