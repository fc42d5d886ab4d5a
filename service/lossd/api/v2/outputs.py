"""This file is which outputs a request to infer gets: what the engine is asked for, and what is taken of its answer.

An output is named after the part of the answer it is, and the argument where it is of one: ``gradient.input``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from lossd.errors import invalid
from lossd.losses.spec import Loss
from lossd.message import Answer, Array, Call
from lossd.wire.open_inference import Inference, Output

PLAIN = ("loss", "count", "denominator")
DERIVATIVES = ("gradient", "hessian", "hvp")


def call_for(loss: Loss, inference: Inference) -> Call:
    """Return the call whose answer holds every output; without any asked for, the gradients.

    Raises:
        InvalidCall: An output is none of the loss, or there is more than one reduction.
    """
    if inference.outputs:
        _check_outputs(loss, inference.outputs)
    call = inference.call
    if isinstance(call.options.get("reduction"), list):
        raise invalid("parameters.reduction", "one reduction, for outputs are not named after it", "a list")
    asked = _asked_options(inference.outputs) if inference.outputs else {}
    # The arrays are this request's alone, wherever they lie.
    return replace(call, options={"gradient": True, **call.options, **asked}, owned=True)


def outputs_of(answer: Answer, inference: Inference) -> dict[str, Array]:
    """Return the outputs by name, in the order they were asked for.

    Raises:
        InvalidCall: The answer lacks an output that was asked for.
    """
    values = _values(answer)
    if not inference.outputs:
        return {name: array for name, array in values.items() if name not in ("count", "denominator")}
    for index, output in enumerate(inference.outputs):
        if output.name not in values:
            raise invalid(f"outputs[{index}].name", f"one of {', '.join(values)}", output.name)
    return {output.name: values[output.name] for output in inference.outputs}


def _check_outputs(loss: Loss, outputs: tuple[Output, ...]) -> None:
    possible = [*PLAIN, *(f"{kind}.{name}" for kind in DERIVATIVES for name in loss.differentiable)]
    for index, output in enumerate(outputs):
        if output.name not in possible:
            expected = f"an output of {loss.name} ({', '.join(possible)})"
            raise invalid(f"outputs[{index}].name", expected, output.name[:40])


def _asked_options(outputs: tuple[Output, ...]) -> dict[str, Any]:
    """Return the options that make the engine compute what these outputs need."""
    parts = [output.name.partition(".") for output in outputs]
    gradient = [name for kind, _, name in parts if kind == "gradient"]
    hessian = any(kind == "hessian" for kind, _, _ in parts)
    return {"gradient": gradient or False} | ({"hessian": True} if hessian else {})


def _values(answer: Answer) -> Mapping[str, Array]:
    """Name every array of an answer to a call with one reduction."""
    values = {"loss": _only(answer.loss)}
    for kind in DERIVATIVES:
        by_reduction: Mapping[str, Mapping[str, Array]] = getattr(answer, kind)
        if by_reduction:
            values.update({f"{kind}.{name}": array for name, array in _only(by_reduction).items()})
    values |= {"count": np.asarray(answer.count, np.int64), "denominator": np.asarray(answer.denominator)}
    return {name: np.asarray(array) for name, array in values.items()}


def _only(by_reduction: Mapping[str, Any]) -> Any:
    (value,) = by_reduction.values()
    return value
