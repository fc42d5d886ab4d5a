"""Entries of the catalogue: what a loss is, for people and programs."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from lossd.declaration.loss import Loss
from lossd.engine import request_model

TENSOR_REF = "#/components/schemas/Tensor"


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
    """A request worked out by hand, and the value it has before any reduction."""

    request: dict[str, Any]
    value: Any


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
    formula: str
    """The loss of one row, in LaTeX."""
    source: str
    alias_details: list[AliasEntry]
    """The aliases with their frameworks, and what each changes."""
    boosting: str
    """Whose objective `convention: gbm` follows, at ties and in factors; empty where no library has the loss."""
    arguments: list[ArgumentEntry]
    settings: dict[str, Any] = Field(json_schema_extra={"additionalProperties": {"type": "object"}})
    """Setting to its JSON Schema."""
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
        formula=loss.formula,
        source=loss.source,
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
        options={name: schema[name] for name in general},
        example=ExampleEntry(request=dict(loss.example.call), value=loss.example.value),
    )


def request_schema(loss: Loss) -> dict[str, Any]:
    """Return the JSON Schema of a request's body; tensors refer to the schema in the OpenAPI document."""
    schema: dict[str, Any] = _refer(request_model(loss).model_json_schema())
    return schema


def _refer(schema: Any) -> Any:
    """Replace the engine's mark of a tensor by a reference to what JSON writes for one."""
    if isinstance(schema, list):
        return [_refer(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    members = {name: _refer(each) for name, each in schema.items() if name != "title"}
    return {"$ref": TENSOR_REF, **_without_format(members)} if schema.get("format") == "tensor" else members


def _without_format(members: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in members.items() if name != "format"}
