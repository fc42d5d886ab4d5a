"""What the OpenAPI document says of calls in parts: their schemas, and the operation that puts parts together."""

from __future__ import annotations

from lossd.api.openapi_components import PARAMETERS, Schema, ref
from lossd.losses import LOSSES
from lossd.wire import COMBINATION_CODECS
from lossd.wire.part_document import MOST_PARTS


def _by_name(description: str, items: Schema) -> Schema:
    return {"description": description, "type": "object", "additionalProperties": items}


PARTS_SCHEMAS: Schema = {
    "Partial": {
        "description": "Which part of a larger call a call is.",
        "type": "object",
        "required": ["first"],
        "additionalProperties": False,
        "properties": {
            "first": {
                "description": "Where the part begins along the first axis of the whole batch: a multiple of the "
                "`rows_per_block` that every part reports.",
                "type": "integer",
                "minimum": 0,
            },
            "selected": {
                "description": "Whether rows are masked or ignored anywhere in the whole batch.",
                "type": "boolean",
                "default": False,
            },
            "of": {
                "description": "How many entries the whole batch has along that axis. With it, parts of which the last "
                "is missing are refused.",
                "type": "integer",
                "minimum": 0,
            },
        },
    },
    "Branches": {
        "description": "Sums of branches of the binary tree over the blocks of all rows.",
        "type": "object",
        "required": ["level", "place", "sum"],
        "additionalProperties": False,
        "properties": {
            "level": {"description": "A branch of level `k` has 2**k blocks.", **ref("schemas", "Tensor")},
            "place": {"description": "It begins at block `place * 2**k`.", **ref("schemas", "Tensor")},
            "sum": ref("schemas", "Tensor"),
        },
    },
    "Part": {
        "description": "What some rows add to the answer of all, to be sent on as it is.",
        "type": "object",
        "required": [
            *("loss", "first", "rows", "rows_per_block", "settings", "arrays", "fused", "count"),
            *("selected", "denominator", "types", "sums", "normalizers", "shared", "warnings"),
        ],
        "additionalProperties": False,
        "properties": {
            "loss": {"type": "string"},
            "first": {
                "description": "Where the part begins along the first axis of the whole batch.",
                "type": "integer",
                "minimum": 0,
            },
            "rows": {
                "description": "How many entries it has along that axis.",
                "type": "integer",
                "minimum": 0,
            },
            "rows_per_block": {
                "description": "At multiples of what the whole batch may be cut; 0 in a part without rows. It follows "
                "from types and from the lengths of all axes but the first.",
                "type": "integer",
                "minimum": 0,
            },
            "settings": _by_name(
                "Setting of the loss to its value, defaults included: the same in all parts.",
                {"type": ["number", "boolean", "string"]},
            ),
            "arrays": {
                "description": "Names of the arrays that the call had, without the mask: the same in all parts.",
                "type": "array",
                "items": {"type": "string"},
            },
            "fused": {
                "description": "Whether a fused kernel summed the part, which cuts other blocks.",
                "type": "boolean",
            },
            "count": {"type": "integer", "minimum": 0, "description": "Elements or samples that took part."},
            "selected": {"type": "boolean", "description": "Whether some of these rows took no part."},
            "denominator": {
                "description": "What averages divide by, if the call said it.",
                "type": ["number", "null"],
            },
            "types": _by_name(
                "Name to the type of a derivative; under the empty name, that of the loss.",
                {"type": "string"},
            ),
            "sums": _by_name("Reduction to its undivided sum.", ref("schemas", "Branches")),
            "normalizers": _by_name(
                "Averaging reduction to what the rows add to its denominator.", ref("schemas", "Branches")
            ),
            "shared": _by_name(
                "`gradient.mean.weight` and such: derivatives of what all rows share.",
                ref("schemas", "Branches"),
            ),
            "warnings": {"type": "array", "items": {"type": "string"}},
            "of": {
                "description": "How many entries the whole batch has along the first axis, if the call said it.",
                "type": "integer",
                "minimum": 0,
            },
        },
    },
    "Combination": {
        "description": "Parts to put together.",
        "type": "object",
        "required": ["parts"],
        "additionalProperties": False,
        "properties": {
            "parts": {
                "description": "The `part` of each answer, in any order. In order of `first` they follow one another "
                "from 0 on, to `of` if they say it.",
                "type": "array",
                "items": ref("schemas", "Part"),
                "minItems": 1,
                "maxItems": MOST_PARTS,
            },
            "empty": {
                "description": "Result of a mean over zero elements: a 422, NaN or 0.",
                "enum": ["error", "nan", "zero"],
                "type": "string",
                "default": "error",
            },
            "encoding": {
                "description": "How JSON writes the arrays of the answer.",
                "enum": ["list", "base64"],
                "type": "string",
                "default": "list",
            },
        },
    },
}


def combine_operation(problems: Schema, binary: Schema) -> Schema:
    """Describe how the parts of a call are put together.

    Args:
        problems: Status to the response of an error.
        binary: The body of a format that is not text.
    """
    name = {
        "name": "name",
        "in": "path",
        "required": True,
        "description": "The loss of the parts, by its name or an alias.",
        "schema": {"type": "string"},
        "example": LOSSES["huber"].name,
    }
    of_text = {"schema": ref("schemas", "Combination"), "example": {"parts": [_example()]}}
    answer, formats = {"schema": ref("schemas", "Answer")}, COMBINATION_CODECS.items()
    return {
        "operationId": "combine",
        "tags": ["parts"],
        "summary": "Put the parts of a call together.",
        "description": "A batch that is too large for one request, or lies on several machines, is evaluated in parts: "
        "calls with the option `partial`, on any servers. The answer has the bits of one call with all rows. What "
        "belongs to single rows stays with the parts' own answers. A mean's derivatives need the `denominator` of all "
        "rows in each part; parts without derivatives, put together, say it.",
        "parameters": [name, *PARAMETERS[:2]],
        "requestBody": {
            "required": True,
            "content": {media: of_text if codec.is_text else binary for media, codec in formats},
        },
        "responses": {
            "200": {
                "description": "The loss per reduction, and the derivatives of what all rows share.",
                "content": {media: answer if codec.is_text else binary for media, codec in formats},
            },
            **problems,
        },
    }


def _example() -> Schema:
    return {
        "loss": "huber",
        "first": 0,
        "rows": 3,
        "rows_per_block": 131072,
        "settings": {"delta": 1.0},
        "arrays": ["input", "target"],
        "fused": True,
        "count": 3,
        "selected": False,
        "denominator": None,
        "types": {"": "float64"},
        "sums": {"mean": {"level": [0], "place": [0], "sum": [1.5]}},
        "normalizers": {"mean": {"level": [0], "place": [0], "sum": [3.0]}},
        "shared": {},
        "warnings": [],
    }
