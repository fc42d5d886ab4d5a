"""Fused kernels of the likelihoods and divergences."""

from __future__ import annotations

from math import isfinite, log, pi
from typing import Any

import numpy as np

from lossd.fused.table import fused
from lossd.losses.divergence.kullback_leibler import kl_div
from lossd.losses.likelihood.counts import poisson_nll
from lossd.losses.likelihood.normal import gaussian_nll
from lossd.message import Array
from lossd.numerics.scratch import Scratch
from lossd.numerics.stable import EXP_RANGE, held
from lossd.numerics.sums import dot, total, total_of_any_sign


@fused(poisson_nll)
def poisson_nll_block(
    input: Array, target: Array, *, log_input: bool, eps: float, scale: Any, out: Array, scratch: Scratch
) -> float:
    """Share one exponential, or logarithm, between loss and gradient; weigh the other term by a dot product."""
    if not log_input:
        return _poisson_nll_of_rates(input, target, eps, scale, out, scratch)
    rate = np.exp(input, out=scratch.empty("rate", input))
    value = _finite(total(rate) - dot(target, input))
    np.subtract(rate, target, out=rate)
    np.multiply(rate, scale, out=out)
    return value


def _poisson_nll_of_rates(
    input: Array, target: Array, eps: float, scale: Any, out: Array, scratch: Scratch
) -> float:
    shift = held(eps, input.dtype)
    if shift is not eps or not np.minimum.reduce(input) + eps > 0:
        raise FloatingPointError
    rate = np.add(input, eps, out=scratch.empty("rate", input))
    logarithm = np.log(rate, out=scratch.empty("logarithm", input))
    value = _finite(total(input) - dot(target, logarithm))
    share = np.divide(target, rate, out=rate)
    np.multiply(np.subtract(1, share, out=share), scale, out=out)
    return value


@fused(gaussian_nll)
def gaussian_nll_block(
    input: Array,
    target: Array,
    var: Array,
    *,
    full: bool,
    eps: float,
    scale: Any,
    out: tuple[Array, Array],
    scratch: Scratch,
) -> float:
    """Take r / v once: the square over v is its product with r, and it is the mean's gradient."""
    if held(eps, var.dtype) is not eps:
        raise FloatingPointError
    residual = np.subtract(input, target, out=scratch.empty("residual", input))
    v = np.maximum(var, var.dtype.type(eps), out=scratch.empty("variance", input))
    slope = np.divide(residual, v, out=scratch.empty("slope", input))
    square = np.multiply(residual, slope, out=residual)  # now over the variance
    logarithm = total_of_any_sign(np.log(v, out=scratch.empty("logarithm", input)))
    constant = input.size * log(2 * pi) if full else 0.0
    squares = total(square)
    value = _finite(0.5 * (logarithm + squares + constant))
    if not squares + 1 < float(np.finfo(v.dtype).max) / 8 * float(np.minimum.reduce(v)):
        raise FloatingPointError  # what is divided by the variance may overflow
    np.multiply(slope, scale, out=out[0])
    np.divide(np.subtract(1, square, out=square), v, out=square)
    np.multiply(square, 0.5 * scale, out=out[1])
    return value


@fused(kl_div)
def kl_div_block(
    input: Array, target: Array, *, log_target: bool, scale: Any, out: Array, scratch: Scratch
) -> float:
    """Weigh the difference of logarithms by a dot product; a target of 0 has the least logarithm there is."""
    if log_target:
        return _kl_div_of_logarithms(input, target, scale, out, scratch)
    if not np.minimum.reduce(target) >= 0:
        raise FloatingPointError
    least = scratch.full(float(np.finfo(target.dtype).smallest_subnormal), target)
    excess = np.maximum(target, least, out=scratch.empty("excess", target))
    np.log(excess, out=excess)
    np.subtract(excess, input, out=excess)
    value = _finite(dot(target, excess))
    np.multiply(target, -scale, out=out)
    return value


def _kl_div_of_logarithms(input: Array, target: Array, scale: Any, out: Array, scratch: Scratch) -> float:
    if not np.minimum.reduce(target) > -EXP_RANGE[target.dtype.char]:
        raise FloatingPointError
    excess = np.subtract(target, input, out=scratch.empty("excess", target))
    probability = np.exp(target, out=scratch.empty("probability", target))
    value = _finite(dot(probability, excess))
    np.multiply(probability, -scale, out=out)
    return value


def _finite(value: float) -> float:
    """Return a sum of which nothing overflowed or is NaN.

    Raises:
        FloatingPointError: Something did.
    """
    if isfinite(value):
        return value
    raise FloatingPointError
