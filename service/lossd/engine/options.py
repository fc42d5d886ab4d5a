"""The options that go with every loss, as a pydantic model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from lossd.declaration.general_names import GENERAL_ARRAYS, GENERAL_OPTIONS
from lossd.engine.reductions import REDUCTIONS
from lossd.errors import invalid
from lossd.message import Array, Partial
from lossd.wording import quoted, shown

ReductionName = Literal["none", "sum", "mean", "batchmean", "weighted_mean"]
_MOST_ROWS = 2**53  # of a whole batch: what every language's numbers can count
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


class _Partial:
    """Lets a model carry what says which part of a larger call a call is."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(read_partial)

    @staticmethod
    def __get_pydantic_json_schema__(schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"format": "partial"}


def read_partial(value: Any) -> Partial:
    """Read the option ``partial``.

    Raises:
        InvalidCall: It is no object, or does not say where the part begins; the error names the place.
    """
    if not isinstance(value, Mapping):
        raise invalid("partial", 'an object such as {"first": 0, "of": 1000}', shown(value))
    for name in value:
        if name not in Partial._fields:
            raise invalid("partial", f"the members {', '.join(Partial._fields)}", quoted(str(name)))
    first, selected = value.get("first"), value.get("selected", False)
    if type(first) is not int or not 0 <= first < _MOST_ROWS:
        raise invalid("partial.first", "a whole number >= 0", shown(first))
    if type(selected) is not bool:
        raise invalid("partial.selected", "true or false", shown(selected))
    of = value.get("of")
    if "of" in value and (type(of) is not int or not first <= of < _MOST_ROWS):
        raise invalid("partial.of", f"how many rows all parts have together, {first} or more", shown(of))
    return Partial(first, selected, of)


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
    """`none` keeps every loss, `mean` divides their sum by the loss's denominator, `batchmean` by the size of axis 0,
    `weighted_mean` by the sum of the weights; several names give several results."""
    gradient: bool | str | list[str] = False
    """Gradients to return: those that the loss's source takes if true, or those by the arguments and settings named."""
    upstream: Tensor | None = None
    """Gradient of what follows with respect to each unreduced loss, for the reduction `none`; ones if absent."""
    hessian: bool | str | list[str] = False
    """Diagonals of the Hessian to return: that of the first argument if true, or those of the arguments named."""
    hvp: Tensor | None = None
    """Direction to multiply the Hessian with, in the shape of the first argument that is differentiated."""
    sample_weight: Tensor | None = None
    """Factor on each unreduced loss; broadcasts against it."""
    mask: Tensor | None = None
    """True for each unreduced loss that takes part; the others reach neither value nor gradient. It broadcasts."""
    axis: int | list[int] | None = None
    """Axes of the unreduced loss to reduce over; all if absent."""
    denominator: Annotated[float, Field(gt=0)] | None = None
    """What averages divide by, in place of the loss's own denominator."""
    empty: Literal["error", "nan", "zero"] = "error"
    """Result of a mean over zero elements: a 422, NaN or 0."""
    broadcast: bool = False
    """Whether arrays of unequal shape broadcast as in NumPy, instead of being refused."""
    check_finite: bool = False
    """Whether NaN and infinity in an array are refused."""
    check_target: Literal["domain", "strict", "none"] = "domain"
    """How far values are checked: `strict` also that probabilities sum to 1, `none` no real values of the target."""
    dtype: Literal["float16", "bfloat16", "float32", "float64", "complex64", "complex128"] | None = None
    """Type of the answer, that of the arrays if absent; arithmetic is in it or in the widest type of the arrays."""
    convention: Literal["gbm"] | None = None
    """`gbm`: gradient and Hessian diagonal of the sum, as in the boosting library that the loss's entry names."""
    size_average: bool | None = None
    """PyTorch's old spelling of `reduction`, with `reduce`."""
    reduce: bool | None = None
    """PyTorch's old spelling of `reduction`, with `size_average`."""
    encoding: Literal["list", "base64"] = "list"
    """How JSON writes the arrays of the answer: as nested lists, or as base64 of their bytes."""
    partial: Annotated[Partial, _Partial] | None = None
    """The call is a part of a larger one: `{"first": 0, "of": 1000}` says where along the first axis of the whole batch
    it begins, and how many rows that has. The answer has a `part`, which `/combine` takes with those of the other rows.
    """


assert {*GENERAL_ARRAYS, *GENERAL_OPTIONS} == set(Options.model_fields)
