"""The losses of a vector or a set, restated in exact arithmetic as in `formulas.py`."""

from __future__ import annotations

from collections.abc import Mapping

from tests.oracle.exact import MP, Number, exp
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


def triplet_margin(*, anchor, positive, negative, margin=1.0, p=2.0, eps=1e-6, swap=False, lead=0) -> Truth:
    """Return the truth; the anchor may lead the positive on the way to the negative, as rounding may have it."""
    near, pull = _distance(anchor, positive, p, eps)
    far, push = _distance(anchor, negative, p, eps)
    other, aside = _distance(positive, negative, p, eps)
    chosen = MP.mpf(1)  # which of the two distances is the lesser; a tie is shared
    if swap:
        chosen = MP.mpf(1 - MP.sign(far - other - lead)) / 2
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
