"""This file is the losses of a vector, a set or a sequence, restated in exact arithmetic as in `formulas.py`.

CTC is its definition: the sum over every path that collapses to the labels, one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby, product

from tests.oracle.exact import MP, Number, exp, times
from tests.oracle.formulas import Truth


def multi_quantile(*, input, target, quantiles) -> Truth:
    error = [target - x for x in input]
    # At the kink the slope is that of a prediction too low: q.
    slope = [q if d >= 0 else q - 1 for q, d in zip(quantiles, error, strict=True)]
    return Truth(
        tuple(s * d for s, d in zip(slope, error, strict=True)),
        {
            "input": [(-s,) for s in slope],
            "target": tuple(slope),
            "quantiles": [(d,) for d in error],
        },
    )


def dice(*, input, target, axis=None, smooth=1e-7) -> Truth:
    sigma, pixels = MP.mpf(smooth), list(zip(input, target, strict=True))
    overlap = 2 * MP.fsum(x * t for x, t in pixels) + sigma
    extent = MP.fsum(x + t for x, t in pixels) + sigma
    if extent == 0:
        nothing = [(MP.nan,) for _ in pixels]
        return Truth((MP.nan,), {"input": nothing, "target": nothing, "smooth": (MP.nan,)})
    loss = MP.fsum(x + t - 2 * x * t for x, t in pixels) / extent

    def slopes(own: Number, other: Number) -> tuple[Number, ...]:
        """Return the addends of a pixel's slope: the pixel itself is in both, and would cancel."""
        return (overlap - 2 * own * other) / extent**2, -2 * other * (extent - own) / extent**2

    return Truth(
        (loss,),
        {
            "input": [slopes(x, t) for x, t in pixels],
            "target": [slopes(t, x) for x, t in pixels],
            "smooth": (-loss / extent,),
        },
    )


def triplet_margin(*, anchor, positive, negative, margin=1.0, p=2.0, eps=1e-6, swap=False) -> Truth:
    near, pull = _distance(anchor, positive, p, eps)
    far, push = _distance(anchor, negative, p, eps)
    other, aside = _distance(positive, negative, p, eps)
    chosen = MP.mpf(1)  # which of the two distances is the lesser; a tie is shared
    if swap:
        chosen = MP.mpf(1) if far < other else MP.mpf(0) if other < far else MP.mpf(1) / 2
        far = min(far, other)
    reach = (MP.mpf(margin), near, -far)
    on = MP.mpf(MP.fsum(reach) >= 0)  # at the margin the gradient passes
    push = [on * chosen * slope for slope in push]
    aside = [on * (1 - chosen) * slope for slope in aside]
    pull = [on * slope for slope in pull]
    return Truth(
        tuple(on * part for part in reach),
        {
            "anchor": [(a, -b) for a, b in zip(pull, push, strict=True)],
            "positive": [(-a, -b) for a, b in zip(pull, aside, strict=True)],
            "negative": [(a, b) for a, b in zip(push, aside, strict=True)],
            "margin": (on,),
        },
    )


def nt_xent(*, embeddings, labels, temperature=0.07) -> list[Truth]:
    tau, items = MP.mpf(temperature), range(len(labels))
    norm = [MP.sqrt(MP.fsum(x * x for x in row)) for row in embeddings]
    unit = [[x / length for x in row] for row, length in zip(embeddings, norm, strict=True)]
    cosine = [[MP.fsum(a * b for a, b in zip(unit[i], unit[j], strict=True)) for j in items] for i in items]
    truths = []
    for i in items:
        same = [j for j in items if labels[j] == labels[i] and j != i]
        others = [k for k in items if labels[k] != labels[i]]
        value, by_cosine = [MP.mpf(0)], {}
        for j in same:
            rivals = {k: exp((cosine[i][k] - cosine[i][j]) / tau) for k in others}
            total = MP.fsum(rivals.values())
            value.append(MP.log(1 + total))
            for k in others:
                by_cosine[k] = by_cosine.get(k, 0) + rivals[k] / (1 + total) / tau
            by_cosine[j] = by_cosine.get(j, 0) - total / (1 + total) / tau
        by_tau = tuple(-slope * cosine[i][j] / tau for j, slope in by_cosine.items()) or (MP.mpf(0),)
        rows = _through_cosine(i, by_cosine, unit, cosine, norm)
        truths.append(Truth(tuple(value), {"embeddings": rows, "temperature": by_tau}))
    return truths


def ctc(
    *, targets, input_lengths, target_lengths, log_probs=None, logits=None, blank=0, zero_infinity=False
) -> Truth:
    name, every = ("log_probs", log_probs) if logits is None else ("logits", logits)
    given, labels, classes = every[:input_lengths], targets[:target_lengths], range(len(every[0]))
    weigh = [[_exp(x) for x in frame] for frame in given]
    if logits is not None:
        weigh = [[w / MP.fsum(frame) for w in frame] for frame in weigh]
    places = [(t, c) for t in range(len(given)) for c in classes]
    total, fails = MP.mpf(0), dict.fromkeys(places, MP.mpf(0))
    with_both = {place: dict.fromkeys(places, MP.mpf(0)) for place in places}
    for path in product(classes, repeat=len(given)):
        weight = MP.fprod(weigh[t][symbol] for t, symbol in enumerate(path))
        if [symbol for symbol, _ in groupby(path) if symbol != blank] != labels:
            for place in enumerate(path):
                fails[place] += weight
            continue
        total += weight
        for place in enumerate(path) if weight else ():
            for other in enumerate(path):
                with_both[place][other] += weight
    if total == 0:
        nothing = [(MP.mpf(0) if zero_infinity else MP.nan,)] * len(classes)
        rest = [[(MP.mpf(0),)] * len(classes)] * (len(every) - len(given))
        value = MP.mpf(0) if zero_infinity else MP.inf
        return Truth((value,), {name: [nothing] * len(given) + rest})
    posterior = {place: with_both[place][place] / total for place in places}
    slope, by_frame = {}, [[(MP.mpf(0),)] * len(classes) for _ in every]
    for place in places:
        (t, c), p = place, posterior[place]
        slope[place] = weigh[t][c] - p if logits is not None else -p
        sensitivity = MP.mpf(0)
        for u, k in places:
            bend = -(with_both[place][u, k] / total - p * posterior[u, k])
            if logits is not None and u == t:
                bend += weigh[t][c] * ((k == c) - weigh[t][k])
            sensitivity += times(bend, abs(given[u][k])) if bend > 0 else times(-bend, abs(given[u][k]))
        by_frame[t][c] = (slope[place], sensitivity, -sensitivity)
        if logits is not None:
            by_frame[t][c] += _cancelling(
                weigh[t], [posterior[t, k] for k in classes], c, fails[place], total
            )
    of_value = MP.fsum(times(abs(slope[t, c]), abs(given[t][c])) for t, c in places)
    value = -MP.log(total)
    return Truth((value, of_value, -of_value), {name: by_frame})


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


def _exp(value: Number) -> Number:
    """Return the exponential, of numbers of any size."""
    return MP.mpf(0) if value == MP.ninf else MP.exp(value)


def _distance(u: list[Number], v: list[Number], p: float, eps: float) -> tuple[Number, list[Number]]:
    """Return the p-norm of u - v + eps, and its gradient with respect to u; 0 at the origin."""
    difference = [a - b + MP.mpf(eps) for a, b in zip(u, v, strict=True)]
    power = MP.mpf(p)
    norm = MP.fsum(abs(d) ** power for d in difference) ** (1 / power)
    if norm == 0:
        return norm, [MP.mpf(0)] * len(u)
    return norm, [MP.sign(d) * (abs(d) / norm) ** (power - 1) if d else MP.mpf(0) for d in difference]


def _through_cosine(
    i: int, by_cosine: Mapping[int, Number], unit: list, cosine: list, norm: list[Number]
) -> list[list[tuple[Number, ...]]]:
    """Return the gradient with respect to every embedding of what depends on the cosines of item i."""
    size = range(len(unit[0]))
    rows = [[(MP.mpf(0),) for _ in size] for _ in unit]
    for j, slope in by_cosine.items():
        for d in size:
            rows[j][d] = (slope * unit[i][d] / norm[j], -slope * cosine[i][j] * unit[j][d] / norm[j])
    own = [[(MP.mpf(0),)] * len(size)] * len(unit)
    own[i] = [
        tuple(
            part
            for j, slope in by_cosine.items()
            for part in (slope * unit[j][d] / norm[i], -slope * cosine[i][j] * unit[i][d] / norm[i])
        )
        or (MP.mpf(0),)
        for d in size
    ]
    return [[a + b for a, b in zip(*pair, strict=True)] for pair in zip(rows, own, strict=True)]
