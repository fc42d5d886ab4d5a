"""The table of fused kernels: second forms of a few losses, which give value and gradient in one pass over a block."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import NamedTuple

from lossd.declaration.loss import Loss
from lossd.declaration.result import Kernel

Function = Callable[..., float]


class FusedKernel(NamedTuple):
    """A fused kernel.

    Attributes:
        function: The function; see `fused`.
        accepts: The names it takes: a call that uses others goes to the loss's own kernel.
        speed: How many operations of the loss's cost it does in the time of one, over values in float32.
    """

    function: Function
    accepts: frozenset[str]
    speed: float


_USUAL_SPEED = 4.0

FUSED: dict[Kernel, list[FusedKernel]] = {}
"""A loss's kernel to its fused kernels; the first that covers a call answers it."""


def fused(declared: Loss, *, speed: float = _USUAL_SPEED) -> Callable[[Function], Function]:
    """Make the decorated function a fused kernel of a loss.

    It computes the same as the kernel in one pass over a block: it writes ``scale`` times the gradient
    to ``out`` and returns the sum of the values. It takes the arguments and settings that its signature
    names, with ``scale`` (a scalar of the computing dtype), ``out`` (a block of the argument's shape, one for each
    argument in ``gradient`` if there are several) and ``scratch`` (a `Scratch`). It may rely on the domains of its
    arguments. A call with an argument that it does not name, with another than the default of a setting it does not
    name, or with values that are not to be checked, is computed by the kernel. ``out`` may be the memory of the
    arguments themselves: what is still needed of an argument is read before its gradient is written. Where a
    result leaves the range of its type it may raise FloatingPointError while its arguments are as they were, whatever
    it has written to an ``out`` apart from them: the block is then computed by the kernel, in a wider type if need be.

    Args:
        declared: The loss.
        speed: How many operations of the loss's cost it does in the time of one, over values in float32.

    Raises:
        TypeError: The function takes a name that the loss does not have.
    """
    known = {*declared.by_name, *declared.settings, "scale", "out", "scratch"}

    def attach(function: Function) -> Function:
        accepts = frozenset(inspect.signature(function).parameters)
        if unknown := accepts - known:
            raise TypeError(
                f"{function.__name__}: expected names of {declared.name}, got {', '.join(unknown)}"
            )
        FUSED.setdefault(declared.kernel, []).append(FusedKernel(function, accepts, speed))
        return function

    return attach
