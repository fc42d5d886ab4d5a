"""What pages of other origins may send and read, where an operator allows them to call.

starlette's middleware answers their preflights (https://fetch.spec.whatwg.org/#http-cors-protocol), and adds headers
to every response, a problem too. Without an origin in the settings it is not there.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware

REQUEST_HEADERS = (
    *("Accept", "Authorization", "Content-Encoding", "Content-Type", "Inference-Header-Content-Length"),
    *("Request-Timeout", "traceparent", "tracestate", "X-Request-ID"),
)
"""What a page may send."""

RESPONSE_HEADERS = ("Inference-Header-Content-Length", "Retry-After", "traceparent", "X-Request-ID")
"""What a page may read besides the type, the length and the encoding of an answer."""

_MAX_AGE = 7200  # seconds; browsers keep an answer to a preflight no longer


def add_cross_origin(app: Starlette, origins: tuple[str, ...]) -> None:
    """Let pages of these origins call, if there are any; it stands in front of all layers."""
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=("GET", "HEAD", "POST"),
            allow_headers=REQUEST_HEADERS,
            expose_headers=RESPONSE_HEADERS,
            max_age=_MAX_AGE,
        )
