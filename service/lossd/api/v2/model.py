"""A loss as a model of the Open Inference Protocol: its name, its one version, its tensors.

Inputs are the loss's arguments; outputs are `loss`, a gradient of each argument that has
one, and on request what else an answer holds. The protocol wants one datatype and one rank for each, where lossd
takes several: it states those of an ordinary batch of float32, -1 for each axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from pydantic import BaseModel, ConfigDict, Field

from lossd.declaration.domain import Kind
from lossd.declaration.loss import Loss
from lossd.declaration.signature import Argument
from lossd.errors import UnknownLoss
from lossd.losses import find
from lossd.wording import quoted

PLATFORM = "lossd"
VERSION = "1"
_DATATYPES: Mapping[Kind, str] = {"real": "FP32", "whole": "INT64", "boolean": "BOOL"}


class TensorMetadata(BaseModel):
    """An input or an output of a model."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    name: str
    datatype: str
    """The usual one; others of its kind are taken too, and the outputs have the inputs' precision."""
    shape: list[int]
    """-1 for an axis of any length; a batch may have more axes than stand here."""
    parameters: dict[str, bool]
    """`optional`: whether an input may be left out, or an output comes only when asked for."""


class ModelMetadata(BaseModel):
    """A loss as a model."""

    name: str
    versions: list[str] = Field(min_length=1)
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


def find_model(name: str, version: str | None = None) -> Loss:
    """Return the loss of that name or alias.

    Raises:
        UnknownLoss: There is none, or not in that version.
    """
    loss = find(name)
    if version not in (None, VERSION):
        raise UnknownLoss(f"expected version {VERSION} of {loss.name}, got {quoted(str(version))}")
    return loss


@cache
def describe_model(loss: Loss) -> ModelMetadata:
    """Return what the protocol says of a model."""
    arguments = loss.arguments
    by_name = {argument.name: argument for argument in arguments}
    return ModelMetadata(
        name=loss.name,
        versions=[VERSION],
        platform=PLATFORM,
        inputs=[_tensor(a.name, a, optional=a.optional or a.name in loss.one_of) for a in arguments],
        outputs=[
            _tensor("loss"),
            *(
                _tensor(f"gradient.{name}", by_name.get(name), optional=name not in loss.gradient)
                for name in loss.differentiable
            ),
        ],
    )


def _tensor(name: str, argument: Argument | None = None, *, optional: bool = False) -> TensorMetadata:
    """Describe an array in the shape of an argument, or a number."""
    kind: Kind = "real"
    if argument is not None and not name.startswith("gradient."):
        kind = argument.role.forms[0].domain.kind
    return TensorMetadata(
        name=name,
        datatype=_DATATYPES[kind],
        shape=[-1] * _rank(argument) if argument is not None else [],
        parameters={"optional": optional},
    )


def _rank(argument: Argument) -> int:
    """Return the rank of an argument with one batch axis."""
    pattern = argument.role.forms[0].pattern
    return len(pattern.core) + pattern.batched
