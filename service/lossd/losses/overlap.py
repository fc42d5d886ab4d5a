"""This file is the overlap losses: how well a predicted region covers the true one."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from lossd.losses.roles import Differentiable, NonNegative, Pixels
from lossd.losses.spec import Example, Terms, loss


@loss(
    aliases=("Dice", "DiceLoss", "dice_loss", "soft_dice"),
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
    pixels = (len(input), -1)
    overlap = 2 * np.vecdot(input, target) + smooth
    extent = input.sum(axis=1) + target.sum(axis=1) + smooth
    ratio = overlap / extent
    base = (ratio / extent).reshape(pixels)
    step = (2 / extent).reshape(pixels)
    return Terms(
        1 - ratio,
        {
            "input": lambda: base - step * target,
            "target": lambda: base - step * input,
            "smooth": lambda: (ratio - 1) / extent,
        },
        lambda: step * (step * target - base),
    )
