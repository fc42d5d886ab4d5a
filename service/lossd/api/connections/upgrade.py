"""Reads a request whose caller offers to change to another protocol as if it did not offer.

Java's HTTP client offers HTTP/2 in the head of a plain request. A server may ignore the offer (RFC 9110, section
7.8). httptools stops there instead: it takes the request to have no body, and would read the body's bytes as the
next request.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from httptools import HttpParserUpgrade, HttpRequestParser

FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class Parser:
    """What uvicorn asks of httptools' parser of requests, without its stop at an offer.

    Args:
        protocol: uvicorn's protocol, whose ``scope`` is that of the request that is being read. It has to
            pass over the end of a message where `body_is_to_come`.
    """

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._use(HttpRequestParser(self._callbacks(lambda callback: callback)))

    def should_upgrade(self) -> bool:
        """Accept no offer."""
        return False

    def body_is_to_come(self) -> bool:
        """Tell whether the end of a message that httptools just saw is no more than the end of its head."""
        return self._parser.should_upgrade()

    def feed_data(self, data: bytes | memoryview) -> None:
        """Read what arrived.

        Raises:
            httptools.HttpParserError: This is not HTTP.
        """
        while True:
            try:
                return self._parser.feed_data(data)
            except HttpParserUpgrade as offer:
                data = memoryview(data)[offer.args[0] :]
            self._resume_behind_the_head()

    def _use(self, parser: HttpRequestParser) -> None:
        parser.set_dangerous_leniencies(
            lenient_data_after_close=True
        )  # as uvicorn does, for pipelined requests
        self._parser = parser
        self.get_http_version = parser.get_http_version
        self.get_method = parser.get_method
        self.should_keep_alive = parser.should_keep_alive

    def _resume_behind_the_head(self) -> None:
        """Use a parser that waits for the body of the request whose head was read, and for what follows it."""
        past_the_head = False

        def deaf_to_the_head(callback: Callable[..., None]) -> Callable[..., None]:
            return lambda *words: callback(*words) if past_the_head else None

        self._use(HttpRequestParser(self._callbacks(deaf_to_the_head)))
        framing = b"".join(
            b"%s: %s\r\n" % each for each in self._protocol.scope["headers"] if each[0] in FRAMING
        )
        self._parser.feed_data(b"POST / HTTP/1.1\r\n%s\r\n" % framing)
        past_the_head = True

    def _callbacks(self, of_a_head: Callable[[Callable[..., None]], Callable[..., None]]) -> SimpleNamespace:
        to = self._protocol
        return SimpleNamespace(
            on_message_begin=of_a_head(to.on_message_begin),
            on_url=of_a_head(to.on_url),
            on_header=of_a_head(to.on_header),
            on_headers_complete=of_a_head(to.on_headers_complete),
            on_body=to.on_body,
            on_message_complete=to.on_message_complete,
        )
