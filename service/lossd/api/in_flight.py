"""The bytes that requests hold: bodies as they arrive, workspace, and answers until they are sent.

What a caller claims costs nothing; only what has arrived counts. A part of the limit belongs to the connections, an
equal allowance to each: so a small call always has room, whatever the large ones hold.
"""

from __future__ import annotations

import threading

from lossd.errors import Overloaded
from lossd.settings import Settings


class InFlightBytes:
    """Bytes that all requests of a server process may hold beyond their allowances.

    Attributes:
        most: The largest number of them.
        allowance: Bytes of each request that are not counted.
        held: How many are held now.
    """

    def __init__(self, settings: Settings) -> None:
        kept = int(settings.max_in_flight_bytes * settings.small_call_share)
        self.allowance = kept // settings.max_connections
        self.most = max(settings.max_in_flight_bytes - kept, settings.max_body_bytes)
        self.held = 0
        self._lock = threading.Lock()  # what a call needs is known in a thread of the pool

    def take(self, size: int) -> None:
        """Count more bytes.

        Raises:
            Overloaded: There is no room for them.
        """
        with self._lock:
            if self.held + size > self.most:
                raise Overloaded("the limit on bytes in flight is reached; retry later")
            self.held += size

    def change(self, size: int) -> None:
        """Count more bytes or less, whatever there is room for."""
        with self._lock:
            self.held += size


class Holding:
    """What one request holds of them."""

    __slots__ = ("_counted", "_in_flight", "_total")

    def __init__(self, in_flight: InFlightBytes) -> None:
        self._in_flight = in_flight
        self._total = 0
        self._counted = 0  # of these, beyond the allowance

    def take(self, size: int) -> None:
        """Hold more bytes.

        Raises:
            Overloaded: There is no room for them.
        """
        self._total += size
        more = self._total - self._in_flight.allowance - self._counted
        if more > 0:
            self._in_flight.take(more)
            self._counted += more

    def take_estimate(self, size: int) -> None:
        """Hold more bytes, or all that there are: one call alone may need more, by its estimate.

        Raises:
            Overloaded: Others hold too many of them.
        """
        self.take(min(size, self._in_flight.most - self._counted))

    def keep(self, size: int) -> None:
        """Hold so many bytes and no others from now on, as a call does whose answer is ready."""
        counted = max(size - self._in_flight.allowance, 0)
        if counted != self._counted:
            self._in_flight.change(counted - self._counted)
        self._total, self._counted = size, counted
