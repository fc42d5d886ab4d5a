"""What is no request, or breaks a limit, as a request with an error: so it is answered as every other."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from lossd.api.connections.head import REFUSED
from lossd.errors import LossdError


def refused_cycle(protocol: HttpToolsProtocol, error: LossdError) -> RequestResponseCycle:
    """Return a request of which no more is known than how it began; its connection closes after the answer."""
    path = protocol.url.partition(b"?")[0].decode("latin-1")
    scope: Any = {
        **protocol.scope,
        "method": "",
        "path": path,
        "raw_path": protocol.url,
        "query_string": b"",
        REFUSED: error,
    }
    return RequestResponseCycle(
        scope=scope,
        transport=protocol.transport,
        flow=protocol.flow,
        logger=protocol.logger,
        access_logger=protocol.access_logger,
        access_log=False,
        default_headers=protocol.server_state.default_headers,
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=False,
        on_response=protocol.on_response_complete,
    )
