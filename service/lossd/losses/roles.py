"""This file is the vocabulary of declarations: the roles and settings that many losses share.

``N`` is a number of samples, ``C`` of classes, ``D`` of dimensions, ``Q`` of quantiles, ``T`` of time steps.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lossd.losses.domain import PROBABILITY, WEIGHT, Distribution, Index, Interval, Whole
from lossd.losses.spec import Role
from lossd.message import Array

# One number per row.
Real = Annotated[Array, Role()]
Probability = Annotated[Array, Role(domain=PROBABILITY)]
# A factor on each row's value, of the batch's shape, or of one that broadcasts to it.
RowWeight = Annotated[Array, Role(domain=WEIGHT)]
Factor = Annotated[Array, Role(shape="broadcast to (...)", domain=WEIGHT, extent="broadcast")]

# One number per class of each row. As in PyTorch the classes stand behind the samples.
_CLASSES = "(C), (N, C) or (N, C, d1, ..., dK)"
_LABELS = "(), (N) or (N, d1, ..., dK)"
_BELIEF = Role(shape=_CLASSES, core=("C",), axes=(1,), domain=Distribution())
_LABEL = Role(shape=_LABELS, domain=Index("C"), differentiable=False)
Logits = Annotated[Array, Role(shape=_CLASSES, core=("C",), axes=(1,))]
LogProbability = Annotated[Array, Role(shape=_CLASSES, core=("C",), axes=(1,))]
# As in optax the classes are the last axis.
LOGITS_LAST = Role(shape="(..., C)", core=("C",))
TARGET_LAST = Role(
    domain=Index("C"),
    differentiable=False,
    instead=Role(shape="(..., C)", core=("C",), domain=Distribution()),
)
ClassIndex = Annotated[Array, _LABEL]
ClassIndexOrBelief = Annotated[
    Array, Role(shape=_LABELS, domain=Index("C"), differentiable=False, instead=_BELIEF)
]
ClassWeight = Annotated[Array, Role(shape="(C)", core=("C",), domain=WEIGHT, extent="shared")]

# A vector per row.
Embedding = Annotated[Array, Role(shape="(..., D)", core=("D",))]
PerQuantile = Annotated[Array, Role(shape="(..., Q)", core=("Q",))]
Quantiles = Annotated[Array, Role(shape="(Q)", core=("Q",), domain=Interval(0.0, 1.0, open=True))]
# All elements along the axes that the setting ``axis`` names.
Pixels = Annotated[Array, Role(shape="(...)", core=("P",), axes="axis", domain=PROBABILITY)]
Label = Annotated[Array, Role(shape="(N)", domain=Whole(), differentiable=False)]

# Settings.
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
