"""Validates a call: every argument, setting and option by its type and range, in one typed request.

The same pydantic model validates a call and documents it. Arrays pass through it as they are, for a
codec has read them already; `bind` looks at their shapes and `check` at their values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationError, create_model

from lossd.declaration.alias import Alias
from lossd.declaration.loss import Loss
from lossd.declaration.picture import Slider, setting_slider
from lossd.declaration.signature import Argument
from lossd.engine.options import Options, Tensor
from lossd.engine.request_errors import error_of, excess_of
from lossd.errors import invalid
from lossd.message import Array, Call

_GROUP = "Sizes of lists of unequal length, (N); their items come one after the other, in arrays without a batch axis."


@dataclass(frozen=True, slots=True)
class Request:
    """A validated call.

    Attributes:
        loss: The loss to evaluate.
        settings: Every setting of the loss.
        options: The general options; those that are arrays are in the fields below.
        arrays: The loss's arguments that are given, in the order of the declaration.
        sample_weight: Factor on each unreduced loss.
        mask: Which unreduced losses take part.
        upstream: Gradient of what follows with respect to each unreduced loss.
        directions: Argument to the direction with which to multiply the Hessian.
        group: The sizes of lists that come one after the other.
    """

    loss: Loss
    settings: Mapping[str, Any]
    options: Options
    arrays: Mapping[str, Array]
    sample_weight: Array | None
    mask: Array | None
    upstream: Array | None
    directions: Mapping[str, Array]
    group: Array | None

    def of_arrays(self, arrays: Mapping[str, Array]) -> Request:
        """Return a request like this one for other arrays of the same names, shapes and types."""
        return _request(self.loss, self.settings, self.options, arrays)

    @property
    def has_general_arrays(self) -> bool:
        """Whether it has arrays besides the loss's arguments."""
        general = (self.sample_weight, self.mask, self.upstream, self.group)
        return bool(self.directions) or any(array is not None for array in general)


@cache
def request_model(loss: Loss) -> type[Options]:
    """Return the model of a request for ``loss``: its arguments, its settings, the general options.

    Under an alias defaults and reductions are those of its framework.
    """
    fields: dict[str, Any] = {argument.name: _tensor_field(argument, loss) for argument in loss.arguments}
    fields.update(loss.settings)
    for name, argument in loss.directions.items():
        text = f"Direction of `{argument}` in a Hessian-vector product; several are one direction together."
        fields[field_name(name)] = (Tensor | None, Field(None, alias=name, description=text))
    if loss.ragged:
        fields["group"] = (Tensor | None, Field(None, description=_GROUP))
    if loss.alias is not None:
        fields.update(_fields_under(loss.alias, loss))
    model = create_model(f"{loss.name}_request", __base__=Options, **fields)
    model.__doc__ = loss.summary
    return model


def sliders_of(loss: Loss) -> Mapping[str, Slider]:
    """Return the sliders of the settings that are worth varying, by name."""
    schema = request_model(loss).model_json_schema()["properties"]
    found = {
        name: loss.sliders.get(name) or setting_slider(schema[name], default)
        for name, (_, default) in loss.settings.items()
    }
    return {name: slider for name, slider in found.items() if slider is not None}


def validate(loss: Loss, call: Call) -> Request:
    """Validate a call, and fill in defaults.

    Raises:
        InvalidCall: A name is unknown or missing, or a setting or an option is out of its range.
        TypeError: An array is among the call's options.
    """
    if any([isinstance(option, np.ndarray) for option in call.options.values()]):
        raise TypeError("expected every array in Call.arrays, got one in Call.options")
    model, given = request_model(loss), {**call.options, **call.arrays}
    excess = excess_of(loss, given)
    if excess is not None:
        raise excess
    try:
        options = model.__pydantic_validator__.validate_python(given)
    except ValidationError as error:
        raise error_of(loss, given, error) from None
    if options.partial is not None:
        raise invalid("partial", "a whole call: POST /v1/losses/{name} alone takes parts", "a part")
    return _request(loss, {name: options.__dict__[name] for name in loss.settings}, options, call.arrays)


def _request(
    loss: Loss, settings: Mapping[str, Any], options: Options, arrays: Mapping[str, Array]
) -> Request:
    """Sort the arrays of a call."""
    given = {name: arrays[name] for name in loss.by_name if name in arrays}
    directions = {name: arrays[key] for key, name in loss.directions.items() if key in arrays}
    if "hvp" in arrays:
        first = next((name for name in loss.gradient if name in given), loss.gradient[0])
        directions = {first: arrays["hvp"], **directions}
    return Request(
        loss,
        settings,
        options,
        arrays=given,
        sample_weight=arrays.get("sample_weight"),
        mask=arrays.get("mask"),
        upstream=arrays.get("upstream"),
        directions=directions,
        group=arrays.get("group"),
    )


def field_name(direction: str) -> str:
    """Return the field of a request model that holds a direction such as ``hvp.input``."""
    return direction.replace(".", "_")


def _tensor_field(argument: Argument, loss: Loss) -> tuple[Any, Any]:
    text = f"{argument.domain}, of shape {argument.shape}"
    if argument.optional or argument.name in loss.one_of:
        return Tensor | None, Field(None, description=text)
    return Tensor, Field(description=text)


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
