"""The Open Inference Protocol in the OpenAPI document: what FastAPI cannot read from its routes."""

from __future__ import annotations

from typing import Any

from lossd.api.v2.infer import INFER_PATHS
from lossd.api.v2.repository import INDEX_PATH
from lossd.wire.open_inference.named_tensor import DATATYPES
from lossd.wire.open_inference.request import LENGTH_HEADER

Schema = dict[str, Any]

TAG: Schema = {
    "name": "open inference",
    "description": "The Open Inference Protocol (v2), HTTP only, no gRPC: every loss is a model, its arguments are "
    "inputs, `loss` and `gradient.<argument>` outputs, settings and general options parameters.",
}
STATUSES = {
    "400": "The request is not what the protocol or the loss says.",
    "404": "There is no such model, or not in that version.",
    "408": "The body came too slowly.",
    "413": "The body is larger than this server accepts.",
    "415": "The body is compressed in a way that this server does not read.",
    "503": "The server has as much work as it accepts, or is about to stop; try again later.",
    "504": "The request took longer than it may.",
}
OF_READING = {
    "v2_ready": ("503",),
    "v2_model": ("404",),
    "v2_model_version": ("404",),
    **dict.fromkeys(("v2_config", "v2_config_version", "v2_model_stats", "v2_model_version_stats"), ("404",)),
    "v2_model_ready": ("404", "503"),
    "v2_model_version_ready": ("404", "503"),
}


def add_open_inference(document: Schema) -> None:
    """Complete the document's paths under /v2 and add those to infer."""
    for path, item in document["paths"].items():
        if path.startswith("/v2"):
            operation = item["get"]
            statuses = OF_READING.get(operation["operationId"], ())
            operation["responses"] = {"200": operation["responses"]["200"], **_errors(statuses)}
    for path, name in zip(INFER_PATHS, ("v2_infer", "v2_infer_version"), strict=True):
        document["paths"][path] = {"post": _infer(path, name)}
    document["paths"][INDEX_PATH] = {"post": INDEX}
    document["tags"].append(TAG)
    components = document["components"]
    components["schemas"] = dict(sorted({**components["schemas"], **SCHEMAS}.items()))
    content = {"application/json": {"schema": _ref("schemas", "InferenceError")}}
    for status, text in STATUSES.items():
        components["responses"][f"InferenceError{status}"] = {"description": text, "content": content}


def _infer(path: str, name: str) -> Schema:
    parameters = [
        {"name": part, "in": "path", "required": True, "schema": {"type": "string"}}
        for part in ("name", "version")
        if f"{{{part}}}" in path
    ]
    return {
        "operationId": name,
        "tags": [TAG["name"]],
        "summary": "Evaluate a loss as a model.",
        "description": "The body is JSON; or JSON and behind it the raw bytes of the inputs that have the parameter "
        f"`binary_data_size`, where `{LENGTH_HEADER}` is the length of the JSON.",
        "parameters": [*parameters, {"in": "header", "required": False, **LENGTH}],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": _ref("schemas", "InferenceRequest"), "example": EXAMPLE},
                **BINARY,
            },
        },
        "responses": {
            "200": {
                "description": "The outputs: those asked for, or the loss and its gradients.",
                "headers": {LENGTH_HEADER: {key: LENGTH[key] for key in ("description", "schema")}},
                "content": {
                    "application/json": {"schema": _ref("schemas", "InferenceAnswer")},
                    **BINARY,
                },
            },
            **_errors(tuple(STATUSES)),
        },
    }


def _errors(statuses: tuple[str, ...]) -> Schema:
    return {status: _ref("responses", f"InferenceError{status}") for status in statuses}


def _ref(kind: str, name: str) -> Schema:
    return {"$ref": f"#/components/{kind}/{name}"}


INDEX: Schema = {
    "operationId": "v2_repository_index",
    "tags": [TAG["name"]],
    "summary": "List the models, and whether each is ready.",
    "requestBody": {
        "required": False,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "ready": {"description": "Those that are ready alone.", "type": "boolean"}
                    },
                }
            }
        },
    },
    "responses": {
        "200": {
            "description": "Every model.",
            "content": {
                "application/json": {"schema": {"type": "array", "items": _ref("schemas", "RepositoryModel")}}
            },
        },
        **_errors(("400", "408", "413", "415", "503")),
    },
}
LENGTH: Schema = {
    "name": LENGTH_HEADER,
    "description": "Bytes of the JSON, where raw bytes stand behind it.",
    "schema": {"type": "integer", "minimum": 1},
}
BINARY: Schema = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
PARAMETERS: Schema = {"type": "object", "additionalProperties": True}
EXAMPLE: Schema = {
    "inputs": [
        {"name": "input", "shape": [2], "datatype": "FP32", "data": [0.5, 3.0]},
        {"name": "target", "shape": [2], "datatype": "FP32", "data": [0.0, 0.0]},
    ],
    "parameters": {"reduction": "sum"},
}
DATATYPE: Schema = {"type": "string", "enum": list(DATATYPES)}
SHAPE: Schema = {"type": "array", "items": {"type": "integer", "minimum": 0}}
DATA: Schema = {
    "description": "The elements, the last axis varying fastest, flat or nested; "
    'NaN and the infinities are the strings "NaN", "Infinity" and "-Infinity".',
    "type": "array",
    "items": {},
}
TENSOR: Schema = {"name": {"type": "string"}, "shape": SHAPE, "datatype": DATATYPE}


def _tensor(description: str, size: str) -> Schema:
    return {
        "description": description,
        "type": "object",
        "required": [*TENSOR],
        "properties": {
            **TENSOR,
            "parameters": {
                "type": "object",
                "properties": {"binary_data_size": {"description": size, "type": "integer", "minimum": 0}},
            },
            "data": DATA,
        },
    }


SCHEMAS: Schema = {
    "InferenceInput": _tensor("An argument of the loss.", "Bytes of it behind the JSON, in place of `data`."),
    "InferenceOutput": _tensor("An array of the answer.", "Bytes of it behind the JSON, in place of `data`."),
    "InferenceRequestedOutput": {
        "description": "An output to send: `loss`, `gradient.<argument>`, `hessian.<argument>`, "
        "`hvp.<argument>`, `count` or `denominator`; of several reductions `loss.<reduction>`, "
        "`gradient.<reduction>.<argument>` and so on.",
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string"},
            "parameters": {"type": "object", "properties": {"binary_data": {"type": "boolean"}}},
        },
    },
    "InferenceRequest": {
        "description": "A call of a loss.",
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"description": "Any name; the answer repeats it.", "type": "string"},
            "parameters": {
                "description": "Settings and general options by name, text read as in a query string; "
                "`binary_data_output` asks for raw bytes, `timeout` is in microseconds.",
                **PARAMETERS,
            },
            "inputs": {"type": "array", "items": _ref("schemas", "InferenceInput")},
            "outputs": {"type": "array", "items": _ref("schemas", "InferenceRequestedOutput")},
        },
    },
    "InferenceAnswer": {
        "description": "The outputs of a model.",
        "type": "object",
        "required": ["model_name", "outputs"],
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "parameters": {
                "description": "`warnings`: what the caller should know although the call succeeded.",
                **PARAMETERS,
            },
            "outputs": {"type": "array", "items": _ref("schemas", "InferenceOutput")},
        },
    },
    "RepositoryModel": {
        "description": "A model of the repository.",
        "type": "object",
        "required": ["name", "version", "state", "reason"],
        "properties": {
            "name": {"type": "string"},
            "version": {"type": "string"},
            "state": {"type": "string", "enum": ["READY", "UNAVAILABLE"]},
            "reason": {"description": "Why it is not ready.", "type": "string"},
        },
    },
    "InferenceError": {
        "description": "Why a request failed.",
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "string"}},
    },
}
