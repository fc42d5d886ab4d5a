"""What pages of other origins may send and read, where an operator allows them to call.

starlette's middleware answers their preflights (https://fetch.spec.whatwg.org/#http-cors-protocol), and adds headers
to every response, a problem too. Without an origin in the settings it is not there.
"""

from __future__ import annotations

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

REQUEST_HEADERS = (
    *("Accept", "Authorization", "Content-Encoding", "Content-Type", "Inference-Header-Content-Length"),
    *("Request-Timeout", "traceparent", "tracestate", "X-Request-ID"),
)
"""What a page may send."""

RESPONSE_HEADERS = (
    "Inference-Header-Content-Length",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "traceparent",
    "X-Request-ID",
)
"""What a page may read besides the type, the length and the encoding of an answer."""

_MAX_AGE = 7200  # seconds; browsers keep an answer to a preflight no longer


def cross_origin(app: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
    """Let pages of these origins call an application, if there are any."""
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=("GET", "HEAD", "POST"),
        allow_headers=REQUEST_HEADERS,
        expose_headers=RESPONSE_HEADERS,
        max_age=_MAX_AGE,
    )
