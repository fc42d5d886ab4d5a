"""The components of the OpenAPI document that no declaration has: tensors, answers, problems, parameters."""

from __future__ import annotations

from typing import Any

from lossd.errors import MOST_DETAILS

Schema = dict[str, Any]


def ref(kind: str, name: str) -> Schema:
    """Refer to a component by its kind, such as ``schemas``, and its name."""
    return {"$ref": f"#/components/{kind}/{name}"}


BINARY = {"schema": {"type": "string", "format": "binary"}}

PARAMETERS: list[Schema] = [
    {
        "name": "Request-Timeout",
        "in": "header",
        "description": "Seconds after which the answer is of no use; the server stops there with a 504, or a 408 "
        "while the body arrives.",
        "schema": {"type": "number", "exclusiveMinimum": 0},
    },
    {
        "name": "X-Request-ID",
        "in": "header",
        "description": "Name of this request in the server's log, of at most 128 characters; the response repeats it, "
        "or has a new one.",
        "schema": {"type": "string"},
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
        "properties": {part: {"anyOf": [ref("schemas", "Number"), LISTS]} for part in ("real", "imag")},
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
            ref("schemas", "Number"),
            {"type": "boolean"},
            LISTS,
            ref("schemas", "EncodedTensor"),
            ref("schemas", "ComplexTensor"),
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
                "additionalProperties": ref("schemas", "Tensor"),
            },
            **{
                name: {
                    "description": f"Reduction to argument to {text}.",
                    "type": "object",
                    "additionalProperties": ref("schemas", "Tensors"),
                }
                for name, text in (
                    ("gradient", "the gradient, in the argument's own shape; only if asked for"),
                    ("hessian", "the diagonal of the Hessian; only if asked for"),
                    ("hvp", "the Hessian times the direction; only if asked for"),
                )
            },
            "count": {"type": "integer", "minimum": 0, "description": "Elements or samples that took part."},
            "denominator": {"description": "What averages divided by.", **ref("schemas", "Tensor")},
            "warnings": {
                "description": "What the caller should know although the call succeeded.",
                "type": "array",
                "items": {"type": "string"},
            },
            "part": {
                "description": "What the rows add to the answer of a larger call; only with the option `partial`.",
                **ref("schemas", "Part"),
            },
        },
    },
    "Tensors": {"type": "object", "additionalProperties": ref("schemas", "Tensor")},
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
            "errors": {"type": "array", "items": ref("schemas", "ErrorDetail"), "maxItems": MOST_DETAILS},
            "errors_left_out": {
                "description": "How many more errors there are; absent if none.",
                "type": "integer",
                "minimum": 1,
            },
        },
    },
}
