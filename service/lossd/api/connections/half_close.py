"""Callers whose side of a connection ends while answers are due: they may wait for them, or be gone."""

from __future__ import annotations

from enum import Enum, auto

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from lossd.api.connections.gathering import GatheringTransport, is_reset


class HalfClose(Enum):
    """Whether the caller's side of a connection has ended while answers are due."""

    NO = auto()
    YES = auto()
    ASKED = auto()
    """And something was sent to find out whether it still reads."""


def look_for_caller(
    transport: GatheringTransport, cycle: RequestResponseCycle | None, ended: HalfClose
) -> HalfClose:
    """Find out whether a caller that sends no more still reads, while its answer takes long.

    A caller that closed its socket looks the same until something is sent to it, which its system then refuses. HTTP
    lets a server send this response before any other, and a caller passes over it (RFC 9110, section 15.2).

    Args:
        transport: The connection's; aborted if it is gone.
        cycle: The request that is being answered.
        ended: Whether the caller was asked before.

    Returns:
        Whether it has been asked now.
    """
    if is_reset(transport):
        transport.abort()
    elif (
        ended is HalfClose.YES
        and cycle is not None
        and not cycle.response_started
        and cycle.scope["http_version"] == "1.1"
    ):
        transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return HalfClose.ASKED
    return ended
