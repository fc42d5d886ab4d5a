"""The regression and classification losses of one row, restated in exact arithmetic.

Each follows the source that its loss names, number by number, and knows nothing of arrays or of our kernels.
Gradients are written out, not derived; `test_formulas.py` holds them against numerical differentiation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.oracle.exact import MP, Addends, Number, exp, scaled, times


class Truth(NamedTuple):
    """The exact loss of a row, and its gradient by argument: nested lists of addends."""

    value: Addends
    gradient: Mapping[str, Any]


def weighted(value: Addends, gradient: Mapping[str, Any], weight: Number | None) -> Truth:
    if weight is None:
        return Truth(value, gradient)
    if MP.isinf(weight):  # of addends that differ in sign or vanish it would leave nothing
        value, gradient = (MP.fsum(value),), {name: (MP.fsum(part),) for name, part in gradient.items()}
    by = {name: scaled(partial, weight) for name, partial in gradient.items()}
    return Truth(scaled(value, weight), {**by, "weight": value})


def mse(*, input, target, weight=None) -> Truth:
    r = input - target
    return weighted((r * r,), {"input": (2 * r,), "target": (-2 * r,)}, weight)


def l1(*, input, target, weight=None) -> Truth:
    r = input - target
    slope = MP.sign(r)  # 0 at the kink
    return weighted((abs(r),), {"input": (slope,), "target": (-slope,)}, weight)


def huber(*, input, target, weight=None, delta=1.0) -> Truth:
    r, d = input - target, MP.mpf(delta)
    if abs(r) < d:
        value, slope, by_delta = (r * r / 2,), (r,), (MP.mpf(0),)
    else:
        value, slope, by_delta = (d * (abs(r) - d / 2),), (d * MP.sign(r),), (abs(r), -d)
    return weighted(value, {"input": slope, "target": scaled(slope, -1), "delta": by_delta}, weight)


def smooth_l1(*, input, target, beta=1.0) -> Truth:
    r, b = input - target, MP.mpf(beta)
    if abs(r) < b:
        value, slope, by_beta = (r * r / (2 * b),), (r / b,), (-r * r / (2 * b * b),)
    else:
        value, slope, by_beta = (abs(r) - b / 2,), (MP.sign(r),), (MP.mpf(-1) / 2,)
    return Truth(value, {"input": slope, "target": scaled(slope, -1), "beta": by_beta})


def pseudo_huber(*, input, target, delta=1.0) -> Truth:
    r, d = input - target, MP.mpf(delta)
    h = MP.sqrt(r * r + d * d)
    excess = r * r / (h + d)  # h - d
    gradient = {"input": (d * r / h,), "target": (-d * r / h,), "delta": (excess * excess / h,)}
    return Truth((d * excess,), gradient)


def log_cosh(*, input, target) -> Truth:
    r = input - target
    size = abs(r)
    tail = exp(-2 * size)
    value = MP.log1p(2 * MP.sinh(size / 2) ** 2) if size < 1 else size - MP.log(2) + MP.log1p(tail)
    slope = MP.sign(r) * (MP.tanh(size) if size < 1 else (1 - tail) / (1 + tail))
    return Truth((value,), {"input": (slope,), "target": (-slope,)})


def cauchy(*, input, target, scale=1.0) -> Truth:
    r, c = input - target, MP.mpf(scale)
    u = (r / c) ** 2
    w = u / (1 + u)
    slope, by_scale = r / (1 + u), c * (_sum_of_powers(w) if u < 1 else MP.log1p(u) - w)
    return Truth((c * c / 2 * MP.log1p(u),), {"input": (slope,), "target": (-slope,), "scale": (by_scale,)})


def _sum_of_powers(w: Number) -> Number:
    """Return -log(1 - w) - w = w^2/2 + w^3/3 + ..."""
    if w < MP.mpf(10) ** -60:  # beyond two terms are more digits than are needed
        return w * w / 2 + w**3 / 3 + w**4 / 4
    with MP.workdps(MP.dps + 130):
        return -MP.log1p(-w) - w


def fair(*, input, target, c=1.0) -> Truth:
    r, c = input - target, MP.mpf(c)
    u = abs(r) / c
    if u < MP.mpf(10) ** -60:
        lag, by_c = u * u / 2 - u**3 / 3 + u**4 / 4, u**3 / 3 - u**4 / 2
    else:
        with MP.workdps(MP.dps + 200):
            lag = u - MP.log1p(u)
            by_c = 2 * lag - u * u / (1 + u)
    slope = r / (1 + u)
    return Truth((c * c * lag,), {"input": (slope,), "target": (-slope,), "c": (c * by_c,)})


def cross_entropy(*, input, target, weight=None, ignore_index=-100, label_smoothing=0.0) -> Truth:
    classes = range(len(input))
    if target == ignore_index:
        nothing = [(MP.mpf(0),) for _ in classes]
        return Truth((MP.mpf(0),), {"input": nothing, "weight": nothing})
    probabilities = target if isinstance(target, list) else [MP.mpf(c == target) for c in classes]
    eps, w = MP.mpf(label_smoothing), weight or [MP.mpf(1)] * len(input)
    q = [times(1 - eps, probabilities[c]) + eps / len(input) for c in classes]
    a = [times(q[c], w[c]) for c in classes]
    log_s, s, rest = _softmax(input)
    pull = [MP.fsum(a[j] for j in classes if j != c) for c in classes]
    return Truth(
        tuple(-times(a[c], log_s[c]) for c in classes),
        {
            # s_c sum_j w_j q_j - w_c q_c, the terms that would cancel taken out
            "input": [(s[c] * pull[c], -a[c] * rest[c]) for c in classes],
            "target": [(-times(times(1 - eps, w[c]), log_s[c]),) for c in classes],
            "weight": [(-times(q[c], log_s[c]),) for c in classes],
        },
    )


def _softmax(logits: list[Number]) -> tuple[list[Number], list[Number], list[Number]]:
    """Return log s, s and 1 - s; nothing where no class is possible, or more than one is certain."""
    classes = range(len(logits))
    top = max(logits, key=lambda x: MP.inf if MP.isnan(x) else x)
    below = [MP.mpf(0) if x == top == MP.inf and logits.count(x) == 1 else x - top for x in logits]
    total = MP.fsum(exp(x) for x in below)
    log_s = [x - MP.log(total) for x in below]
    s = [exp(lp) for lp in log_s]
    return log_s, s, [MP.fsum(s[j] for j in classes if j != c) if len(s) > 1 else 0 * s[0] for c in classes]


def nll(*, input, target, weight=None, ignore_index=-100) -> Truth:
    classes = range(len(input))
    own = MP.mpf(1) if weight is None or target == ignore_index else weight[target]
    hit = [MP.mpf(c == target != ignore_index) for c in classes]
    return Truth(
        tuple(-times(times(hit[c], own), input[c]) for c in classes),
        {
            "input": [(-times(hit[c], own),) for c in classes],
            "weight": [(-times(hit[c], input[c]),) for c in classes],
        },
    )


def bce(*, input, target, weight=None) -> Truth:
    log_x, log_rest = _bounded_log(input), _bounded_log(1 - input)
    slope = (input - target) / _at_least(input * (1 - input), MP.mpf(1e-12))
    gradient = {"input": (slope,), "target": (log_rest, -log_x)}
    return weighted((-target * log_x, -(1 - target) * log_rest), gradient, weight)


def bce_with_logits(*, input, target, weight=None, pos_weight=None) -> Truth:
    p = MP.mpf(1) if pos_weight is None else pos_weight
    missed, false = _softplus(-input), _softplus(input)
    positive = times(target, p)
    gradient = {
        "input": (times(1 - target, _sigmoid(input)), -times(positive, _sigmoid(-input))),
        "target": (-input,) if pos_weight is None else (times(p, missed), -false),
        "pos_weight": (times(target, missed),),
    }
    return weighted((times(positive, missed), times(1 - target, false)), gradient, weight)


def _bounded_log(x: Number) -> Number:
    return MP.mpf(-100) if x == 0 else _at_least(MP.log(x), MP.mpf(-100))


def _at_least(x: Number, bound: Number) -> Number:
    return x if MP.isnan(x) else max(x, bound)


def _softplus(x: Number) -> Number:
    if x == MP.ninf:
        return MP.mpf(0)
    return MP.log(1 + exp(x)) if x < 0 else x + MP.log(1 + exp(-x))


def _sigmoid(x: Number) -> Number:
    return 1 / (1 + exp(-x)) if x > 0 else exp(x) / (1 + exp(x))
