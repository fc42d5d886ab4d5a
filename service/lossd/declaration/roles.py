"""The vocabulary of declarations: roles and settings that many losses share."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from lossd.declaration.domain import (
    BOOLEAN,
    PROBABILITY,
    SIGN,
    WEIGHT,
    Distribution,
    Interval,
    Whole,
)
from lossd.declaration.index_domain import Index
from lossd.declaration.picture import Slider
from lossd.declaration.role import Role
from lossd.declaration.signature import Differentiable
from lossd.message import Array

# One number per row.
Real = Annotated[Array, Role()]
Score = Annotated[Array, Role(holds="score")]
LogProbability = Annotated[Array, Role(holds="log_probability")]
Probability = Annotated[Array, Role(domain=PROBABILITY)]
Sign = Annotated[Array, Role(domain=SIGN)]
# A factor on each row's value, of the batch's shape, or of one that broadcasts to it.
RowWeight = Annotated[Array, Role(domain=WEIGHT)]
Factor = Annotated[Array, Role(domain=WEIGHT, broadcasts=True)]

# One number per class of each row; the setting class_axis says where the classes stand.
CLASS_AXIS = {"C": "class_axis"}
_PER_CLASS = Role("(..., C)", axes=CLASS_AXIS)
_CLASS_PROBABILITIES = replace(_PER_CLASS, domain=Distribution())
Logits = Annotated[Array, replace(_PER_CLASS, holds="score")]
LogProbabilities = Annotated[Array, replace(_PER_CLASS, holds="log_probability")]
ClassIndex = Annotated[Array, Role(domain=Index("C"), ignored="ignore_index")]
ClassIndexOrProbabilities = Annotated[
    Array, Role(domain=Index("C"), ignored="ignore_index", alternative=_CLASS_PROBABILITIES)
]
ClassWeight = Annotated[Array, Role("(C)", domain=WEIGHT)]

# A vector per row.
Embedding = Annotated[Array, Role("(..., D)")]
PerQuantile = Annotated[Array, Role("(..., Q)")]
Quantiles = Annotated[Array, Role("(Q)", domain=Interval(0.0, 1.0, closed="neither"))]
# All elements along the axes that the option axis names.
Pixels = Annotated[Array, Role("(..., P)", domain=PROBABILITY, axes={"P": "axis"}, flattened=True)]

# The items of one batch, which are compared with one another.
Items = Annotated[Array, Role("(N, D)")]
ItemLabels = Annotated[Array, Role("(N)", domain=Whole())]
Event = Annotated[Array, Role("(N)", domain=BOOLEAN)]

# Settings.
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Temperature = Annotated[Positive, Differentiable, Slider(0.05, 2.0, "log")]
