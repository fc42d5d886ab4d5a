"""Who may call, in the OpenAPI document: which operations need a key, and how they refuse one."""

from __future__ import annotations

from typing import Any

from lossd.api.access_control import is_health, required_scope
from lossd.api.problems import MEDIA_TYPE

Schema = dict[str, Any]

SCHEME = "bearer"
STATUSES = {
    "401": "The server asks for a key, and the request has none that it knows.",
    "403": "The caller's key lacks the scope that this needs.",
    "429": "The caller has asked for more than it may; try again after `Retry-After` seconds.",
}
_CHALLENGE: Schema = {
    "WWW-Authenticate": {"description": "How to authenticate (RFC 6750).", "schema": {"type": "string"}}
}
HEADERS: Schema = {
    "401": _CHALLENGE,
    "403": _CHALLENGE,
    "429": {
        "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
        "RateLimit": {
            "description": "What is left, and when there will be more.",
            "schema": {"type": "string"},
        },
        "RateLimit-Policy": {"description": "The limit, and its window.", "schema": {"type": "string"}},
    },
}


def add_access(document: Schema) -> None:
    """Complete every operation, and the document itself, by how callers are let in."""
    for path, methods in document["paths"].items():
        kind = "InferenceError" if path.startswith("/v2") else "Problem"
        for method, operation in methods.items():
            scope = required_scope(method.upper(), path)
            statuses = tuple(STATUSES) if scope else () if is_health(path) else ("429",)
            if scope is None:
                operation["security"] = []
            refusals = {s: {"$ref": f"#/components/responses/{kind}{s}"} for s in statuses}
            operation["responses"] = dict(sorted({**operation["responses"], **refusals}.items()))
    components = document["components"]
    for kind, media_type in (("Problem", MEDIA_TYPE), ("InferenceError", "application/json")):
        content = {media_type: {"schema": {"$ref": f"#/components/schemas/{kind}"}}}
        for status, text in STATUSES.items():
            answer = {"description": text, "headers": HEADERS[status], "content": content}
            components["responses"][f"{kind}{status}"] = answer
    components["securitySchemes"] = {
        SCHEME: {
            "type": "http",
            "scheme": "bearer",
            "description": "A key of the server, or a token of its identity provider; if it asks for one.",
        }
    }
    document["security"] = [{}, {SCHEME: []}]  # the same contract holds for servers that everyone may call
