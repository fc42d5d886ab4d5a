"""Likelihoods and divergences restated in exact arithmetic, as in `formulas`."""

from __future__ import annotations

from tests.oracle.exact import MP, Number, exp, scaled, times
from tests.oracle.formulas import Truth


def poisson_nll(*, input, target, log_input=True, full=False, eps=1e-8) -> Truth:
    x, t, nothing = input, target, MP.mpf(0)
    if log_input:
        rate, slope, log_rates = exp(x), (exp(x), -t), (x,)
    else:
        y = x + MP.mpf(eps)
        # That y is rounded shows in its logarithm as an error of 1: an addend.
        rate, slope, log_rates = x, (MP.mpf(1), -t / y if t else nothing), (log(y) - 1, MP.mpf(1))
    if rate == MP.inf:
        return Truth((rate,), {"input": slope, "target": (-log_rates[0],)})
    if not (full and t > 1):
        value = (rate, *(-times(t, part) for part in log_rates))
        return Truth(value, {"input": slope, "target": scaled(log_rates, -1)})
    # Near the optimum the terms cancel: what is left of them is one addend.
    with MP.workdps(2 * MP.dps):
        log_rate = MP.fsum(log_rates)
        left = rate - t * log_rate + t * MP.log(t) - t
        logarithms = (MP.log(t), -x) if log_input else (MP.log(t) - log_rate,)
    gradient = {"input": slope, "target": (*logarithms, 1 / (2 * t))}
    return Truth((left, MP.log(2 * MP.pi * t) / 2), gradient)


def gaussian_nll(*, input, target, var, full=False, eps=1e-6) -> Truth:
    r = input - target
    v = var if MP.isnan(var) else max(var, MP.mpf(eps))
    square = r * r / v
    half = MP.mpf(1) / 2
    constant = (MP.log(2 * MP.pi) * half,) if full else ()
    gradient = {"input": (r / v,), "target": (-r / v,), "var": (half / v, -half * square / v)}
    return Truth((half * MP.log(v), half * square, *constant), gradient)


def kl_div(*, input, target, log_target=False) -> Truth:
    if log_target:
        if target == MP.ninf:
            return Truth((MP.mpf(0),), {"input": (MP.mpf(0),), "target": (MP.mpf(0),)})
        p, log_p = exp(target), target
        addends = times(p, log_p), -times(p, input)
        return Truth(addends, {"input": (-p,), "target": (*addends, p)})
    if target == 0:
        return Truth((MP.mpf(0),), {"input": (MP.mpf(0),), "target": (MP.ninf,)})
    excess = log(target), -input
    return Truth(scaled(excess, target), {"input": (-target,), "target": (*excess, MP.mpf(1))})


def log(x: Number) -> Number:
    """Return the real logarithm; NaN where there is none."""
    return MP.nan if x < 0 else MP.log(x)
