"""This file is what a caller may ask: the general options, and the model of a request for one loss.

The same pydantic model validates a call and documents it. Arrays pass through it as they are, for a
codec has read them already; their shapes and values are the business of `arrange` and of the blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from reprlib import Repr
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, ValidationError, create_model
from pydantic_core import CoreSchema, core_schema

from lossd.engine.reduce import REDUCTIONS
from lossd.errors import MOST_FAULTS, Fault, InvalidCall, excerpt, invalid
from lossd.losses.alias import Alias
from lossd.losses.spec import GENERAL_ARRAYS, GENERAL_OPTIONS, Argument, Loss
from lossd.message import Array, Call
from lossd.spelling import did_you_mean

ReductionName = Literal["none", "sum", "mean", "batchmean", "weighted_mean"]
assert set(ReductionName.__args__) == set(REDUCTIONS)  # type: ignore[attr-defined]  # typing hides it

# What pydantic is asked to check: of more, it would report each element of each member of a union.
_MOST_NAMES = 100
_LONGEST_LIST = 64  # NumPy has no more axes
_HINTED = 3  # unknown names that are compared with the known ones
_LISTED = 10
_LONGEST_SHOWN = 40


class _Tensor:
    """Lets a model carry an array as it is; how it is written is the business of the wire format."""

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
    hessian: bool = False
    """Whether to return the diagonal of the Hessian."""
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


@cache
def request_model(loss: Loss) -> type[Options]:
    """Return the model of a request for ``loss``: its arguments, its settings, the general options.

    A loss's own setting takes the place of a general option of the same name. Under an alias defaults and
    reductions are those of its framework.
    """
    fields: dict[str, Any] = {}
    for argument in loss.arguments + loss.vectors:
        fields[argument.name] = _tensor_field(argument, loss)
    fields.update(loss.settings)
    if loss.alias is not None:
        fields.update(_fields_under(loss.alias, loss))
    model = create_model(f"{loss.name}_request", __base__=Options, **fields)
    model.__doc__ = loss.summary
    return model


def _fields_under(alias: Alias, loss: Loss) -> dict[str, tuple[Any, Any]]:
    """Return the fields that are others under an alias: their types and defaults."""
    fields: dict[str, tuple[Any, Any]] = {}
    for name in dict.fromkeys([*alias.defaults, *(["reduction"] if alias.reductions else [])]):
        if name in loss.settings:
            fields[name] = (loss.settings[name][0], alias.defaults[name])
            continue
        general = Options.model_fields[name]
        hint: Any = general.annotation
        if name == "reduction" and alias.reductions:
            one: Any = Literal.__getitem__(alias.reductions)
            hint = one | list[one]
        default = alias.defaults.get(name, general.default)
        fields[name] = (hint, Field(default, description=general.description))
    return fields


def read_request(loss: Loss, call: Call) -> dict[str, Any]:
    """Return every argument, setting and option of a call by name, validated, defaults filled in.

    Raises:
        InvalidCall: A name is unknown or missing, or a setting or an option is out of its range.
    """
    model, given = request_model(loss), {**call.options, **call.arrays}
    _refuse_excess(loss, model, given)
    try:
        request = model.__pydantic_validator__.validate_python(given)
    except ValidationError as error:
        raise InvalidCall(faults=_faults(loss, given, error)) from None
    values: dict[str, Any] = request.__dict__
    return values


def _refuse_excess(loss: Loss, model: type[Options], given: Mapping[str, Any]) -> None:
    """Refuse more names than there are, and lists longer than any option has."""
    if len(given) > _MOST_NAMES:
        unknown = [name for name in given if name not in model.model_fields]
        raise InvalidCall(
            faults=[
                _unknown(loss, name, place < _HINTED) for place, name in enumerate(unknown[:MOST_FAULTS])
            ],
            left_out=len(unknown[MOST_FAULTS:]),
        )
    for name, value in given.items():
        if value.__class__ is list and len(value) > _LONGEST_LIST:
            raise invalid(name, f"at most {_LONGEST_LIST} items", len(value))


def _tensor_field(argument: Argument, loss: Loss) -> tuple[Any, Any]:
    text = f"{argument.domain}, of shape {argument.shape}"
    if argument.optional or argument.name in loss.one_of:
        return Tensor | None, Field(None, description=text)
    return Tensor, Field(description=text)


def _faults(loss: Loss, given: Mapping[str, Any], error: ValidationError) -> list[Fault]:
    """Say of each failure where it is, what belongs there and what was there, in one fault a place."""
    faults: dict[str, Fault] = {}
    unknown = 0
    for entry in error.errors(include_url=False):
        name, *path = entry["loc"]
        at = str(name) + "".join(f"[{part}]" for part in path if isinstance(part, int))
        if entry["type"] == "missing":
            fault = Fault(at, f"{_describe(loss, str(name))}", _absent(loss, given))
        elif entry["type"] == "extra_forbidden":
            fault = _unknown(loss, at, unknown < _HINTED)
            unknown += 1
        else:
            fault = Fault(at, _expectation(entry), _shown(entry["input"]))
        known = faults.get(at)
        faults[at] = known._replace(expected=f"{known.expected} or {fault.expected}") if known else fault
    # Where a list is wrong at an element, that it is no single value is beside the point.
    lists = {at.partition("[")[0] for at in faults if at.endswith("]")}
    return [
        fault._replace(expected=fault.expected + _scope(loss, at))
        for at, fault in faults.items()
        if at not in lists
    ]


def _describe(loss: Loss, name: str) -> str:
    argument = next((a for a in loss.arguments + loss.vectors if a.name == name), None)
    return f"{argument.domain} of shape {argument.shape}" if argument else f"the setting {name}"


def _scope(loss: Loss, at: str) -> str:
    """Say where an alias narrows the reductions, and how to have all of them."""
    if loss.alias is None or not loss.alias.reductions or at.partition("[")[0] != "reduction":
        return ""
    return f" under the name {loss.alias.name} ({loss.name} takes every reduction)"


def _unknown(loss: Loss, name: str, hinted: bool) -> Fault:
    if loss.alias is not None and name in loss.alias.advice:
        return Fault(name, f"{loss.alias.advice[name]} under the name {loss.alias.name}", repr(name))
    own = [a.name for a in loss.arguments + loss.vectors] + list(loss.settings)
    hint = did_you_mean(name, [*own, *Options.model_fields]) if hinted else ""
    expected = f"an argument or setting of {loss.name} ({', '.join(own)}) or a general option"
    return Fault(excerpt(name), expected, f"{excerpt(name)!r}{hint}")


_WORDS = {
    "float_type": "a number",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "string_type": "a string",
    "list_type": "a list",
    "finite_number": "a finite number",
    "int_from_float": "a whole number",
}


def _expectation(entry: Mapping[str, Any]) -> str:
    """Complete "expected ..." for one of pydantic's errors."""
    context = entry.get("ctx", {})
    match entry["type"]:
        case "greater_than":
            return f"a number > {context['gt']:g}"
        case "greater_than_equal":
            return f"a number >= {context['ge']:g}"
        case "less_than":
            return f"a number < {context['lt']:g}"
        case "less_than_equal":
            return f"a number <= {context['le']:g}"
        case "literal_error":
            return str(context["expected"])
        case "value_error":
            return str(context["error"])
        case kind:
            return _WORDS.get(kind, str(entry["msg"]))


_repr = Repr()
_repr.maxstring = _repr.maxother = 42


def _shown(value: Any) -> str:
    """Show a wrong value, briefly."""
    if value is None:
        return "null"
    kind = type(value).__name__
    text = "" if isinstance(value, np.ndarray) else _repr.repr(value)
    return f"{kind} {text}" if 0 < len(text) <= _LONGEST_SHOWN else kind


def _absent(loss: Loss, given: Mapping[str, Any]) -> str:
    """Say what a call without an array has in its place: the arrays, and names that are no one's."""
    names = [name for name in given if name not in loss.settings and name not in Options.model_fields]
    listed = ", ".join(sorted(excerpt(name, 40) for name in names[:_LISTED]))
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"nothing, only {listed}{more}" if names else "nothing"
