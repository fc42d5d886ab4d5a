"""This file is the overlap losses: how well a predicted region covers the true one."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from lossd.losses.alias import Alias
from lossd.losses.roles import Differentiable, NonNegative, Pixels
from lossd.losses.scratch import Scratch
from lossd.losses.spec import Example, Terms, loss, tuned
from lossd.losses.sums import row_dots, row_totals
from lossd.message import Array


@loss(
    aliases=(
        Alias(
            "Dice",
            "Keras",
            "The default of `smooth` is 0: Keras' 1e-7 below the fraction is not copied, so an empty region is NaN.",
            defaults={"smooth": 0.0},
        ),
    ),
    formula=(
        r"\ell = 1 - \frac{2I + \sigma}{S + \sigma},\quad I = \textstyle\sum_i x_i t_i,\ S = \sum_i (x_i + t_i)"
    ),
    source="Milletari, Navab and Ahmadi (2016), V-Net; Keras, losses.Dice",
    example=Example(input=[1.0, 0.5, 0.5, 0.0], target=[1.0, 1.0, 0.0, 0.0], smooth=0.0, value=0.25),
)
def dice(
    input: Pixels,
    target: Pixels,
    *,
    axis: int | list[int] | None = None,
    smooth: Annotated[NonNegative, Differentiable] = 1e-7,
) -> Terms:
    """One minus the Dice coefficient of the pixels along ``axis``, all of them if it is absent.

    ``axis`` takes the place of the general option of that name: the axes that it leaves are the unreduced loss.
    """
    ratio, base, step = _ratios(input, target, smooth)
    extent = 2 / step[:, 0]
    return Terms(
        1 - ratio,
        {
            "input": lambda: base - step * target,
            "target": lambda: base - step * input,
            "smooth": lambda: (ratio - 1) / extent,
        },
        lambda: step * (step * target - base),
    )


@tuned(dice)
def dice_block(
    input: Array, target: Array, *, axis: Any, smooth: float, scale: Any, out: Array, scratch: Scratch
) -> float:
    """Write the gradient in place: a region may be as large as the whole call."""
    ratio, base, step = _ratios(input, target, smooth)
    np.multiply(target, (-scale * step).astype(out.dtype), out=out)
    np.add(out, (scale * base).astype(out.dtype), out=out)
    return float(np.add.reduce(1 - ratio))


def _ratios(input: Array, target: Array, smooth: float) -> tuple[Array, Array, Array]:
    """Return each region's Dice coefficient, and what its gradient ``base - step * target`` is made of."""
    overlap = 2 * row_dots(input, target) + smooth
    extent = row_totals(input) + row_totals(target) + smooth
    ratio = overlap / extent
    return ratio, (ratio / extent)[:, None], (2 / extent)[:, None]
