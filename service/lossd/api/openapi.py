"""Writes the contract as an OpenAPI 3.1 document: one operation per loss, read off the declarations."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from lossd.api import problems
from lossd.api.catalogue import request_schema
from lossd.api.evaluation import PREFIX
from lossd.api.v2.contract import add_open_inference
from lossd.declaration.loss import Loss
from lossd.engine import evaluate
from lossd.errors import MOST_DETAILS
from lossd.losses import LOSSES
from lossd.wire import CODECS
from lossd.wire.json import codec as json_codec

Schema = dict[str, Any]

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
OF_READING = {"list_losses": (), "livez": (), "readyz": ("503",)}
DESCRIPTION = "Losses and their gradients over HTTP: arrays in, values and gradients out."
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


def document(app: FastAPI) -> Schema:
    """Describe every operation of the application."""
    base = get_openapi(
        title=app.title,
        version=app.version,
        description=DESCRIPTION,
        license_info={"name": "MIT", "identifier": "MIT"},
        servers=[{"url": "/", "description": "The server that this document came from."}],
        routes=app.routes,
        tags=_tags(),
    )
    for path in base["paths"].values():
        _describe_reading(path["get"])
    schemas = {
        name: schema for name, schema in base["components"]["schemas"].items() if "Validation" not in name
    }
    schemas |= SCHEMAS
    for loss in LOSSES.values():
        schemas[_schema_name(loss)] = {**request_schema(loss), "title": _schema_name(loss)}
        base["paths"][PREFIX + loss.name] = {"post": _operation(loss)}
    base["components"] = {"schemas": dict(sorted(schemas.items())), "responses": _problem_responses()}
    add_open_inference(base)
    return {**base, "security": []}  # no scheme: whoever reaches the server may call it


def _tags() -> list[Schema]:
    families = dict.fromkeys(loss.family for loss in LOSSES.values())
    return [
        *({"name": family, "description": _of_family(family)} for family in families),
        {
            "name": "catalogue",
            "description": "Every loss with its formula, arguments, settings and an example.",
        },
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
        operation["responses"][status] = _ref("responses", f"Problem{status}")


def _operation(loss: Loss) -> Schema:
    request = {**loss.example.call, "gradient": True}
    body = {"schema": _ref("schemas", _schema_name(loss)), "example": request}
    answer = {"schema": _ref("schemas", "Answer"), "example": _answer(loss, orjson.dumps(request))}
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
            **{status: _ref("responses", f"Problem{status}") for status in RESPONSES},
        },
    }


@cache
def _answer(loss: Loss, body: bytes) -> Any:
    """Return the answer to a request, to as many digits as are the same on every machine."""
    call = json_codec.decode_call(body, loss.tensors)
    answer = b"".join(json_codec.encode_answer(evaluate(loss, call), call))
    return json.loads(answer, parse_float=lambda digits: float(f"{float(digits):.6g}") + 0.0)  # no -0.0


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
    content = {problems.MEDIA_TYPE: {"schema": _ref("schemas", "Problem")}}
    responses: Schema = {
        f"Problem{s}": {"description": text, "content": content} for s, text in RESPONSES.items()
    }
    retry = {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}}
    responses["Problem503"] = {**responses["Problem503"], "headers": {"Retry-After": retry}}
    return responses


def _schema_name(loss: Loss) -> str:
    """Name the request schema of a loss: ``cross_entropy`` is ``CrossEntropyRequest``."""
    return "".join(word.capitalize() for word in loss.name.split("_")) + "Request"


def _ref(kind: str, name: str) -> Schema:
    return {"$ref": f"#/components/{kind}/{name}"}


BINARY = {"schema": {"type": "string", "format": "binary"}}

PARAMETERS = [
    {
        "name": "Request-Timeout",
        "in": "header",
        "description": "Seconds after which the answer is of no use; the server stops there with a 504.",
        "schema": {"type": "number", "exclusiveMinimum": 0},
    },
    {
        "name": "X-Request-ID",
        "in": "header",
        "description": "Name of this request in the server's log; the response repeats it, or has a new one.",
        "schema": {"type": "string", "maxLength": 128},
    },
    {
        "name": "options",
        "in": "query",
        "description": "Settings and general options by their names, in place of the body: for the formats "
        "that hold nothing but arrays. A value is read as JSON, or else as text; text with commas and a repeated "
        "name are a list.",
        "style": "form",
        "explode": True,
        "example": {},  # a documentation page would otherwise send a made-up name
        "schema": {"type": "object", "additionalProperties": True},
    },
]

DTYPES = [
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
]

# A schema that refers to itself would say that the lists nest, but the generators of Python clients refuse it.
LISTS = {
    "description": "Equally shaped lists, as deep as the array has axes, of numbers or of booleans.",
    "type": "array",
    "items": {},
}

SCHEMAS: Schema = {
    "Number": {
        "description": "A number; JSON has no others, so NaN and the infinities are strings.",
        "anyOf": [{"type": "number"}, {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}],
    },
    "ComplexTensor": {
        "description": "The real and the imaginary part of an array, equally shaped.",
        "type": "object",
        "required": ["real", "imag"],
        "additionalProperties": False,
        "properties": {part: {"anyOf": [_ref("schemas", "Number"), LISTS]} for part in ("real", "imag")},
    },
    "EncodedTensor": {
        "description": "An array as base64 of its elements, little-endian, the last axis varying fastest.",
        "type": "object",
        "required": ["dtype", "shape", "data"],
        "additionalProperties": False,
        "properties": {
            "dtype": {"type": "string", "enum": DTYPES},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
            "data": {"type": "string", "contentEncoding": "base64"},
        },
    },
    "Tensor": {
        "description": "An array in any of the ways JSON can write one.",
        "anyOf": [
            _ref("schemas", "Number"),
            {"type": "boolean"},
            LISTS,
            _ref("schemas", "EncodedTensor"),
            _ref("schemas", "ComplexTensor"),
        ],
    },
    "Answer": {
        "description": "What a call came to. Values are keyed by reduction, so that each has one type.",
        "type": "object",
        "required": ["loss", "count", "denominator"],
        "properties": {
            "loss": {
                "description": "Reduction to value.",
                "type": "object",
                "additionalProperties": _ref("schemas", "Tensor"),
            },
            **{
                name: {
                    "description": f"Reduction to argument to {text}.",
                    "type": "object",
                    "additionalProperties": _ref("schemas", "Tensors"),
                }
                for name, text in (
                    ("gradient", "the gradient, in the argument's own shape; only if asked for"),
                    ("hessian", "the diagonal of the Hessian; only if asked for"),
                    ("hvp", "the Hessian times the direction; only if asked for"),
                )
            },
            "count": {"type": "integer", "minimum": 0, "description": "Elements or samples that took part."},
            "denominator": {"description": "What averages divided by.", **_ref("schemas", "Tensor")},
            "warnings": {
                "description": "What the caller should know although the call succeeded.",
                "type": "array",
                "items": {"type": "string"},
            },
        },
    },
    "Tensors": {"type": "object", "additionalProperties": _ref("schemas", "Tensor")},
    "ErrorDetail": {
        "description": "One thing that is wrong, and where.",
        "type": "object",
        "required": ["at", "expected", "got"],
        "properties": {
            "at": {"type": "string", "description": "Path of the value, for example `target[3]`."},
            "expected": {"type": "string"},
            "got": {"type": "string"},
        },
    },
    "Problem": {
        "description": "An error (RFC 9457).",
        "type": "object",
        "required": ["type", "title", "status", "detail", "errors"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "errors": {"type": "array", "items": _ref("schemas", "ErrorDetail"), "maxItems": MOST_DETAILS},
            "errors_left_out": {
                "description": "How many more errors there are; absent if none.",
                "type": "integer",
                "minimum": 1,
            },
        },
    },
}
