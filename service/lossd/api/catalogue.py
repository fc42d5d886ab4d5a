"""Entries of the catalogue: what a loss is, for people and programs."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lossd.api.edge_entries import DenominatorEntry, EdgeEntry, denominator_entry, edge_entries
from lossd.declaration.loss import Loss
from lossd.declaration.picture import Picture
from lossd.engine import evaluate, request_model, sliders_of
from lossd.losses import LOSSES
from lossd.page.samples import example_call

TENSOR_REF = "#/components/schemas/Tensor"
_REFS = {"tensor": TENSOR_REF, "partial": "#/components/schemas/Partial"}  # by the engine's marks


class ArgumentEntry(BaseModel):
    """An array that a loss takes."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    name: str
    shape: str
    """The shape as people read it, for example `(N, C, d1, ..., dK)`."""
    values: str
    """What its elements may be."""
    differentiable: bool
    """Whether it can have a gradient."""
    optional: bool


class ExampleEntry(BaseModel):
    """A request worked out by hand, the value it has before any reduction, and what the service makes of both."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    request: dict[str, Any]
    value: Any
    mean: float
    """The mean of the values, as it is divided here."""
    gradient: dict[str, Any]
    """The gradient of the mean for each argument that the source differentiates."""


class AliasEntry(BaseModel):
    """Another framework's name for a loss."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    name: str
    framework: str
    defaults: dict[str, Any]
    """Settings and general options whose default is another under this name."""
    reductions: list[str]
    """The reductions that this name takes; all of them if empty."""
    difference: str
    """What differs under this name; empty if nothing does."""


class PictureEntry(BaseModel):
    """How a loss is drawn."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    kind: Literal["curve", "bars", "plane", "boxes", "lattice"]
    """A curve of one number; a row of numbers; vectors of two coordinates; two boxes; scores of symbols over time."""
    argument: str
    """The array whose numbers are moved."""
    at: list[int]
    """Where in the example the number stands along which the loss is drawn; empty for a curve."""
    low: float
    """The least number that is drawn."""
    high: float
    """The largest."""
    label: str
    """What such a number is, for the axis of a curve."""


class SliderEntry(BaseModel):
    """Between which ends a number is worth moving."""

    low: float
    high: float
    scale: Literal["linear", "log"]


class LossSummary(BaseModel):
    """What the list of losses says about each."""

    name: str
    family: str
    aliases: list[str]
    summary: str


class LossEntry(LossSummary):
    """All that the catalogue knows about a loss."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    description: str
    use: str
    """What it is for."""
    avoid: str
    """What it is not for, and what to call instead."""
    formula: str
    """The loss of one row, in LaTeX."""
    where: list[str]
    """What the formula's parts stand for, in LaTeX."""
    symbols: dict[str, str]
    """Argument or setting to its symbol in the formula, of those that it has."""
    source: str
    denominator: str
    """What a mean divides by."""
    mean: DenominatorEntry
    """The same as data."""
    edges: list[EdgeEntry]
    """Ties, zero, the ends of the domain, infinity, what is ignored: the loss there."""
    has_parts: bool
    """Whether rows stand alone, so that a call may be made in parts of rows (`partial`). At multiples of what the batch
    may be cut follows from types and other axes: the `rows_per_block` in the answer to one row as a part."""
    alias_details: list[AliasEntry]
    """The aliases with their frameworks, and what each changes."""
    boosting: str
    """Whose objective `convention: gbm` follows, at ties and in factors; empty where no library has the loss."""
    arguments: list[ArgumentEntry]
    settings: dict[str, Any] = Field(json_schema_extra={"additionalProperties": {"type": "object"}})
    """Setting to its JSON Schema."""
    differentiable_settings: list[str]
    """Settings that have a gradient too."""
    sliders: dict[str, SliderEntry]
    """Setting to the ends between which it is worth moving, of those that are numbers to move."""
    picture: PictureEntry
    """How it is drawn."""
    options: dict[str, Any] = Field(json_schema_extra={"additionalProperties": {"type": "object"}})
    """General option to its JSON Schema; they go with every loss."""
    example: ExampleEntry


def summarise(loss: Loss) -> LossSummary:
    """Return what the list of losses says about ``loss``."""
    return LossSummary(
        name=loss.name,
        family=loss.family,
        aliases=[alias.name for alias in loss.aliases],
        summary=loss.summary,
    )


@cache
def describe(loss: Loss) -> LossEntry:
    """Return all that the catalogue knows about ``loss``."""
    schema = request_schema(loss)["properties"]
    general = [name for name in schema if name not in loss.settings and name not in loss.by_name]
    return LossEntry(
        **summarise(loss).model_dump(),
        description=loss.description,
        use=loss.use,
        avoid=loss.avoid,
        formula=loss.formula,
        where=list(loss.where),
        symbols=dict(loss.symbol_names),
        source=loss.source,
        denominator=str(loss.denominator),
        mean=denominator_entry(loss.denominator),
        edges=edge_entries(loss),
        has_parts=not loss.whole_batch,
        alias_details=[
            AliasEntry(
                name=alias.name,
                framework=alias.framework,
                defaults=dict(alias.defaults),
                reductions=list(alias.reductions),
                difference=alias.difference,
            )
            for alias in loss.aliases
        ],
        boosting=loss.boosting.library,
        arguments=[
            ArgumentEntry(
                name=argument.name,
                shape=argument.shape,
                values=str(argument.domain),
                differentiable=argument.differentiable,
                optional=argument.optional,
            )
            for argument in loss.arguments
        ],
        settings={name: schema[name] for name in loss.settings},
        differentiable_settings=list(loss.differentiable_settings),
        sliders={
            name: SliderEntry(low=slider.low, high=slider.high, scale=slider.scale)
            for name, slider in sliders_of(loss).items()
        },
        picture=_picture(loss.picture),
        options={name: schema[name] for name in general},
        example=_example(LOSSES[loss.name]),  # an alias may offer no mean
    )


def _example(loss: Loss) -> ExampleEntry:
    answer = evaluate(loss, example_call(loss, gradient=True))
    gradient = {name: array.tolist() for name, array in answer.gradient["mean"].items()}
    mean = float(answer.loss["mean"])
    return ExampleEntry(
        request=dict(loss.example.call), value=loss.example.value, mean=mean, gradient=gradient
    )


def _picture(picture: Picture) -> PictureEntry:
    return PictureEntry(
        kind=picture.kind,
        argument=picture.argument,
        at=list(picture.at),
        low=picture.low,
        high=picture.high,
        label=picture.label,
    )


def request_schema(loss: Loss) -> dict[str, Any]:
    """Return the JSON Schema of a request's body: arguments, settings, options.

    Tensors refer to the schema in the OpenAPI document.
    """
    schema: dict[str, Any] = _refer(request_model(loss).model_json_schema())
    properties = schema["properties"]
    first = [*loss.by_name, *loss.settings, *(["group"] if loss.ragged else [])]
    return {**schema, "properties": {name: properties[name] for name in dict.fromkeys([*first, *properties])}}


def _refer(schema: Any) -> Any:
    """Replace the engine's mark of a tensor, or of a part, by a reference to what JSON writes for one."""
    if isinstance(schema, list):
        return [_refer(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    members = {name: _refer(each) for name, each in schema.items() if name != "title"}
    if isinstance(text := members.get("description"), str):
        members["description"] = " ".join(text.split())  # a docstring's line breaks mean nothing
    found = _REFS.get(schema.get("format", ""))
    return {"$ref": found, **_without_format(members)} if found is not None else members


def _without_format(members: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in members.items() if name != "format"}
