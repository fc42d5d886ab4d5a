"""Losses of scores for labels, and of margins between classes, restated in exact arithmetic, as in `formulas`."""

from __future__ import annotations

from collections import Counter
from itertools import takewhile

from tests.oracle.exact import MP, Number, exp, times
from tests.oracle.formulas import Truth


def soft_margin(*, input, target) -> Truth:
    m = target * input
    slope = -sigmoid(-m)
    return Truth((softplus(-m),), {"input": (target * slope,), "target": (times(slope, input),)})


def hinge(*, input, target) -> Truth:
    m = target * input
    if MP.isnan(m):
        return Truth((m,), {"input": (m,), "target": (m,)})
    slope = MP.mpf(-1 if m <= 1 else 0)  # at the kink as below it
    gradient = {"input": (target * slope,), "target": (times(slope, input),)}
    return Truth((max(1 - m, MP.mpf(0)),), gradient)


def squared_hinge(*, input, target) -> Truth:
    m = target * input
    gap = m if MP.isnan(m) else max(1 - m, MP.mpf(0))
    gradient = {"input": (-2 * target * gap,), "target": (times(-2 * gap, input),)}
    return Truth((gap * gap,), gradient)


def hinge_embedding(*, input, target, margin=1.0) -> Truth:
    nothing, gap = MP.mpf(0), MP.mpf(margin) - input
    if target > 0:
        return Truth((input,), {"input": (MP.mpf(1),), "target": (nothing,), "margin": (nothing,)})
    active = gap if MP.isnan(gap) else MP.mpf(gap >= 0)  # at the kink as below it
    value = (MP.mpf(margin), -input) if active else (nothing,)
    return Truth(value, {"input": (-active,), "target": (nothing,), "margin": (active,)})


def margin_ranking(*, input1, input2, target, margin=0.0) -> Truth:
    lead = input1 - input2
    gap = MP.mpf(margin) - target * lead
    active = gap if MP.isnan(gap) else MP.mpf(gap >= 0)
    gradient = {
        "input1": (-target * active,),
        "input2": (target * active,),
        "target": (-times(active, lead),),
        "margin": (active,),
    }
    if not active:
        return Truth((MP.mpf(0),), gradient)
    value = (gap,) if not MP.isfinite(gap) else (MP.mpf(margin), -target * input1, target * input2)
    return Truth(value, gradient)


def sigmoid_focal(*, input, target, alpha=0.25, gamma=2.0) -> Truth:
    x, t, rest = input, target, 1 - target
    a, g = MP.mpf(alpha), MP.mpf(gamma)
    cost = times(t, softplus(-x)) + times(rest, softplus(x))
    wrong = t * sigmoid(-x) + rest * sigmoid(x)
    right = t * sigmoid(x) + rest * sigmoid(-x)
    if t in (0, 1):
        log_wrong = -softplus(-x) if t == 0 else -softplus(x)
    else:
        log_wrong = MP.log1p(-right) if wrong > 0.5 else MP.log(wrong)
    power = exp(times(g, log_wrong))
    weight, by_weight = (a * t + (1 - a) * rest, 2 * a - 1) if a >= 0 else (MP.mpf(1), MP.mpf(0))
    ratio = cost / wrong if wrong else MP.mpf(1)  # which both underflow to
    over = g * times((rest - t) * sigmoid(x) * sigmoid(-x), ratio)
    tilt = g * times(-MP.tanh(x / 2), ratio)
    outer = times(weight, power)
    return Truth(
        (times(outer, cost),),
        {
            "input": (times(outer, rest * sigmoid(x)), -times(outer, t * sigmoid(-x)), times(outer, over)),
            "target": (times(power * by_weight, cost), -times(outer, x), times(outer, tilt)),
            "alpha": ((times(power, cost) * (t - rest) if a >= 0 else MP.mpf(0)),),
            "gamma": (times(times(outer, cost), log_wrong),),
        },
    )


def multi_margin(*, input, target, weight=None, p=1, margin=1.0) -> Truth:
    classes, own = range(len(input)), MP.mpf(1) if weight is None else weight[target]
    lacking = [MP.mpf(margin) - input[target] + x for x in input]
    costs = [lacking[c] for c in classes if c != target and lacking[c] > 0]
    slope = [
        times(own, (1 if p == 1 else 2 * lacking[c]) / len(input))
        if c != target and lacking[c] > 0
        else MP.mpf(0)
        for c in classes
    ]
    cost = MP.fsum(d**p for d in costs) / len(input)
    return Truth(
        (times(own, cost),),
        {
            "input": [(-MP.fsum(slope),) if c == target else (slope[c],) for c in classes],
            "weight": [(cost if c == target else MP.mpf(0),) for c in classes],
            "margin": (MP.fsum(slope),),
        },
    )


def multilabel_margin(*, input, target) -> Truth:
    true = list(takewhile(lambda c: c >= 0, target))
    others = [c for c in range(len(input)) if c not in true]
    pairs = [(t, c) for t in true for c in others if 1 - input[t] + input[c] > 0]
    below, above = Counter(t for t, _ in pairs), Counter(c for _, c in pairs)
    return Truth(
        (MP.fsum(1 - input[t] + input[c] for t, c in pairs) / len(input),),
        {"input": [(MP.mpf(above[c] - below[c]) / len(input),) for c in range(len(input))]},
    )


def multilabel_soft_margin(*, input, target, weight=None) -> Truth:
    classes = range(len(input))
    w = weight or [MP.mpf(1)] * len(input)
    costs = [(times(t, softplus(-x)), times(1 - t, softplus(x))) for x, t in zip(input, target, strict=True)]
    count = len(input)
    return Truth(
        tuple(times(w[c], part) / count for c in classes for part in costs[c]),
        {
            "input": [
                tuple(
                    times(w[c], part) / count
                    for part in (
                        times(1 - target[c], sigmoid(input[c])),
                        -times(target[c], sigmoid(-input[c])),
                    )
                )
                for c in classes
            ],
            "target": [(-times(w[c], input[c]) / count,) for c in classes],
            "weight": [tuple(part / count for part in costs[c]) for c in classes],
        },
    )


def softplus(x: Number) -> Number:
    if x == MP.ninf:
        return MP.mpf(0)
    return MP.log1p(exp(x)) if x < 0 else x + MP.log1p(exp(-x))


def sigmoid(x: Number) -> Number:
    return 1 / (1 + exp(-x)) if x > 0 else exp(x) / (1 + exp(x))
