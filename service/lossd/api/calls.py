"""The flow of every call, whatever its protocol: decode, prepare, compute, encode; on the event loop or in the pool.

What a call costs is known once it is prepared. Only what takes well under a millisecond runs on the event loop, however
small its body; all else runs in the pool, where checkpoints end it when its deadline passes or its caller leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from starlette.types import Receive

from lossd.api.compute import Checkpoint, in_pool, until
from lossd.api.exchange import Exchange
from lossd.declaration.loss import Loss
from lossd.engine import CostLimits, Prepared, compute, prepare
from lossd.message import Answer, Call
from lossd.settings import Settings

Encoded = TypeVar("Encoded")

# Bytes that any call may work in: one on the event loop is over before another begins.
_UNCOUNTED = 1 << 20


class Decoded(NamedTuple):
    """A call as its bytes say it.

    Attributes:
        call: The call.
        timeout: Seconds after its request came when its caller wants no answer any more; None if it did not say.
    """

    call: Call
    timeout: float | None = None


class Calls:
    """Answers calls within the limits of the settings."""

    def __init__(self, settings: Settings, pool: ThreadPoolExecutor) -> None:
        self.settings = settings
        self.pool = pool
        in_flight = max(settings.max_in_flight_bytes, _UNCOUNTED)  # more would never be admitted
        self.limits = CostLimits(
            settings.max_work,
            min(settings.max_workspace_bytes, in_flight),
            min(settings.max_answer_bytes, in_flight),
        )

    async def answer(
        self,
        loss: Loss,
        decode: Callable[[], Decoded],
        encode: Callable[[Answer, Call], Encoded],
        *,
        exchange: Exchange,
        receive: Receive,
        deadline: float,
        size: int | None,
    ) -> Encoded:
        """Follow a call from bytes to bytes.

        Args:
            loss: The loss to evaluate.
            decode: Reads the call from its body.
            encode: Writes the answer.
            exchange: The request.
            receive: Tells when the caller leaves.
            deadline: When the request ends, on the clock of `time.perf_counter`.
            size: Bytes of the body, None if it is compressed and they say little.
        """

        def prepared(checkpoint: Checkpoint) -> tuple[Prepared, Checkpoint]:
            call, timeout = decode()
            exchange.elements = sum([array.size for array in call.arrays.values()])
            checkpoint = checkpoint if timeout is None else _sooner(checkpoint, exchange.started + timeout)
            checkpoint()
            return prepare(loss, call, limits=self.limits), checkpoint

        def finished(ready: Prepared, checkpoint: Checkpoint, threads: int) -> Encoded:
            answer = compute(ready, threads, checkpoint)
            checkpoint()
            return encode(answer, ready.call)

        def reserve(ready: Prepared) -> None:
            exchange.reserve(ready.estimate.workspace + ready.estimate.answer)

        def whole(checkpoint: Checkpoint) -> Encoded:
            ready, sooner = prepared(checkpoint)
            reserve(ready)
            return finished(ready, sooner, self.settings.threads)

        if size is None or size > self.settings.inline_body_bytes:
            return await in_pool(self.pool, whole, deadline=deadline, receive=receive)
        ready, sooner = prepared(until(deadline))
        if ready.estimate.seconds * 1000 <= self.settings.inline_milliseconds:
            return finished(ready, sooner, 1)
        reserve(ready)

        def rest(checkpoint: Checkpoint) -> Encoded:
            def both() -> None:
                checkpoint()
                sooner()

            return finished(ready, both, self.settings.threads)

        return await in_pool(self.pool, rest, deadline=deadline, receive=receive)


def _sooner(checkpoint: Checkpoint, deadline: float) -> Checkpoint:
    """Return a checkpoint that also ends the work at another deadline."""
    in_time = until(deadline)

    def check() -> None:
        checkpoint()
        in_time()

    return check
