"""Batches in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping

from lossd.api.batch import PATH
from lossd.api.openapi_components import BINARY, PARAMETERS, Schema, ref
from lossd.wire import BATCH_CODECS
from lossd.wire.batch import MOST_CALLS

TAG: Schema = {"name": "batches", "description": "Many small calls in one request."}

SCHEMAS: Schema = {
    "BatchRequest": {
        "type": "object",
        "required": ["calls"],
        "additionalProperties": False,
        "properties": {
            "calls": {"type": "array", "maxItems": MOST_CALLS, "items": ref("schemas", "BatchCall")},
        },
    },
    "BatchCall": {
        "description": "A call with the name of its loss: its arguments, its settings and the general options, as in "
        "the request of that loss alone.",
        "type": "object",
        "required": ["loss"],
        "additionalProperties": True,
        "properties": {"loss": {"description": "A loss, by its name or an alias.", "type": "string"}},
    },
    "BatchResults": {
        "type": "object",
        "required": ["results"],
        "properties": {
            "results": {
                "description": "What each call came to, in the order of the calls.",
                "type": "array",
                "items": ref("schemas", "BatchResult"),
            }
        },
    },
    "BatchResult": {
        "description": "The answer to one call, or why it has none.",
        "type": "object",
        "required": ["status"],
        "properties": {
            "status": {
                "description": "The status that the call would have alone: 200 with an answer.",
                "type": "integer",
            },
            "answer": ref("schemas", "Answer"),
            "problem": ref("schemas", "Problem"),
        },
    },
}

EXAMPLE: Schema = {
    "calls": [
        {"loss": "mse", "input": [1, 2, 3], "target": [1, 2, 5], "reduction": "sum", "gradient": True},
        {"loss": "huber", "input": [1, 2, 3], "target": [1, 2, 5], "delta": -1},
    ]
}
ANSWER: Schema = {
    "results": [
        {
            "status": 200,
            "answer": {
                "loss": {"sum": 4.0},
                "gradient": {"sum": {"input": [0.0, 0.0, -4.0]}},
                "count": 3,
                "denominator": 3.0,
            },
        },
        {
            "status": 422,
            "problem": {
                "type": "/problems/invalid-call",
                "title": "invalid call",
                "status": 422,
                "detail": "expected a number > 0, got number -1 - at `calls[1].delta`",
                "errors": [{"at": "calls[1].delta", "expected": "a number > 0", "got": "number -1"}],
            },
        },
    ]
}


def add_batch(document: Schema, problems: Mapping[str, Schema]) -> None:
    """Add batches to the document; ``problems`` are the responses of every request that computes."""
    document["tags"].append(TAG)
    document["components"]["schemas"] = dict(sorted({**document["components"]["schemas"], **SCHEMAS}.items()))
    document["paths"][PATH] = {"post": _operation(problems)}


def _operation(problems: Mapping[str, Schema]) -> Schema:
    return {
        "operationId": "batch",
        "tags": [TAG["name"]],
        "summary": "Evaluate many small calls of any losses.",
        "description": f"At most {MOST_CALLS} calls, which together may cost what one call may. Each has an answer or "
        "a problem of its own, whose places begin with that of the call: `calls[3].input`. The request as a whole "
        "fails where its body is no batch, the calls together cost too much, or the time is over.",
        "parameters": [each for each in PARAMETERS if each["in"] == "header"],
        "requestBody": {
            "required": True,
            "content": _in_every_format({"schema": ref("schemas", "BatchRequest"), "example": EXAMPLE}),
        },
        "responses": {
            "200": {
                "description": "What each call came to.",
                "content": _in_every_format({"schema": ref("schemas", "BatchResults"), "example": ANSWER}),
            },
            **problems,
        },
    }


def _in_every_format(of_text: Schema) -> Schema:
    return {media_type: of_text if codec.is_text else BINARY for media_type, codec in BATCH_CODECS.items()}
