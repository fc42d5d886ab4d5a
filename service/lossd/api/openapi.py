"""Writes the contract as an OpenAPI 3.1 document: one operation per loss, read off the declarations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import orjson
from fastapi import APIRouter, Response
from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

from lossd import __version__
from lossd.api import problems
from lossd.api.access_contract import add_access
from lossd.api.batch_contract import add_batch
from lossd.api.catalogue import request_schema
from lossd.api.combining import SUFFIX as COMBINE
from lossd.api.evaluation import PREFIX
from lossd.api.gradcheck import SUFFIX, GradientCheckEntry
from lossd.api.openapi_components import BINARY, PARAMETERS, SCHEMAS, Schema, ref
from lossd.api.openapi_parts import PARTS_SCHEMAS, combine_operation
from lossd.api.v2.contract import add_open_inference
from lossd.declaration.loss import Loss
from lossd.engine import evaluate
from lossd.losses import LOSSES
from lossd.wire import CODECS
from lossd.wire.json import codec as json_codec

PATH = "/openapi.json"
RESPONSES = {
    "400": "The body is not what its format says.",
    "404": "There is no such thing.",
    "406": "The caller accepts no format that can carry the answer.",
    "408": "The body came too slowly.",
    "413": "The body is larger than this server accepts.",
    "415": "The body's format is not one this server reads.",
    "422": "An array or a setting is missing, unknown, or not what the loss means by it.",
    "503": "The server has as much work as it accepts; try again after `Retry-After` seconds.",
    "504": "The call took longer than it may.",
}
OF_READING = {"list_losses": (), "livez": (), "readyz": ("503",), "metrics": ()}
DESCRIPTION = """\
Losses and their gradients over HTTP: arrays in, values and gradients out.

## What to post

`POST /v1/losses/{name}` takes one JSON object: the arguments of the loss and its settings under their
own names, and general options such as `reduction`, `gradient` and `mask`, all of which may be left out.

```json
{"input": [1, 2, 3], "target": [1, 2, 5], "delta": 1.0, "reduction": ["none", "mean"], "gradient": true}
```

The answer to this, from `/v1/losses/huber`, is keyed by reduction:

```json
{"loss": {"none": [0.0, 0.0, 1.5], "mean": 0.5},
 "gradient": {"none": {"input": [0.0, 0.0, -1.0]}, "mean": {"input": [0.0, 0.0, -0.3333333333333333]}},
 "count": 3, "denominator": 3.0}
```

An array is nested lists, or `{"dtype": "float32", "shape": [2, 3], "data": "<base64, little-endian>"}`. Numbers that
are not finite are the strings `"NaN"`, `"Infinity"` and `"-Infinity"`. Large arrays travel as safetensors, MessagePack
or npz, chosen by `Content-Type` and `Accept`.

## How errors look

An error is `application/problem+json` (RFC 9457). `detail` is a sentence, and `errors` names each
place, what belongs there and what was there. With `"delta": -1` in the request above it is

```json
{"type": "/problems/invalid-call", "title": "invalid call", "status": 422,
 "detail": "expected a number > 0, got number -1 - at `delta`",
 "errors": [{"at": "delta", "expected": "a number > 0", "got": "number -1"}]}
```

## The catalogue

[`GET /v1/losses`](v1/losses) lists every loss, and [`GET /v1/losses/huber`](v1/losses/huber)
has all about one: formula, source, arguments, settings, options, aliases and an example.
"""
FAMILIES = {
    "regression": "How far a predicted number is from the true one.",
    "classification": "How far scores or probabilities are from the true class.",
    "likelihood": "How unlikely a target is under a predicted distribution.",
    "divergence": "How far one distribution is from another.",
    "boxes": "How far a predicted box is from covering the true one.",
    "quantile": "Predictions that are too low a given share of the time.",
    "overlap": "How far a predicted region is from covering the true one.",
    "embedding": "Distances between vectors: like near like, far from the rest.",
    "ranking": "The order of lists: relevant items first.",
    "reinforcement": "How far estimated values are from the returns that followed.",
    "sequence": "Labels or tags of a sequence.",
    "survival": "The time until an event, which may be censored.",
    "transport": "What it costs to move one distribution to another.",
}


def add_document(router: APIRouter) -> None:
    """Add the route of the document, which describes those that the router has."""
    body = orjson.dumps(document(router.routes))

    async def show_document() -> Response:
        return Response(body, media_type="application/json")

    router.add_api_route(PATH, show_document, methods=["GET", "HEAD"], include_in_schema=False)


def document(routes: Sequence[BaseRoute]) -> Schema:
    """Describe every operation of these routes."""
    base = get_openapi(
        title="lossd",
        version=__version__,
        description=DESCRIPTION,
        license_info={"name": "MIT", "identifier": "MIT"},
        servers=[{"url": "/", "description": "The server that this document came from."}],
        routes=routes,
        tags=_tags(),
    )
    for path in base["paths"].values():
        _describe_reading(path["get"])
    schemas = {
        name: schema for name, schema in base["components"]["schemas"].items() if "Validation" not in name
    }
    schemas |= SCHEMAS | PARTS_SCHEMAS
    for loss in LOSSES.values():
        schemas[_schema_name(loss)] = {**request_schema(loss), "title": _schema_name(loss)}
        base["paths"][PREFIX + loss.name] = {"post": _operation(loss)}
    schemas |= gradcheck_schemas()
    base["paths"][PREFIX + "{name}" + SUFFIX] = {"post": gradcheck_operation()}
    failures = {status: ref("responses", f"Problem{status}") for status in RESPONSES}
    base["paths"][PREFIX + "{name}" + COMBINE] = {"post": combine_operation(failures, BINARY)}
    base["components"] = {"schemas": dict(sorted(schemas.items())), "responses": _problem_responses()}
    add_batch(base, {s: ref("responses", f"Problem{s}") for s in RESPONSES if s != "404"})
    add_open_inference(base)
    add_access(base)
    return base


def _tags() -> list[Schema]:
    families = dict.fromkeys(loss.family for loss in LOSSES.values())
    return [
        *({"name": family, "description": _of_family(family)} for family in families),
        {
            "name": "catalogue",
            "description": "Every loss with its formula, arguments, settings and an example.",
        },
        {"name": "parts", "description": "Calls in parts, over many requests or machines."},
        {"name": "checks", "description": "Gradients against differences of the loss."},
        {"name": "health", "description": "For orchestrators and load balancers."},
        {"name": "problems", "description": "The types of error, explained."},
    ]


def _of_family(family: str) -> str:
    if family not in FAMILIES:
        raise ValueError(f"expected a sentence for the family {family} in FAMILIES of {__name__}")
    return FAMILIES[family]


def _describe_reading(operation: Schema) -> None:
    """Give a slow route its sentence, and the problems it can answer with in place of FastAPI's own 422."""
    operation["summary"] = operation.pop("description")
    operation["responses"].pop("422", None)
    for status in OF_READING.get(operation["operationId"], ("404",)):
        operation["responses"][status] = ref("responses", f"Problem{status}")


def _operation(loss: Loss) -> Schema:
    request = {**loss.example.call, "gradient": True}
    body = {"schema": ref("schemas", _schema_name(loss)), "example": request}
    answer = {"schema": ref("schemas", "Answer"), "example": _answer(loss, orjson.dumps(request))}
    return {
        "operationId": loss.name,
        "tags": [loss.family],
        "summary": loss.summary.replace("`", ""),  # a summary is plain text
        "description": _description(loss),
        "parameters": PARAMETERS,
        "requestBody": {"required": True, "content": _in_every_format(body)},
        "responses": {
            "200": {
                "description": "The loss per reduction, and what else was asked for.",
                "content": _in_every_format(answer),
            },
            **{status: ref("responses", f"Problem{status}") for status in RESPONSES},
        },
    }


@cache
def _answer(loss: Loss, body: bytes) -> Any:
    """Return the answer to a request, to as many digits as are the same on every machine."""
    call = json_codec.decode_call(body, loss.array_names)
    answer = b"".join(json_codec.encode_answer(evaluate(loss, call), call))
    return json.loads(answer, parse_float=lambda digits: float(f"{float(digits):.6g}") + 0.0)  # no -0.0


def gradcheck_operation() -> Schema:
    """Describe the check of a gradient, which every loss has."""
    huber = LOSSES["huber"]
    request = dict(huber.example.call)
    body = {"schema": ref("schemas", "AnyCall"), "example": request}
    name = {
        "name": "name",
        "in": "path",
        "required": True,
        "description": "A loss, by its name or an alias.",
        "schema": {"type": "string"},
        "example": huber.name,
    }
    return {
        "operationId": "gradcheck",
        "tags": ["checks"],
        "summary": "Compare the gradient of a call with differences of its loss.",
        "description": "The body is that of a call of the loss; its `gradient` names what is checked, by default what "
        "the loss's source differentiates. Each number is moved to either side by falling steps, in float64: the "
        "answer has the largest deviation and where it is. Kinks are told apart. A number takes 4 to 8 evaluations "
        "where the loss is smooth, and at most 24, which limits on work assume.",
        "parameters": [name, *PARAMETERS],
        "requestBody": {"required": True, "content": _in_every_format(body)},
        "responses": {
            "200": {
                "description": "The largest deviations.",
                "content": {"application/json": {"schema": ref("schemas", "GradientCheckEntry")}},
            },
            **{status: ref("responses", f"Problem{status}") for status in RESPONSES},
        },
    }


def gradcheck_schemas() -> Schema:
    """Return the schemas of a check and of its answer."""
    schema = GradientCheckEntry.model_json_schema(
        mode="serialization", ref_template="#/components/schemas/{model}"
    )
    any_call = {
        "description": "A call of the loss that the path names: its arguments, its settings and the general options.",
        "type": "object",
        "additionalProperties": True,
    }
    return {**schema.pop("$defs"), "GradientCheckEntry": schema, "AnyCall": any_call}


def _description(loss: Loss) -> str:
    """Describe a loss in Markdown, which has no formulas: for that it points to the catalogue."""
    entry = PREFIX + loss.name
    parts = [
        loss.description,
        f"Source: {loss.source}",
        _aliases(loss),
        f"[`GET {entry}`]({entry.removeprefix('/')}) has the formula and describes arguments and settings.",
    ]
    return "\n\n".join(part for part in parts if part)


def _in_every_format(of_text: Schema) -> Schema:
    """Describe a body in each format; what is not text has no schema that a reader of JSON could use."""
    return {media_type: of_text if codec.is_text else BINARY for media_type, codec in CODECS.items()}


def _aliases(loss: Loss) -> str:
    if not loss.aliases:
        return ""
    names = ", ".join(f"`{alias.name}` ({alias.framework})" for alias in loss.aliases)
    return f"Also known as {names}. The path takes these names too, each with its framework's defaults."


def _problem_responses() -> Schema:
    content = {problems.MEDIA_TYPE: {"schema": ref("schemas", "Problem")}}
    responses: Schema = {
        f"Problem{s}": {"description": text, "content": content} for s, text in RESPONSES.items()
    }
    retry = {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}}
    responses["Problem503"] = {**responses["Problem503"], "headers": {"Retry-After": retry}}
    return responses


def _schema_name(loss: Loss) -> str:
    """Name the request schema of a loss: ``cross_entropy`` is ``CrossEntropyRequest``."""
    return "".join(word.capitalize() for word in loss.name.split("_")) + "Request"
