"""The options that go with every loss, as a pydantic model."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from lossd.declaration.loss import GENERAL_ARRAYS, GENERAL_OPTIONS
from lossd.engine.reductions import REDUCTIONS
from lossd.message import Array

ReductionName = Literal["none", "sum", "mean", "batchmean", "weighted_mean"]
assert set(ReductionName.__args__) == set(REDUCTIONS)  # type: ignore[attr-defined]  # typing hides it


class _Tensor:
    """Lets a model carry an array as it is."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls._check)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"format": "tensor"}

    @staticmethod
    def _check(value: Any) -> Array:
        if isinstance(value, np.ndarray):
            return value
        raise ValueError("an array of numbers")


Tensor = Annotated[Array, _Tensor]


class Options(BaseModel):
    """The options that go with every loss."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        arbitrary_types_allowed=True,
        protected_namespaces=(),
    )

    reduction: ReductionName | list[ReductionName] = "mean"
    """How the losses become a result; several names give several results."""
    gradient: bool | str | list[str] = False
    """Whether to return gradients, or the name or names of the arguments and settings to differentiate."""
    upstream: Tensor | None = None
    """Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if absent."""
    hessian: bool | str | list[str] = False
    """Whether to return the diagonal of the Hessian, or the name or names of the arguments whose it is."""
    hvp: Tensor | None = None
    """Direction to multiply the Hessian with, in the shape of the argument that is differentiated."""
    sample_weight: Tensor | None = None
    """Factor on each unreduced loss; broadcasts against it."""
    mask: Tensor | None = None
    """Which unreduced losses take part; what it leaves out reaches neither value nor gradient."""
    axis: int | list[int] | None = None
    """Axes of the unreduced loss to reduce over; all if absent."""
    denominator: Annotated[float, Field(gt=0)] | None = None
    """What averages divide by, in place of the loss's own denominator."""
    empty: Literal["error", "nan", "zero"] = "error"
    """What a mean over nothing is."""
    broadcast: bool = False
    """Whether arrays of unequal shape broadcast as in NumPy, instead of being refused."""
    check_finite: bool = False
    """Whether NaN and infinity in an array are refused."""
    check_target: Literal["domain", "strict", "none"] = "domain"
    """How far the values of the target are checked: also that probabilities sum to 1, or not at all."""
    dtype: Literal["float16", "bfloat16", "float32", "float64", "complex64", "complex128"] | None = None
    """Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the arrays."""
    convention: Literal["gbm"] | None = None
    """`gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's entry names."""
    size_average: bool | None = None
    """PyTorch's old spelling of `reduction`."""
    reduce: bool | None = None
    """PyTorch's old spelling of `reduction`."""
    encoding: Literal["list", "base64"] = "list"
    """How JSON writes the arrays of the answer."""


assert {*GENERAL_ARRAYS, *GENERAL_OPTIONS} == set(Options.model_fields)
