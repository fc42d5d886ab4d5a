"""Lets pages of other origins call (https://fetch.spec.whatwg.org/#http-cors-protocol), where an operator allows it.

This layer only adds headers to what the layers behind it answer, so that problems have them as well and a preflight
has its line in the log: to OPTIONS, every path answers 204. Without an origin in the settings it is not there.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

ANY = "*"
REQUEST_HEADERS = (
    *("Accept", "Authorization", "Content-Encoding", "Content-Type", "Inference-Header-Content-Length"),
    *("Request-Timeout", "traceparent", "tracestate", "X-Request-ID"),
)
"""What a page may send."""

RESPONSE_HEADERS = ("Inference-Header-Content-Length", "Retry-After", "traceparent", "X-Request-ID")
"""What a page may read besides the type, the length and the encoding of an answer."""

_PREFLIGHT = [
    (b"access-control-allow-methods", b"GET, HEAD, POST"),
    (b"access-control-allow-headers", ", ".join(REQUEST_HEADERS).encode()),
    (b"access-control-max-age", b"7200"),  # browsers keep it no longer
]
_RESPONSE = [(b"access-control-expose-headers", ", ".join(RESPONSE_HEADERS).encode())]

Headers = list[tuple[bytes, bytes]]


class CrossOrigin:
    """Say in every response which origins may read it."""

    def __init__(self, app: ASGIApp, *, origins: tuple[str, ...]) -> None:
        self.app = app
        self.any = ANY in origins
        self.origins = frozenset(origin.encode() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        more = self._headers(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *more]
            await send(message)

        await self.app(scope, receive, send_with_headers)

    def _headers(self, scope: Scope) -> Headers:
        headers = dict(scope["headers"])
        origin = headers.get(b"origin")
        vary: Headers = [] if self.any else [(b"vary", b"Origin")]
        if origin is None or not (self.any or origin in self.origins):
            return vary
        preflight = scope["method"] == "OPTIONS" and b"access-control-request-method" in headers
        allowed = (b"access-control-allow-origin", ANY.encode() if self.any else origin)
        return [allowed, *vary, *(_PREFLIGHT if preflight else _RESPONSE)]
