"""A transport that sends the head and the body of a small response by one system call.

uvicorn writes them apart, and uvloop sends each at once: two packets, and a caller that wakes up twice. That costs
the server more than all else it does for a small call.

uvicorn also asks each new connection for its addresses: seven system calls, a sixth of what a refused call costs, in
which a thread that computes may take the interpreter's lock. Here it learns none: `Settings.looks_at_addresses`.
"""

from __future__ import annotations

import asyncio
import fcntl
import select
import struct
import termios
from collections.abc import Callable
from typing import Any

_ADDRESSES = frozenset({"socket", "sockname", "peername"})


class GatheringTransport:
    """Holds a write back until the next one, or until the event loop turns.

    Args:
        transport: What sends.
        loop: Its event loop.
        leave: Closes the connection in place of ``transport.close``, once everything is written.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        leave: Callable[[], None] | None = None,
    ) -> None:
        self.plain = transport
        self._loop = loop
        self._leave = leave or transport.close
        self._held: bytes | None = None
        self.is_closing = transport.is_closing  # asked for at each request

    def write(self, data: bytes) -> None:
        """Send ``data``, soon; not once the caller has left, which uvloop takes for a bug."""
        if self._held is None:
            self._held = data
            self._loop.call_soon(self.flush)
            return
        held, self._held = self._held, None
        if not self.is_closing():
            self.plain.writelines((held, data))

    def close(self) -> None:
        """Send what is held back, then close."""
        self.flush()
        self._leave()

    def flush(self) -> None:
        """Send what is held back."""
        if self._held is not None:
            held, self._held = self._held, None
            if not self.is_closing():
                self.plain.write(held)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the connection, but for its socket and addresses."""
        return default if name in _ADDRESSES else self.plain.get_extra_info(name, default)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)


def unsent(transport: GatheringTransport) -> int:
    """Return the bytes that the other side has not taken, those in the system's buffer included.

    Linux reports room in that buffer only once a third of its megabytes is free: by the transport's own buffer a slow
    reader would seem to stall.
    """
    held: int = transport.plain.get_write_buffer_size()
    try:
        queued = fcntl.ioctl(_descriptor(transport), termios.TIOCOUTQ, b"\0" * 4)
    except OSError:  # not a kind of socket that knows
        return held
    return held + int(struct.unpack("i", queued)[0])


def is_reset(transport: GatheringTransport) -> bool:
    """Return whether the other side has refused what was sent to it, as it does once it has closed."""
    return _polls(transport, 0)  # errors are always told


def has_left(transport: GatheringTransport) -> bool:
    """Return whether the other side has closed, without reading what it sent before."""
    return _polls(transport, getattr(select, "POLLRDHUP", 0))


def _polls(transport: GatheringTransport, events: int) -> bool:
    """Return whether one of these events, or an error, is there by now."""
    poll = select.poll()
    poll.register(_descriptor(transport), events)
    return bool(poll.poll(0))


def _descriptor(transport: GatheringTransport) -> int:
    descriptor: int = transport.plain.get_extra_info("socket").fileno()
    return descriptor
