"""The special functions of likelihoods, from SciPy (the extra ``special``), imported when one is first called.

All are ufuncs or made of them: float32 stays float32, and dual numbers have their derivatives. Errors are those
measured against mpmath, in ulps of the result.
"""

from __future__ import annotations

from math import pi, sqrt
from typing import Any

import numpy as np


def log_gamma(x: Any) -> Any:
    """Return the logarithm of the gamma function, x > 0.

    For negative_binomial and student_t_nll. Within 6 ulps, times 1 + the condition
    number, which is large beside the roots 1 and 2.
    """
    return _scipy().gammaln(x)


def digamma(x: Any) -> Any:
    """Return the derivative of `log_gamma`, x > 0, within 2 ulps."""
    return _scipy().digamma(x)


def trigamma(x: Any) -> Any:
    """Return the derivative of `digamma`, x > 0, as the Hurwitz zeta function of 2, within 4 ulps."""
    return _scipy().zeta(np.asarray(2, x.dtype), x)


def log_normal_distribution(x: Any) -> Any:
    """Return the logarithm of the standard normal distribution function, for all x.

    For aft with normal errors. Within 3 ulps, above 0 times 1 + x**2, the condition
    number there.
    """
    return _scipy().log_ndtr(x)


def normal_hazard(x: Any) -> Any:
    """Return the derivative of `log_normal_distribution`: the normal's density over its distribution function.

    As sqrt(2 / pi) / erfcx(-x / sqrt(2)): a quotient of the two would be 0 / 0 below -38. Within 5 ulps, above 0
    times 1 + x**2, the condition number there.
    """
    return sqrt(2 / pi) / _scipy().erfcx(x * -sqrt(0.5))


def _scipy() -> Any:
    from scipy import special  # type: ignore[import-untyped]  # SciPy has no type hints

    return special
