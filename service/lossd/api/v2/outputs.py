"""The outputs of a request to infer: what the engine is asked for, and what is taken from its answer.

An output is named after the part of the answer it is, and the argument where it is of one: ``gradient.input``.
Where a request has several reductions, it is named after its own as well: ``loss.mean``, ``gradient.mean.input``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from lossd.declaration.loss import Loss
from lossd.engine.reductions import REDUCTIONS
from lossd.errors import excerpt, invalid
from lossd.message import DERIVATIVES, Answer, Array, Call
from lossd.wire.open_inference.request import Inference, Output

REPORTED = ("count", "denominator")


def call_for(loss: Loss, inference: Inference) -> Call:
    """Return the call whose answer holds every output; without any asked for, the gradients.

    Raises:
        InvalidCall: An output is none of the loss.
    """
    call = inference.call
    if inference.outputs:
        _check_outputs(loss, inference.outputs, _several(call.options.get("reduction")))
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
        return {name: array for name, array in values.items() if name not in REPORTED}
    for index, output in enumerate(inference.outputs):
        if output.name not in values:
            raise invalid(f"outputs[{index}].name", f"one of {', '.join(values)}", excerpt(output.name))
    return {output.name: values[output.name] for output in inference.outputs}


def _several(reduction: Any) -> list[str]:
    """Return the reductions that a request has, if there are several: only then do outputs carry their names."""
    names = [name for name in REDUCTIONS if name in reduction] if isinstance(reduction, list) else []
    return names if len(names) > 1 else []


def _check_outputs(loss: Loss, outputs: tuple[Output, ...], reductions: list[str]) -> None:
    of_reductions = [f".{reduction}" for reduction in reductions] or [""]
    possible = [
        *(f"loss{of}" for of in of_reductions),
        *REPORTED,
        *(
            f"{kind}{of}.{name}"
            for kind in DERIVATIVES
            for of in of_reductions
            for name in loss.differentiable
        ),
    ]
    for index, output in enumerate(outputs):
        if output.name not in possible:
            expected = f"an output of {loss.name} ({', '.join(possible)})"
            raise invalid(f"outputs[{index}].name", expected, excerpt(output.name))


def _asked_options(outputs: tuple[Output, ...]) -> dict[str, Any]:
    """Return the options that make the engine compute what these outputs need."""
    parts = [output.name.split(".") for output in outputs]
    gradient = list(dict.fromkeys(path[-1] for kind, *path in parts if kind == "gradient"))
    hessian = any(kind == "hessian" for kind, *_ in parts)
    return {"gradient": gradient or False} | ({"hessian": True} if hessian else {})


def _values(answer: Answer) -> Mapping[str, Array]:
    """Name every array of an answer."""
    several = len(answer.loss) > 1
    values = {f"loss.{reduction}" if several else "loss": value for reduction, value in answer.loss.items()}
    for kind in DERIVATIVES:
        for reduction, by_name in getattr(answer, kind).items():
            of = f"{kind}.{reduction}" if several else kind
            values |= {f"{of}.{name}": array for name, array in by_name.items()}
    values |= {"count": np.asarray(answer.count, np.int64), "denominator": np.asarray(answer.denominator)}
    return {name: np.asarray(array) for name, array in values.items()}
