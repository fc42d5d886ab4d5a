"""What gradient boosting libraries make of a loss's derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lossd.message import Array


@dataclass(frozen=True)
class Boosting:
    """What gradient boosting libraries use where it is not the derivative itself.

    Attributes:
        library: Whose objective it is, for people; empty where no library has the loss.
        gradient: Factor on the gradient.
        hessian: Turns each row's second derivative, and the weight that is in it, into what the
            libraries divide by; for pullbacks, the diagonal of the weighted sum's Hessian, and 1.
    """

    library: str = ""
    gradient: float = 1.0
    hessian: Callable[[Array, Array | float], Array] = lambda hessian, weight: hessian


AS_DERIVED = Boosting()
"""The derivatives themselves, where no boosting library has the loss."""
